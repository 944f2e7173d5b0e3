"""What the hub may read, and as whom."""

from dataclasses import dataclass, field
from pathlib import Path

from models.errors import ToolFailed
from models.policy import ImageLimits


class SourceFailed(ToolFailed):
    """A source's registry does not answer, or not as a registry does. It may be over in a minute: it is tried again.

    The hub's own registry and tools fail with ToolFailed itself: that is never the publisher's doing.
    """


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials of a registry. The password stands in no repr, and so in no log."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """`plain_http_hosts` (host[:port]) are spoken to without TLS, and may be private; `source_folders` are the folders
    below which `oci:` and `archive:` sources may lie; archives are unpacked below `work_folder` (None: the system's
    folder for temporary files).
    """

    plain_http_hosts: tuple[str, ...] = ()
    allow_private_hosts: bool = False
    source_folders: tuple[Path, ...] = ()
    limits: ImageLimits = field(default_factory=ImageLimits)
    work_folder: Path | None = None
