"""Findings: what a check found wrong, in words that the publisher can act on."""

from datetime import datetime
from enum import StrEnum

from models.base import Message

#: rule of an image that cannot be read: no waiver helps, since nothing of it was checked
READABLE = "image.readable"


class Level(StrEnum):
    """A requirement can hold an item up; a guideline alone cannot (domain.md)."""

    REQUIREMENT = "requirement"
    GUIDELINE = "guideline"


class Severity(StrEnum):
    """Class of a vulnerability; the policy maps CVSS scores to it. UNKNOWN waits for the security team."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """A scanner's failure is never the publisher's failure: these are four things (domain.md)."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ERROR = "error"


class FindingStatus(StrEnum):
    OPEN = "open"
    WAIVED = "waived"
    #: found in an approved iteration already, and carried forward with its approval
    ACCEPTED = "accepted"


class Finding(Message):
    """One thing that is wrong. `key` names it the same in every iteration; `where` is a field, layer or platform."""

    key: str
    rule: str
    level: Level
    title: str
    why: str
    remedy: str
    evidence: str = ""
    where: str = ""
    severity: Severity | None = None
    fixed_version: str = ""
    #: it comes with the base image, wherever it was found
    inherited: bool = False
    #: a vulnerability that is known to be exploited
    exploited: bool = False
    status: FindingStatus = FindingStatus.OPEN

    @property
    def blocks(self) -> bool:
        return self.level is Level.REQUIREMENT and self.status is FindingStatus.OPEN


class VexState(StrEnum):
    """OpenVEX statement status that a waiver may take."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


class VexJustification(StrEnum):
    """OpenVEX justifications for `not_affected`."""

    COMPONENT_NOT_PRESENT = "component_not_present"
    VULNERABLE_CODE_NOT_PRESENT = "vulnerable_code_not_present"
    VULNERABLE_CODE_NOT_IN_EXECUTE_PATH = "vulnerable_code_not_in_execute_path"
    VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY = "vulnerable_code_cannot_be_controlled_by_adversary"
    INLINE_MITIGATIONS_ALREADY_EXIST = "inline_mitigations_already_exist"


class WaiverScope(StrEnum):
    DIGEST = "digest"
    REPOSITORY = "repository"
    PRODUCT = "product"


class Waiver(Message):
    """Why a finding does not hold an item up: an expired waiver re-opens it. `subject` is what the scope names.

    `severity` is the finding's class when the waiver was given: one that has become heavier is open again, since who
    agreed has agreed to less. Waivers of older versions do not say it, and hold for any.
    """

    finding: str
    state: VexState
    justification: VexJustification | None = None
    evidence: str
    owner: str
    scope: WaiverScope
    subject: str
    expires: datetime
    severity: Severity | None = None
