"""What a rule is: one small function with an id, a level, a title, why, and how to mend it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from models.findings import Finding, Level, Verdict
from models.policy import Rules
from models.reports import RuleResult

C = TypeVar("C")

#: of evidence from an image or a manifest, characters
LONGEST_EVIDENCE = 1_000
#: of a place or a title that has an image's names in it, characters
LONGEST_LINE = 300
#: keys travel in histories and are typed by people, characters
LONGEST_KEY = 160
#: findings of one rule on one thing; of more, the last one tells how many
MOST_FINDINGS = 50


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
                found = [_finding(rule, level, evidence, place) for evidence in _no_flood(rule.check(thing))]
            except Exception as error:  # whatever it is, the other rules still speak
                results.append(RuleResult(rule=rule.id, verdict=Verdict.ERROR, where=place, detail=repr(error)[:500]))
                continue
            findings += found
            results.append(RuleResult(rule=rule.id, verdict=_verdict(level, found), where=place))
        return Checked(tuple(findings), tuple(results))


def sayable(text: str, most: int) -> str:
    """Fit for reports and messages whatever an image or a folder says: cut, and without half surrogate pairs."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


def key_of(*parts: str) -> str:
    """Names a finding the same in every iteration. One that is too long ends in a digest, so that it stays unique."""
    key = ":".join(part for part in parts if part)
    if len(key) > LONGEST_KEY:
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16]
        key = f"{key[: LONGEST_KEY - 17]}~{digest}"
    return sayable(key, LONGEST_KEY)


def _no_flood(found: Iterable[Evidence]) -> Iterable[Evidence]:
    """An image with ten thousand secrets has one problem, not ten thousand that fill histories and mails."""
    rest = iter(found)
    yield from islice(rest, MOST_FINDINGS - 1)
    if last := next(rest, None):
        more = sum(1 for _ in rest)
        yield Evidence(f"And {more + 1:,} more like these.", subject="more") if more else last


def level_of(rule: Rule[C], switches: Rules) -> Level:
    if rule.id in switches.requirement:
        return Level.REQUIREMENT
    return Level.GUIDELINE if rule.id in switches.guideline else rule.level


def _verdict(level: Level, found: list[Finding]) -> Verdict:
    if not found:
        return Verdict.PASSED
    return Verdict.FAILED if level is Level.REQUIREMENT else Verdict.WARNING


def _finding(rule: Rule[C], level: Level, evidence: Evidence, place: str) -> Finding:
    where = " · ".join(part for part in (place, evidence.where) if part)
    return Finding(
        key=key_of(rule.id, place, evidence.subject or evidence.where),
        rule=rule.id,
        level=level,
        title=rule.title,
        why=rule.why,
        remedy=rule.remedy,
        evidence=sayable(evidence.text, LONGEST_EVIDENCE),
        where=sayable(where, LONGEST_LINE),
    )
