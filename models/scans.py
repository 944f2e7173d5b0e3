"""What a scan found: components, vulnerabilities, and the evidence that makes the result reproducible."""

from datetime import date, datetime
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
    #: how sure we are that it is there: 1 for what a package database says
    confidence: float = 1.0
    #: CPE 2.3 name of a binary that was identified by its content: advisories of NVD go by it. Empty for packages.
    cpe: str = ""
    #: file that told us, without leading slash
    path: str = ""


class Score(Message):
    """A CVSS base score with its vector and where it was taken from; version is that of CVSS: 2, 3.0, 3.1 or 4.0."""

    score: float
    vector: str
    source: str
    version: str


class KnownExploited(Message):
    """An entry of CISA's catalog of known exploited vulnerabilities."""

    added: date
    due: date | None = None
    ransomware: bool = False


class Classing(Message):
    """The security team's own class of a vulnerability, which goes before that of its score."""

    severity: Severity
    reason: str
    at: datetime


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
    #: set where the class is the security team's
    classing: Classing | None = None
    exploited: KnownExploited | None = None
    #: the component comes with the base image
    inherited: bool = False
    #: the rebuild that the report proposes (`base.rebuild`) is rid of it
    mended_by_rebuild: bool = False
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


class Rebuild(Message):
    """What a rebuild on another image of the same base would do: `mended` of `inherited` vulnerabilities go."""

    reference: str
    digest: str
    mended: int
    inherited: int


class BaseOrigin(Message):
    """The known base image that an image is built from: its lowest `layers` layers are the base's."""

    reference: str
    digest: str
    layers: int
    rebuild: Rebuild | None = None


class ImageReport(Message):
    """The analysis of one image of one platform."""

    scanner: Scanner
    facts: ImageFacts
    base: BaseOrigin | None = None
    components: tuple[Component, ...] = ()
    vulnerabilities: tuple[Vulnerability, ...] = ()
