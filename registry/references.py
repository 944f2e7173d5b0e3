"""Names of repositories, tags and digests, after the grammar of the OCI distribution specification 1.1."""

import re
from dataclasses import dataclass

from models.errors import ImageNotFound

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: the one registry whose name is not its address (known so to every client)
DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
#: of a whole repository name, specification's recommendation for clients
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """`host/name` of a repository at a registry."""

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"


def parse_repository(text: str) -> Reference:
    """`host[:port]/namespace/name`; the host is written out, there is no default registry. Errors: ImageNotFound."""
    host, slash, name = text.partition("/")
    if not slash or not _HOST.fullmatch(host) or not ("." in host or ":" in host or host == "localhost"):
        raise ImageNotFound(
            f"{text[:200]!r} is no repository: write it with its registry, as registry.example.com/team/name."
        )
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ImageNotFound(f"{name[:200]!r} is no repository name: lower-case letters, digits and . _ - between them.")
    if host in DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return Reference(host, name)


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def require_tag(tag: str) -> str:
    """A tag or a digest, as given. Errors: ImageNotFound."""
    if not is_digest(tag) and not _TAG.fullmatch(tag):
        raise ImageNotFound(
            f"{tag[:200]!r} is no tag: letters, digits and . _ - after the first character, at most 128."
        )
    return tag
