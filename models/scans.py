"""What a scan found: components, vulnerabilities, and the evidence that makes the result reproducible."""

from datetime import datetime
from enum import StrEnum

from models.base import Message
from models.findings import Severity
from models.images import ImageFacts


class ComponentState(StrEnum):
    PRESENT = "present"
    #: deleted by a later layer: the bytes still ship, so it counts
    REMOVED = "removed"


class Component(Message):
    """A package in a layer. Debian and Alpine advisories go by source package, so both names are kept."""

    purl: str
    ecosystem: str
    name: str
    version: str
    source_name: str = ""
    source_version: str = ""
    layer: str = ""
    state: ComponentState = ComponentState.PRESENT
    evidence: str = "package database"
    #: file that told us, without leading slash
    path: str = ""


class Score(Message):
    """A CVSS base score with its vector and where it was taken from; version is that of CVSS: 2, 3.0, 3.1 or 4.0."""

    score: float
    vector: str
    source: str
    version: str


class Vulnerability(Message):
    """One advisory that matches one component. `id` is the CVE where there is one."""

    id: str
    advisory: str
    aliases: tuple[str, ...] = ()
    purl: str
    component: str
    version: str
    layer: str = ""
    instruction: str = ""
    score: Score | None = None
    severity: Severity = Severity.UNKNOWN
    fixed_version: str = ""
    summary: str = ""
    url: str = ""


class Scanner(Message):
    """Who looked, with what knowledge, and when: what makes a verdict reproducible."""

    name: str
    version: str
    #: digest of the advisories that were in force
    advisory_snapshot: str
    at: datetime


class ImageReport(Message):
    """The analysis of one image of one platform."""

    scanner: Scanner
    facts: ImageFacts
    components: tuple[Component, ...] = ()
    vulnerabilities: tuple[Vulnerability, ...] = ()
