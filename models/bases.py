"""Base images that the hub knows: what an image is built from is seen by its lowest layers."""

from datetime import datetime

from models.base import Message


class KnownBase(Message):
    """One image of one platform under the reference by which people build on it."""

    #: as it was added, with its tag: `registry.example/library/debian:12-slim`
    reference: str
    platform: str
    digest: str
    #: diff_ids of its layers, the lowest first
    layers: tuple[str, ...]
    #: when it was built, as its config says; None where it does not say
    created: datetime | None = None
    added_at: datetime
    #: digest of the stored ImageReport: its components are matched again whenever the base is compared
    report: str = ""

    @property
    def repository(self) -> str:
        """The reference without its tag: images of one repository are one family."""
        name, colon, tag = self.reference.partition("@")[0].rpartition(":")
        return name if colon and "/" not in tag else self.reference.partition("@")[0]
