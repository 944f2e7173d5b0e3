"""What VEX statements are about: which of them a vulnerability of an image is covered by, and which waivers say so."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from models.findings import Finding, VexState, Waiver
from models.scans import Vulnerability
from models.vex import VexStatement
from policies.vulnerabilities import RULE

#: a vulnerability with one of these does no harm
HARMLESS = frozenset({VexState.NOT_AFFECTED, VexState.FIXED})

#: types of purls that name images, not packages
_IMAGES = frozenset({"oci", "docker"})


class Subject(NamedTuple):
    """An image or a release set as documents call it.

    `names` are repositories, references and ids of the hub; `digests` those of indexes and of single images.
    """

    names: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()


class Purl(NamedTuple):
    """The parts of a package URL, decoded. `name` has the namespace with it."""

    type: str
    name: str
    version: str
    qualifiers: Mapping[str, str]


def purl_of(text: str) -> Purl | None:
    """None for what is no package URL."""
    scheme, colon, rest = text.partition(":")
    if scheme.lower() != "pkg" or not colon:
        return None
    rest, _, _ = rest.partition("#")
    path, _, query = rest.partition("?")
    path, _, version = path.strip("/").rpartition("@") if "@" in path else (path.strip("/"), "", "")
    kind, slash, name = path.partition("/")
    if not slash or not name:
        return None
    return Purl(kind.lower(), unquote(name), unquote(version), dict(parse_qsl(query)))


class Said:
    """Statements by the names of the vulnerabilities that they are about: a document may have very many."""

    def __init__(self, statements: Iterable[VexStatement]) -> None:
        self._by_name: dict[str, list[VexStatement]] = {}
        for statement in statements:
            for name in {statement.vulnerability, *statement.aliases}:
                self._by_name.setdefault(name, []).append(statement)

    def about(self, vulnerability: Vulnerability, subject: Subject, now: datetime) -> VexStatement | None:
        """What is said of a vulnerability of an image. Of several statements the latest counts, no expired one."""
        names = (vulnerability.id, *vulnerability.aliases)
        named = [statement for name in names for statement in self._by_name.get(name, ())]
        return statement_about(vulnerability, subject, named, now)


def statement_about(
    vulnerability: Vulnerability, subject: Subject, statements: Iterable[VexStatement], now: datetime
) -> VexStatement | None:
    """As `Said.about`."""
    latest: VexStatement | None = None
    for statement in statements:
        if statement.expires is not None and statement.expires <= now:
            continue
        if not is_about(statement, (vulnerability.id, *vulnerability.aliases), vulnerability.purl, subject):
            continue
        if latest is None or _time(statement) >= _time(latest):
            latest = statement
    return latest


def is_about(statement: VexStatement, vulnerability: Sequence[str], purl: str, subject: Subject) -> bool:
    """Whether a statement is about this vulnerability (by any of its names) of this package in this product."""
    if {statement.vulnerability, *statement.aliases}.isdisjoint(vulnerability):
        return False
    products, packages = statement.products, statement.components
    if not packages:
        # a supplier's document speaks of packages, and leaves the images that ship them to others
        packages = tuple(name for name in products if _is_package(name))
        products = tuple(name for name in products if name not in packages)
    if products and not any(_names(name, subject) for name in products):
        return False
    return not packages or any(_covers(said, purl) for said in packages)


def statements_of(waivers: Iterable[Waiver], products_of: Mapping[str, Sequence[str]]) -> Iterator[VexStatement]:
    """Waivers of vulnerabilities as statements; those of other findings say nothing in VEX.

    `products_of` are what a document calls a waiver's subject. Who granted it stays the hub's own matter.
    """
    for waiver in waivers:
        if (parts := parts_of(waiver.finding)) and (products := products_of.get(waiver.subject)):
            yield statement_of(waiver, parts[0], products, parts[1])


def statement_of(waiver: Waiver, vulnerability: str, products: Sequence[str], package: str) -> VexStatement:
    """What a waiver says of a package's vulnerability in these products."""
    return VexStatement(
        vulnerability=vulnerability,
        products=tuple(products),
        components=(package,) if package.startswith("pkg:") else (),
        state=waiver.state,
        justification=waiver.justification,
        words=waiver.evidence,
        expires=waiver.expires,
    )


def parts_of(key: str) -> tuple[str, str] | None:
    """Vulnerability and package of a finding's key; None for another rule's, and for one that was cut short."""
    rule, _, rest = key.partition(":")
    vulnerability, _, package = rest.partition(":")
    if rule != RULE or not vulnerability or not package or "~" in package[-17:]:
        return None
    return vulnerability, package


def answers(
    statements: Iterable[VexStatement],
    findings: Iterable[Finding],
    seen: Mapping[str, Sequence[tuple[Vulnerability, Subject]]],
    now: datetime,
) -> Iterator[tuple[Finding, VexStatement]]:
    """The open findings that hold an item up, each with the statement by which its publisher says that it need not.

    `seen` is where each finding was seen, by its key: all of it has to be answered, as a finding is waived whole.
    """
    said = Said(statements)
    for finding in findings:
        if not finding.blocks:
            continue
        found = [said.about(one, subject, now) for one, subject in seen.get(finding.key, ())]
        harmless = [statement for statement in found if statement is not None and statement.state in HARMLESS]
        if found and len(harmless) == len(found):
            yield finding, harmless[0]


def _is_package(name: str) -> bool:
    purl = purl_of(name)
    return purl is not None and purl.type not in _IMAGES


def _time(statement: VexStatement) -> float:
    return statement.at.timestamp() if statement.at else 0.0


def _covers(said: str, purl: str) -> bool:
    """Whether the package that a document names is this one: without a version any, without qualifiers any build."""
    one, other = purl_of(said), purl_of(purl)
    if one is None or other is None:
        return said == purl
    if (one.type, one.name) != (other.type, other.name):
        return False
    if one.version and one.version != other.version:
        return False
    return all(other.qualifiers.get(key, value) == value for key, value in one.qualifiers.items())


def _names(said: str, subject: Subject) -> bool:
    """Whether a product that a document names is this one."""
    if said in subject.names or said in subject.digests:
        return True
    if any(digest in said for digest in subject.digests):
        return True
    purl = purl_of(said)
    if purl is None or purl.type not in _IMAGES:
        return False
    if purl.version:
        # a tag is no version of an image: it is what the image is called
        return purl.version in subject.digests or f"{_repository(purl)}:{purl.version}" in subject.names
    return _repository(purl) in subject.names


def _repository(purl: Purl) -> str:
    """The image's repository as people write it; the last part of it where the document does not say where it is."""
    return purl.qualifiers.get("repository_url", purl.name)
