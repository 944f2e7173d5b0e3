"""What a rule is: one small function with an id, a level, a title, why, and how to mend it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from models.findings import Finding, Level, Severity, Verdict
from models.policy import Rules
from models.reports import RuleResult

C = TypeVar("C")

#: of evidence from an image or a manifest, characters
LONGEST_EVIDENCE = 1_000


class Evidence(NamedTuple):
    """One thing that a rule found. `subject` tells several findings of a rule apart, the same in every iteration."""

    text: str = ""
    where: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Rule(Generic[C]):
    id: str
    level: Level
    title: str
    why: str
    remedy: str
    check: Callable[[C], Iterable[Evidence]]


class Checked(NamedTuple):
    """What an area's rules made of one thing: findings, and each rule's verdict."""

    findings: tuple[Finding, ...] = ()
    results: tuple[RuleResult, ...] = ()


class Area(Generic[C]):
    """Rules over the same thing. `name` is the first part of their ids."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.rules: list[Rule[C]] = []

    def rule(
        self,
        id: str,  # noqa: A002 - the field's word
        level: Level,
        title: str,
        *,
        why: str,
        remedy: str,
    ) -> Callable[[Callable[[C], Iterable[Evidence]]], Callable[[C], Iterable[Evidence]]]:
        """Register a check as `<area>.<id>`."""

        def register(check: Callable[[C], Iterable[Evidence]]) -> Callable[[C], Iterable[Evidence]]:
            full = f"{self.name}.{id}"
            if any(rule.id == full for rule in self.rules):
                raise ValueError(f"There are two rules {full}.")
            self.rules.append(Rule(full, level, title, why, remedy, check))
            return check

        return register

    def run(self, thing: C, switches: Rules, *, place: str = "") -> Checked:
        """All rules that are not switched off. `place` says which image; it is part of the keys.

        A rule that breaks is the hub's failure: its verdict is ERROR, and nothing is held against the publisher.
        """
        findings: list[Finding] = []
        results: list[RuleResult] = []
        for rule in self.rules:
            if rule.id in switches.off:
                continue
            level = level_of(rule, switches)
            try:
                found = [_finding(rule, level, evidence, place) for evidence in rule.check(thing)]
            except Exception as error:  # whatever it is, the other rules still speak
                results.append(RuleResult(rule=rule.id, verdict=Verdict.ERROR, where=place, detail=repr(error)[:500]))
                continue
            findings += found
            results.append(RuleResult(rule=rule.id, verdict=_verdict(level, found), where=place))
        return Checked(tuple(findings), tuple(results))


def level_of(rule: Rule[C], switches: Rules) -> Level:
    if rule.id in switches.requirement:
        return Level.REQUIREMENT
    return Level.GUIDELINE if rule.id in switches.guideline else rule.level


def _verdict(level: Level, found: list[Finding]) -> Verdict:
    if not found:
        return Verdict.PASSED
    return Verdict.FAILED if level is Level.REQUIREMENT else Verdict.WARNING


def _finding(rule: Rule[C], level: Level, evidence: Evidence, place: str, severity: Severity | None = None) -> Finding:
    where = " · ".join(part for part in (place, evidence.where) if part)
    key = ":".join(part for part in (rule.id, place, evidence.subject or evidence.where) if part)
    return Finding(
        key=key,
        rule=rule.id,
        level=level,
        title=rule.title,
        why=rule.why,
        remedy=rule.remedy,
        evidence=evidence.text[:LONGEST_EVIDENCE],
        where=where,
        severity=severity,
    )
