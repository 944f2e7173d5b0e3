"""Container images as the hub sees them: where they come from, what a tag was pinned to, what is inside."""

from datetime import datetime

from pydantic import Field

from models.base import Message, canonical_json, digest_of


class ImageSource(Message):
    """One source repository and the tags of it that make up a tier.

    `repository` is `host[:port]/namespace/name` of a registry, `oci:FOLDER` for an OCI layout folder, or
    `archive:FILE` for a docker-archive or OCI tar. `credentials` is the id of a stored secret (`secret/<id>`), never
    the secret.
    """

    repository: str
    tags: tuple[str, ...]
    credentials: str | None = None


class PinnedPlatform(Message):
    """One image of an index: `platform` is `os/architecture[/variant]`, `size` the compressed bytes of its layers."""

    platform: str
    digest: str
    size: int


class PinnedTag(Message):
    """What a tag pointed to when it was resolved."""

    tag: str
    digest: str
    media_type: str
    platforms: tuple[PinnedPlatform, ...]


class PinnedTier(Message):
    """One tier of a release set: one source repository, several tags."""

    tier: str
    repository: str
    tags: tuple[PinnedTag, ...]


class ReleaseSet(Message):
    """tier -> repository -> tags -> index digest -> platforms: what commands, approvals and diffs refer to."""

    tiers: tuple[PinnedTier, ...]

    @property
    def digest(self) -> str:
        """Digest of the canonical JSON."""
        return digest_of(canonical_json(self))

    def images(self) -> tuple[tuple[str, PinnedPlatform], ...]:
        """Every (source repository, image) once, in order: equal digests of several tags and tiers are one image."""
        seen: dict[str, tuple[str, PinnedPlatform]] = {}
        for tier in self.tiers:
            for tag in tier.tags:
                for image in tag.platforms:
                    seen.setdefault(image.digest, (tier.repository, image))
        return tuple(seen.values())


class SecretFact(Message):
    """A secret that the scanner found: where and of what kind, never the secret itself."""

    rule: str
    title: str
    path: str


class LayerFacts(Message):
    """What the rules need to know of one layer. Sizes in bytes. Paths have no leading slash."""

    index: int
    digest: str
    diff_id: str
    media_type: str = ""
    size: int
    uncompressed: int
    instruction: str = ""
    created: datetime | None = None
    files: int = 0
    #: (folder, bytes of the regular files anywhere under it), folders down to a depth of five
    folders: tuple[tuple[str, int], ...] = ()
    #: paths of regular files with the setuid or setgid bit
    setuid: tuple[str, ...] = ()
    #: (path deleted by this layer, bytes that a lower layer still ships for it)
    deleted: tuple[tuple[str, int], ...] = ()
    licence_files: tuple[str, ...] = ()
    secrets: tuple[SecretFact, ...] = ()

    def bytes_under(self, *folders: str) -> int:
        """Bytes that this layer adds under the named folders."""
        wanted = set(folders)
        return sum(size for folder, size in self.folders if folder in wanted)


class Healthcheck(Message):
    """The HEALTHCHECK of an image's config; `test` is empty or starts with NONE when there is none."""

    test: tuple[str, ...] = ()
    interval_seconds: float = 0
    timeout_seconds: float = 0
    retries: int = 0


class ImageFacts(Message):
    """What the config, the history and the layers of one image say, for the practice rules and the scan explorer."""

    platform: str
    digest: str
    config_digest: str
    size: int
    created: datetime | None = None
    author: str = ""
    user: str = ""
    working_dir: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    stop_signal: str = ""
    #: /etc/os-release ID and VERSION_ID, empty for an image without one
    os_name: str = ""
    os_version: str = ""
    layers: tuple[LayerFacts, ...] = ()
    #: instructions of the history that made no layer (ENV, LABEL, CMD, ...), in order
    empty_instructions: tuple[str, ...] = ()
