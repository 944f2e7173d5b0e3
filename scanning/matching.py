"""Which advisories are about a component, and what is said of it: one vulnerability for each CVE."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from models.policy import SeverityClasses
from models.scans import Classing, Component, KnownExploited, Score, Vulnerability
from scanning.cpe import parse_cpe
from scanning.nvd import Criterion, first_fix, is_about
from scanning.osv import Advisory, cves_in, normal_name
from scanning.scores import best, score_of, severity_of
from scanning.version_keys import InvalidVersion, base_of
from scanning.versions import compare, fixed_after, is_affected

#: ecosystems whose advisories go by the source package
_BY_SOURCE = frozenset(
    {
        *("Debian", "Ubuntu", "Echo", "Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita"),
        "BellSoft Hardened Containers",
    }
)


@dataclass
class Knowledge:
    """The store as matching asks it; answers are kept, as an image names a package several times."""

    ask_named: Callable[[str, str], list[Advisory]]
    ask_scores: Callable[[str], list[tuple[str, str]]]
    #: what NVD says of a product (`vendor:product`)
    ask_criteria: Callable[[str], list[tuple[Advisory, tuple[Criterion, ...]]]] = lambda _: []
    ask_exploited: Callable[[str], KnownExploited | None] = lambda _: None
    #: the security team's classes, by vulnerability
    classings: Mapping[str, Classing] = field(default_factory=dict)
    _named: dict[tuple[str, str], list[Advisory]] = field(default_factory=dict)

    def named(self, ecosystem: str, name: str) -> list[Advisory]:
        key = (ecosystem, name)
        if key not in self._named:
            self._named[key] = self.ask_named(ecosystem, name)
        return self._named[key]


@dataclass(frozen=True, slots=True)
class _Hit:
    advisory: Advisory
    fixed: str

    @property
    def names(self) -> set[str]:
        return {self.advisory.id, *self.advisory.aliases}


def vulnerabilities_of(component: Component, knowledge: Knowledge, severity: SeverityClasses) -> list[Vulnerability]:
    """By id. A component without a version, or of an ecosystem without advisories, has none. One that was identified
    by its content is of no ecosystem: NVD knows it by its CPE name."""
    if component.cpe and not component.ecosystem:
        return _of_product(component, knowledge, severity)
    name, version = looked_up(component)
    if not component.ecosystem or not version:
        return []
    named = knowledge.named(component.ecosystem, normal_name(component.ecosystem, name))
    hits = [
        _Hit(advisory, fixed_after(version, advisory.affected))
        for advisory in named
        if any(is_affected(version, entry) for entry in advisory.affected)
    ]
    groups = _grouped(hits, {cve for advisory in named for cve in advisory.cves})
    return [_vulnerability(component, id_, group, knowledge, severity) for id_, group in sorted(groups.items())]


def _of_product(component: Component, knowledge: Knowledge, severity: SeverityClasses) -> list[Vulnerability]:
    try:
        cpe = parse_cpe(component.cpe)
    except ValueError:
        return []
    version = cpe.full_version or component.version
    if not version:
        return []
    hits = [
        _Hit(advisory, first_fix(cpe.name, version, criteria))
        for advisory, criteria in knowledge.ask_criteria(cpe.name)
        if any(is_about(cpe.name, version, criterion) for criterion in criteria)
    ]
    return [_vulnerability(component, hit.advisory.id, [hit], knowledge, severity) for hit in hits]


def looked_up(component: Component) -> tuple[str, str]:
    """Name and version by which advisories know the component: of Debian and its like those of the source package."""
    if base_of(component.ecosystem) in _BY_SOURCE and component.source_name:
        return component.source_name, component.source_version or component.version
    return component.name, component.version


def _grouped(hits: list[_Hit], told: set[str]) -> dict[str, list[_Hit]]:
    """Records of several databases about one thing, by its CVE. A record about two CVEs is two vulnerabilities; a
    bulletin (DSA, USN) is the CVEs that it sums up, but for those with a record of their own (`told`)."""
    groups: dict[str, list[_Hit]] = {}
    nameless = []
    for hit in hits:
        summed = cves_in(hit.advisory.upstream)
        for cve in hit.advisory.cves or (cve for cve in summed if cve not in told):
            groups.setdefault(cve, []).append(hit)
        if not hit.advisory.cves and not summed:
            nameless.append(hit)
    cves: dict[str, set[str]] = {}
    for cve, group in groups.items():
        for name in (name for hit in group for name in hit.names):
            cves.setdefault(name, set()).add(cve)
    for group in _connected(nameless):
        about = {cve for hit in group for name in hit.names for cve in cves.get(name, ())}
        for id_ in about or {min(hit.advisory.id for hit in group)}:
            groups.setdefault(id_, []).extend(group)
    return groups


def _connected(hits: list[_Hit]) -> list[list[_Hit]]:
    """Groups whose members share a name, also by way of another."""
    groups: dict[str, list[_Hit]] = {}
    for hit in hits:
        met = list({id(groups[name]): groups[name] for name in hit.names if name in groups}.values())
        largest = max(met, key=len, default=[])
        moved = [hit, *(one for group in met if group is not largest for one in group)]
        largest.extend(moved)
        for name in (name for one in moved for name in one.names):
            groups[name] = largest
    return list({id(group): group for group in groups.values()}.values())


def _vulnerability(
    component: Component, id_: str, group: list[_Hit], knowledge: Knowledge, severity: SeverityClasses
) -> Vulnerability:
    score = _score(id_, group, knowledge)
    classing = knowledge.classings.get(id_)
    first = group[0].advisory
    names = {name for hit in group for name in hit.names}
    # another CVE is another vulnerability, not a name of this one
    aliases = {name for name in names if name != id_ and not name.startswith("CVE-")}
    summaries = (hit.advisory.summary for hit in group)
    return Vulnerability(
        id=id_,
        advisory=first.id,
        aliases=tuple(sorted(aliases)),
        purl=component.purl,
        component=component.name,
        version=component.version,
        layer=component.layer,
        score=score,
        severity=classing.severity if classing else severity_of(score, severity),
        classing=classing,
        exploited=knowledge.ask_exploited(id_),
        fixed_version=_latest(component.ecosystem, [hit.fixed for hit in group]),
        summary=next((summary for summary in summaries if summary), ""),
        url=first.url,
    )


def _score(id_: str, group: list[_Hit], knowledge: Knowledge) -> Score | None:
    """The records' own, and those that a score source gives the CVE."""
    said: list[Score | None] = [
        score_of(vector, hit.advisory.id) for hit in group for _, vector in hit.advisory.severity
    ]
    said.extend(score_of(vector, source) for source, vector in knowledge.ask_scores(id_))
    return best(said)


def _latest(ecosystem: str, versions: list[str]) -> str:
    """Sources differ about what mends it: whoever has the latest of them is rid of it by every account."""
    latest = ""
    for version in versions:
        try:
            if version and (not latest or compare(ecosystem, version, latest) > 0):
                latest = version
        except InvalidVersion:
            continue
    return latest
