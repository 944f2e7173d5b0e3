"""Where things are and how to reach them: one frozen class, read from the environment in main() only.

Every field is an environment variable with the prefix WHARFINGER_ (or a line of the file .env); nested ones are joined
by two underscores: WHARFINGER_SMTP__HOST. What the hub decides by stands in policy.toml, not here.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Smtp(BaseModel):
    """The mail server that takes our mails. `tls` is none, starttls or tls (from the first byte)."""

    model_config = ConfigDict(frozen=True)

    host: str = "127.0.0.1"
    port: int = 1025
    tls: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: SecretStr = SecretStr("")
    #: file of a certificate authority to trust beside the system's
    ca_file: Path | None = None
    timeout_seconds: float = 30


class TemporalServer(BaseModel):
    """The Temporal server: an address, and what a cluster or Temporal Cloud asks for."""

    model_config = ConfigDict(frozen=True)

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    tls: bool = False
    api_key: SecretStr = SecretStr("")
    #: address of the web pages, for links; empty when there are none
    ui: str = ""


class ObjectStore(BaseModel):
    """Only for blobs in an S3-compatible store: `blobs` is then s3://bucket/prefix."""

    model_config = ConfigDict(frozen=True)

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    allow_http: bool = False


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="WHARFINGER_", env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )

    #: everything that the embedded defaults keep lies below it
    home: Path = Path(".wharfinger")
    hub_name: str = "Wharfinger"
    #: domain of Message-IDs and of the sender
    mail_domain: str = "wharfinger.localhost"
    sender: str = ""
    #: where people's browsers find the web pages
    base_url: str = "http://127.0.0.1:8480"
    policy: Path | None = None
    #: sqlite:///PATH or postgresql://USER@HOST/NAME; empty: a SQLite file in home
    database: str = ""
    #: sqlite file of the imported advisories; empty: in home
    advisories: Path | None = None
    #: a folder or s3://bucket/prefix; empty: a folder in home
    blobs: str = ""
    object_store: ObjectStore = ObjectStore()
    #: key(s) for stored credentials, newest first; empty: a key file with mode 0600 in home
    secret_keys: tuple[SecretStr, ...] = ()
    #: host[:port]/namespace of the hub's registry, or a folder for an OCI layout; empty: a folder in home
    hub_registry: str = ""
    hub_registry_username: str = ""
    hub_registry_password: SecretStr = SecretStr("")
    #: registries that may be spoken to without TLS
    plain_http_hosts: tuple[str, ...] = ()
    #: whether sources on private and loopback addresses may be read
    allow_private_hosts: bool = False
    #: folders below which `oci:` and `archive:` sources may lie; none: no local sources
    source_folders: tuple[Path, ...] = ()
    smtp: Smtp = Smtp()
    temporal: TemporalServer = TemporalServer()
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: scans that one worker runs at a time
    scans_at_once: int = Field(default=2, ge=1)
    #: time limit of one scanner run, seconds
    scan_seconds: int = Field(default=1800, ge=1)

    @property
    def policy_place(self) -> Path:
        """The hub's own policy.toml, or the one that comes with the program."""
        return self.policy or Path(__file__).with_name("policy.toml")

    @property
    def database_place(self) -> str:
        return self.database or f"sqlite:///{self.home / 'wharfinger.sqlite'}"

    @property
    def advisories_place(self) -> Path:
        return self.advisories or self.home / "advisories.sqlite"

    @property
    def blobs_place(self) -> str:
        return self.blobs or str(self.home / "blobs")

    @property
    def hub_registry_place(self) -> str:
        return self.hub_registry or f"oci:{self.home / 'registry'}"

    @property
    def scanner_cache(self) -> Path:
        return self.home / "scanner"

    @property
    def work_folder(self) -> Path:
        """Scratch space of scans: a folder for each worker (activities/scratch.py)."""
        return self.home / "work"

    @property
    def sender_address(self) -> str:
        return self.sender or f"wharfinger@{self.mail_domain}"
