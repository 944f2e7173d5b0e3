"""The hub's policy: the numbers and rule switches of policy.toml as frozen models.

Every default is the number of the domain's rules; policy.toml overrides it. No number of the business stands in code.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from models.base import canonical_json, digest_of

#: a longer term is a typing mistake, and would lead beyond the end of the calendar. Days.
_LONGEST_TERM = 36_500


class Section(BaseModel):
    """A table of policy.toml, frozen. Slices of it travel, so a worker ignores what a newer one has added to them.

    An unknown key of the file is an error all the same (policies/hub_policy.py): no typing mistake goes unseen.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` is no number of days, and "yes" no switch: what pydantic would convert is a mistake in a file."""
        wanted = cls.model_fields[info.field_name].annotation if info.field_name else None
        if wanted is int and type(value) is not int:
            raise ValueError("a whole number is needed here")
        if wanted is bool and type(value) is not bool:
            raise ValueError("true or false is needed here")
        return value


class Deadlines(Section):
    """Whole days unless the name says otherwise. Source: Docker's and Mozilla's published review terms (domain.md)."""

    first_review_days: int = Field(default=14, ge=1, le=_LONGEST_TERM)
    #: when a moderator is reminded of a first review that nobody has given
    first_review_reminder_days: int = Field(default=10, ge=1)
    reply_working_days: int = Field(default=2, ge=1, le=365)
    changes_reminder_days: int = Field(default=20, ge=1)
    changes_expiry_days: int = Field(default=35, ge=1, le=_LONGEST_TERM)
    #: a delayed rejection: the last warning's term, and when the publisher is reminded of it
    last_warning_days: int = Field(default=14, ge=1, le=_LONGEST_TERM)
    last_warning_reminder_days: int = Field(default=7, ge=1)
    dormant_days: int = Field(default=365, ge=1, le=_LONGEST_TERM)
    second_approver_reminder_days: int = Field(default=2, ge=1, le=_LONGEST_TERM)
    #: ISO country whose public holidays are not working days; empty for none
    holidays: str = ""

    @model_validator(mode="after")
    def _reminders_come_first(self) -> "Deadlines":
        if self.changes_reminder_days >= self.changes_expiry_days:
            raise ValueError("changes_reminder_days must be less than changes_expiry_days")
        if self.first_review_reminder_days >= self.first_review_days:
            raise ValueError("first_review_reminder_days must be less than first_review_days")
        if self.last_warning_reminder_days >= self.last_warning_days:
            raise ValueError("last_warning_reminder_days must be less than last_warning_days")
        return self

    @property
    def dormant(self) -> timedelta:
        return timedelta(days=self.dormant_days)


class SeverityClasses(Section):
    """Lowest CVSS base score of each class; a score below `minor` but above 0 is minor too."""

    critical: Decimal = Field(default=Decimal("7.0"), le=10)
    major: Decimal = Decimal("4.0")
    minor: Decimal = Decimal("0.1")

    @model_validator(mode="after")
    def _in_order(self) -> "SeverityClasses":
        if not self.critical > self.major > self.minor >= 0:
            raise ValueError("critical must be greater than major, and major greater than minor")
        return self


class Remediation(Section):
    """Clocks after notification of a finding in a published product (domain.md, "Scanning").

    A reminder or a warning that would come before its term begins is not given.
    """

    critical_hours: int = Field(default=72, ge=1, le=24 * _LONGEST_TERM)
    major_days: int = Field(default=7, ge=1, le=_LONGEST_TERM)
    classing_working_days: int = Field(default=2, ge=1, le=365)
    hold_days: int = Field(default=30, ge=1, le=_LONGEST_TERM)
    #: how long before the end of its term a publisher is reminded of a finding, once
    critical_reminder_hours: int = Field(default=24, ge=1)
    major_reminder_days: int = Field(default=2, ge=1)
    #: how long before the end of a hold the publisher is warned of the revocation
    revoke_warning_days: int = Field(default=7, ge=1)


class Watch(Section):
    """How published products are watched. Hours of the day are UTC's."""

    #: an update of advisories that concerns more products than this waits for the security team
    mass_change_products: int = Field(default=50, ge=1)
    #: when the security team is reminded of one that nobody has judged, again and again
    mass_change_reminder_hours: int = Field(default=24, ge=1, le=24 * _LONGEST_TERM)
    #: when the day's mail of what is not critical goes out: the clocks of its findings start then
    digest_hour: int = Field(default=6, ge=0, le=23)
    #: the clock of a finding that comes with the base image starts when there is a fix
    inherited_waits_for_fix: bool = True
    sync_minutes: int = Field(default=60, ge=1, le=24 * 60)
    #: when published images are scanned again by a scanner that is newer than their report
    rescan_hour: int = Field(default=2, ge=0, le=23)


class ImageLimits(Section):
    """What an image may weigh. Bytes unless the name says otherwise."""

    compressed_bytes: int = Field(default=10 * 2**30, ge=1)
    uncompressed_bytes: int = Field(default=40 * 2**30, ge=1)
    layers: int = Field(default=127, ge=1)
    files: int = Field(default=2_000_000, ge=1)
    #: uncompressed bytes of a layer for each compressed byte of it
    decompression_ratio: int = Field(default=200, ge=2)
    manifest_bytes: int = Field(default=4 * 2**20, ge=1024)
    config_bytes: int = Field(default=8 * 2**20, ge=1024)
    platforms: int = Field(default=32, ge=1)
    tags_per_tier: int = Field(default=64, ge=1)


class Practices(Section):
    """Numbers of the best-practice rules."""

    layers: int = Field(default=40, ge=1)
    size_bytes: int = Field(default=1_000_000_000, ge=1)
    rebuilt_within_days: int = Field(default=180, ge=1, le=_LONGEST_TERM)
    #: leftover bytes below this are not worth a finding
    leftovers_bytes: int = Field(default=100_000, ge=0)
    base_images: tuple[str, ...] = ("alpine", "debian", "ubuntu", "wolfi", "distroless")


class ManifestLimits(Section):
    """Lengths in characters, sizes in bytes and pixels."""

    name: int = Field(default=80, ge=1)
    short_description: int = Field(default=140, ge=1)
    short_description_sentences: int = Field(default=2, ge=1)
    long_description: int = Field(default=50_000, ge=1)
    long_description_least: int = Field(default=100, ge=0)
    icon_pixels: int = Field(default=512, ge=16)
    icon_bytes: int = Field(default=2 * 2**20, ge=1024)
    screenshot_bytes: int = Field(default=8 * 2**20, ge=1024)
    screenshots: int = Field(default=10, ge=0)
    search_tags: int = Field(default=12, ge=1)
    manifest_bytes: int = Field(default=512 * 2**10, ge=1024)
    #: bytes of all files of a submission folder together
    folder_bytes: int = Field(default=64 * 2**20, ge=1024)


class Gate(Section):
    """Which vulnerabilities hold a submission up until they are mended or waived."""

    critical_with_fix: bool = True
    critical_without_fix: bool = False
    major_with_fix: bool = False
    #: domain.md: the gate treats an unclassed finding as major
    unknown_as_major: bool = True


class Rules(Section):
    """Rule switches: a rule that is off is not run; a level given here replaces the rule's own."""

    off: tuple[str, ...] = ()
    requirement: tuple[str, ...] = ()
    guideline: tuple[str, ...] = ()


class MailTerms(Section):
    """How notices are delivered."""

    attempts: int = Field(default=12, ge=1)
    first_retry_seconds: int = Field(default=60, ge=1)
    longest_retry_seconds: int = Field(default=4 * 3600, ge=1)
    #: how long a mailed link that confirms an address is good
    confirmation_days: int = Field(default=7, ge=1, le=_LONGEST_TERM)
    #: mails that ask an address of the catalog's form whether it wants a product's mails: for one address a day, and of
    #: the whole hub an hour. Whoever fills the form in for somebody else must not fill a mailbox.
    subscription_asks_a_day: int = Field(default=5, ge=1)
    subscription_asks_an_hour: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> "MailTerms":
        if self.first_retry_seconds > self.longest_retry_seconds:
            raise ValueError("first_retry_seconds must not be more than longest_retry_seconds")
        return self


class Keeping(Section):
    """How long things are kept. Days."""

    workflow_retention_days: int = Field(default=30, ge=1, le=_LONGEST_TERM)
    #: unreferenced blobs younger than this are left alone
    blob_grace_days: int = Field(default=7, ge=0, le=_LONGEST_TERM)
    scanner_cache_bytes: int = Field(default=5 * 2**30, ge=0)


class Terms(Section):
    """Words that a submission chooses from."""

    categories: tuple[str, ...] = (
        "analytics",
        "application frameworks",
        "application infrastructure",
        "application services",
        "base images",
        "databases",
        "devops tools",
        "featured images",
        "messaging services",
        "monitoring",
        "operating systems",
        "programming languages",
        "security",
        "storage",
    )
    currencies: tuple[str, ...] = ("USD", "EUR", "GBP")
    #: how long a waiver may last, days
    waiver_days: int = Field(default=180, ge=1, le=_LONGEST_TERM)


class HubPolicy(Section):
    """The whole of policy.toml."""

    deadlines: Deadlines = Deadlines()
    severity: SeverityClasses = SeverityClasses()
    remediation: Remediation = Remediation()
    watch: Watch = Watch()
    limits: ImageLimits = ImageLimits()
    practices: Practices = Practices()
    manifest: ManifestLimits = ManifestLimits()
    gate: Gate = Gate()
    rules: Rules = Rules()
    mail: MailTerms = MailTerms()
    keeping: Keeping = Keeping()
    terms: Terms = Terms()

    @property
    def digest(self) -> str:
        """Names the policy that an iteration was judged under."""
        return digest_of(canonical_json(self))
