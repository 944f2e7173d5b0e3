"""What the hub may read, and as whom."""

from dataclasses import dataclass, field
from pathlib import Path

from models.policy import ImageLimits


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials of a registry. The password stands in no repr, and so in no log."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """`plain_http_hosts` (host[:port]) are spoken to without TLS, and may be private; `source_folders` are the folders
    below which `oci:` and `archive:` sources may lie.
    """

    plain_http_hosts: tuple[str, ...] = ()
    allow_private_hosts: bool = False
    source_folders: tuple[Path, ...] = ()
    limits: ImageLimits = field(default_factory=ImageLimits)
