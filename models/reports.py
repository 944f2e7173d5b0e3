"""Reports of an iteration: what every check said, and what changed since. Stored, and shown to both sides."""

from datetime import datetime
from typing import Any

from pydantic import model_validator

from models.base import Message
from models.findings import Finding, Verdict
from models.scans import Scanner


class RuleResult(Message):
    """One rule on one thing: passed, warning, failed, or error of the tool."""

    rule: str
    verdict: Verdict
    where: str = ""
    detail: str = ""


class ExaminedImage(Message):
    """One image of the release set, and who looked at it with what knowledge. Sizes in bytes."""

    tier: str
    tags: tuple[str, ...]
    platform: str
    digest: str
    size: int = 0
    layers: int = 0
    components: int = 0
    critical: int = 0
    major: int = 0
    minor: int = 0
    unknown: int = 0
    #: of the vulnerabilities, those that come with the base image, and those that are known to be exploited
    inherited: int = 0
    exploited: int = 0
    #: reference of the base image that it is built from, where that is known
    base: str = ""
    scanner: Scanner | None = None


class IterationReport(Message):
    """Everything that one pass of all checks found."""

    verdict: Verdict
    at: datetime
    #: digest of the policy it was judged under
    policy: str
    release: str = ""
    findings: tuple[Finding, ...] = ()
    results: tuple[RuleResult, ...] = ()
    images: tuple[ExaminedImage, ...] = ()


class Differences(Message):
    """What changed between two iterations. Findings by title and place; components as `name version`."""

    manifest: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    new_vulnerabilities: tuple[str, ...] = ()
    mended_vulnerabilities: tuple[str, ...] = ()
    new_findings: tuple[str, ...] = ()
    mended_findings: tuple[str, ...] = ()
    still_open: int = 0

    @property
    def empty(self) -> bool:
        return not any(
            (
                self.manifest,
                self.images,
                self.layers,
                self.components,
                self.new_vulnerabilities,
                self.mended_vulnerabilities,
                self.new_findings,
                self.mended_findings,
            )
        )

    def lines(self, most: int = 40) -> tuple[str, ...]:
        """In words, the weightiest first; what is cut off is counted."""
        lines = [
            *(f"new vulnerability: {line}" for line in self.new_vulnerabilities),
            *(f"new finding: {line}" for line in self.new_findings),
            *(f"mended vulnerability: {line}" for line in self.mended_vulnerabilities),
            *(f"mended: {line}" for line in self.mended_findings),
            *(f"component: {line}" for line in self.components),
            *(f"image: {line}" for line in self.images),
            *(f"layers: {line}" for line in self.layers),
            *(f"product page: {line}" for line in self.manifest),
        ]
        if len(lines) > most:
            lines[most - 1 :] = [f"and {len(lines) - most + 1} more changes"]
        return tuple(lines)


class ChangesSince(Message):
    """What changed since one earlier iteration; `number` is that of its submission within the product."""

    submission: str = ""
    number: int = 0
    iteration: int = 0
    differences: Differences


class Comparison(Message):
    """An iteration beside the previous one of its submission, and beside the last approved one of its product."""

    previous: ChangesSince | None
    approved: ChangesSince | None

    @model_validator(mode="before")
    @classmethod
    def _former(cls, stored: Any) -> Any:
        """Earlier versions stored bare differences, and did not say from what."""
        if isinstance(stored, dict) and stored.keys().isdisjoint(cls.model_fields):
            return {"previous": {"differences": stored}, "approved": None}
        return stored
