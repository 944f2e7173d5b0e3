"""A submission's content: the content manifest (product page), tiers, support terms."""

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from models.base import Message, canonical_json, digest_of
from models.images import ImageSource


class ContentType(StrEnum):
    CONTAINER = "container image"
    PLUGIN = "plugin"


class Track(StrEnum):
    """A listing edit changes the manifest only; an image version brings images. One supersedes within its own track."""

    LISTING = "listing"
    VERSION = "version"


class RunsOn(StrEnum):
    """What the content works on; decides what may be published and certified (domain.md, eligibility)."""

    ENTERPRISE = "enterprise"
    COMMUNITY = "community"
    OTHER = "other"


class Price(Message):
    """`amount` 0 is free. `period` is empty for a single payment. An amount that no page could show is none."""

    amount: Decimal = Field(default=Decimal(0), max_digits=12, decimal_places=4)
    currency: str = "USD"
    period: str = ""


class Licence(Message):
    """A licence agreement: a link or the text itself."""

    title: str
    url: str = ""
    text: str = ""


class Sla(Message):
    """Support terms of one tier's images."""

    hours: str
    time_zone: str
    first_response_hours: int


class Tier(Message):
    """Manifest items 8 to 11 and the source of one tier. The source path is never shown to users."""

    name: str
    description: str
    price: Price = Price()
    installation: str
    source: ImageSource | None = None
    sla: Sla | None = None


class Support(Message):
    """Manifest item 7 and the support information: at least one way must be given where support is required."""

    link: str
    email: str = ""
    website: str = ""
    self_help: str = ""


class ContentManifest(Message):
    """The twelve manifest items and what goes with them. `icon` and `screenshots` are digests of stored blobs."""

    name: str
    icon: str = ""
    short_description: str
    category: str
    search_tags: tuple[str, ...] = ()
    long_description: str
    screenshots: tuple[str, ...] = ()
    support: Support
    tiers: tuple[Tier, ...]
    licences: tuple[Licence, ...] = ()
    content_type: ContentType = ContentType.CONTAINER
    platforms: tuple[str, ...] = ()
    documentation: str = ""
    release_notes: str = ""
    runs_on: RunsOn = RunsOn.COMMUNITY
    wants_certification: bool = False
    track: Track = Track.VERSION

    @property
    def digest(self) -> str:
        return digest_of(canonical_json(self))
