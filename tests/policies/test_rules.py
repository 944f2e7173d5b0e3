"""Every rule finds what it is for, passes what is fine, and says what, why and how to mend it."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from models.findings import Finding, Level, Verdict
from models.policy import Rules
from policies.rulebook import AREAS, FIXED, all_rules, known_ids
from policies.rules import LONGEST_EVIDENCE, LONGEST_KEY, LONGEST_LINE, MOST_FINDINGS, Area, Evidence, key_of, sayable
from tests.policies import (
    cases_of_eligibility,
    cases_of_image,
    cases_of_manifest,
    cases_of_profile,
    cases_of_release,
)
from tests.policies.cases import Case, of_content, of_image, of_manifest, of_profile, of_release

FINDS: list[Case] = [
    *cases_of_profile.FINDS,
    *cases_of_eligibility.FINDS,
    *cases_of_manifest.FINDS,
    *cases_of_image.FINDS,
    *cases_of_release.FINDS,
]
PASSES: list[Case] = [
    *cases_of_profile.PASSES,
    *cases_of_eligibility.PASSES,
    *cases_of_manifest.PASSES,
    *cases_of_image.PASSES,
    *cases_of_release.PASSES,
]
CLEAN: dict[str, Any] = {
    "profile": of_profile(),
    "eligibility": of_content(),
    "manifest": of_manifest(),
    "release": of_release(),
    "image": of_image(),
}
RULES = {rule.id: rule for rule in all_rules()}


def found_by(case: Case) -> tuple[Finding, ...]:
    """What the rule of a case alone finds."""
    area = next(area for area in AREAS if area.name == case.rule.partition(".")[0])
    checked = area.run(case.context, Rules(off=tuple(name for name in known_ids() if name != case.rule)))
    assert [result.verdict for result in checked.results] != [Verdict.ERROR], checked.results
    return checked.findings


def numbered(cases: Iterable[Case]) -> list[Any]:
    return [pytest.param(case, id=f"{number}-{case.rule}") for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", numbered(FINDS))
def test_a_rule_finds_what_it_is_for(case: Case) -> None:
    findings = found_by(case)
    assert findings
    found = findings[0]
    rule = RULES[case.rule]
    assert (found.rule, found.level, found.title, found.why, found.remedy) == (
        rule.id,
        rule.level,
        rule.title,
        rule.why,
        rule.remedy,
    )
    assert any(case.says in finding.evidence and case.where in finding.where for finding in findings), findings
    for finding in findings:
        assert finding.evidence.strip()
        assert finding.key.startswith(case.rule)
        assert len(finding.key) <= LONGEST_KEY
        assert len(finding.where) <= LONGEST_LINE
        assert len(finding.evidence) <= LONGEST_EVIDENCE
        assert finding.model_dump_json()
    assert len({finding.key for finding in findings}) == len(findings)


@pytest.mark.parametrize("case", numbered(PASSES))
def test_a_rule_passes_what_only_looks_like_it(case: Case) -> None:
    assert found_by(case) == ()


def test_every_rule_has_a_case_that_it_finds_and_one_that_it_passes() -> None:
    """A new rule without its cases fails here. The clean samples pass every rule, as the next test shows."""
    assert {case.rule for case in FINDS} == set(known_ids())
    assert {case.rule for case in PASSES} <= set(known_ids())


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_of_what_is_right_nothing_is_found(area: Area[Any]) -> None:
    checked = area.run(CLEAN[area.name], Rules())
    assert checked.findings == ()
    assert [result.rule for result in checked.results] == [rule.id for rule in area.rules]
    assert {result.verdict for result in checked.results} == {Verdict.PASSED}


def test_ids_are_unique_and_every_rule_says_what_why_and_how() -> None:
    ids = known_ids()
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(FIXED)
    for rule in all_rules():
        assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", rule.id), rule.id
        assert rule.title[0].isupper()
        assert not rule.title.endswith(".")
        for sentence in (rule.why, rule.remedy):
            assert sentence[0].isupper(), rule.id
            assert sentence.endswith("."), rule.id


# --- the domain's lists ---------------------------------------------------------------------------------------------


def test_each_of_the_twelve_manifest_items_has_a_rule() -> None:
    items = {
        "product name": "name",
        "product icon": "icon",
        "short description": "short-description",
        "category": "category",
        "search tags": "search-tags",
        "long description": "long-description",
        "screenshots": "screenshot-form",
        "support link": "support",
        "tier name": "tiers",
        "tier description": "tier-texts",
        "tier price": "price",
        "installation instructions": "tier-texts",
        "licence agreements": "licences",
    }
    assert {f"manifest.{name}" for name in items.values()} <= set(known_ids())


def test_what_the_domain_requires_is_a_requirement_and_what_it_recommends_a_guideline() -> None:
    requirements = {rule.id for rule in all_rules() if rule.level is Level.REQUIREMENT}
    assert requirements == {
        *(f"profile.{name}" for name in ("name", "website", "phone", "email", "icon")),
        *(f"eligibility.{name}" for name in ("infrastructure", "certification", "support", "source", "latest")),
        "eligibility.one-repository",
        "release.platforms",
        *(f"manifest.{name}" for name in ("name", "icon", "short-description", "category", "long-description")),
        *(f"manifest.{name}" for name in ("placeholder", "characters", "screenshot-form", "links", "support")),
        *(f"manifest.{name}" for name in ("support-email", "tiers", "tier-texts", "price", "sla", "licences")),
        "manifest.platforms",
        *(f"image.{name}" for name in ("non-root", "secrets", "password", "blank-password", "supervisor")),
        "image.unverified",
    }


def test_every_best_practice_of_the_domain_has_a_rule() -> None:
    practices = {
        *("base", "layers", "size", "leftovers", "deleted", "rebuilt", "healthcheck", "non-root", "secrets"),
        *("password", "blank-password", "labels", "licence", "supervisor", "author"),
        # section 4 of the CIS Docker Benchmark; content trust is the registry's and certification's business
        *("update-alone", "setuid", "add", "unverified"),
    }
    assert {f"image.{name}" for name in practices} <= set(known_ids())


# --- what a rule is -------------------------------------------------------------------------------------------------


def area_of(*evidence: Evidence, level: Level = Level.REQUIREMENT) -> Area[int]:
    area: Area[int] = Area("sample", "Sample")

    @area.rule("one", level, "Title", why="Why.", remedy="Remedy.")
    def _one(_: int) -> Iterable[Evidence]:
        yield from evidence

    @area.rule("two", Level.GUIDELINE, "Other", why="Why.", remedy="Remedy.")
    def _two(thing: int) -> Iterable[Evidence]:
        yield Evidence(str(10 // thing))

    return area


def test_a_rule_that_is_off_is_not_run_and_a_level_can_be_replaced() -> None:
    area = area_of(Evidence("x"))
    assert [result.rule for result in area.run(1, Rules(off=("sample.one",))).results] == ["sample.two"]
    guideline = area.run(1, Rules(guideline=("sample.one",), requirement=("sample.two",)))
    assert [finding.level for finding in guideline.findings] == [Level.GUIDELINE, Level.REQUIREMENT]
    assert [result.verdict for result in guideline.results] == [Verdict.WARNING, Verdict.FAILED]


def test_a_rule_that_breaks_is_the_hubs_failure_and_the_others_still_speak() -> None:
    checked = area_of(Evidence("x")).run(0, Rules(), place="Standard linux/amd64")
    assert [finding.rule for finding in checked.findings] == ["sample.one"]
    broken = checked.results[1]
    assert (broken.rule, broken.verdict, broken.where) == ("sample.two", Verdict.ERROR, "Standard linux/amd64")
    assert "ZeroDivisionError" in broken.detail


def test_two_rules_of_one_name_are_a_mistake_of_the_programmer() -> None:
    area = area_of()
    with pytest.raises(ValueError, match=r"two rules sample\.one"):
        area.rule("one", Level.GUIDELINE, "Title", why="Why.", remedy="Remedy.")(lambda _: ())


def test_a_place_and_a_subject_tell_findings_apart() -> None:
    area = area_of(Evidence("x", "layer 1"), Evidence("y", "layer 1", "root/.ssh"))
    first, second = area.run(1, Rules(off=("sample.two",)), place="Standard linux/amd64").findings
    assert (first.key, second.key) == (
        "sample.one:Standard linux/amd64:layer 1",
        "sample.one:Standard linux/amd64:root/.ssh",
    )
    assert first.where == "Standard linux/amd64 · layer 1"


def test_ten_thousand_findings_of_a_rule_are_fifty() -> None:
    area = area_of(*(Evidence(str(number), subject=str(number)) for number in range(10_000)))
    findings = area.run(1, Rules(off=("sample.two",))).findings
    assert len(findings) == MOST_FINDINGS
    assert findings[-1].evidence == "And 9,951 more like these."
    exactly = area_of(*(Evidence(str(number), subject=str(number)) for number in range(MOST_FINDINGS)))
    assert exactly.run(1, Rules(off=("sample.two",))).findings[-1].evidence == "49"


def test_keys_stay_short_and_different() -> None:
    long, other = key_of("image.secrets", "x" * 10_000), key_of("image.secrets", "x" * 9_999 + "y")
    assert (len(long), len(other)) == (LONGEST_KEY, LONGEST_KEY)
    assert long != other
    assert long == key_of("image.secrets", "x" * 10_000)
    assert key_of("image.secrets", "", "a") == "image.secrets:a"


def test_what_an_image_says_can_always_be_written_down() -> None:
    assert sayable("a\ud800b", 10) == "a?b"
    assert sayable("x" * 20, 10) == "x" * 9 + "…"
