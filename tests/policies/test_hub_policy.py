"""policy.toml: every mistake is named, with its line and with what is allowed instead."""

import tomllib
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from models.errors import InvalidPolicy
from models.findings import READABLE
from models.policy import Deadlines, HubPolicy, Section
from policies import rulebook, vulnerabilities
from policies.hub_policy import parse_policy

POLICY_FILE = Path(__file__).parents[2] / "policy.toml"


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as refusal:
        parse_policy(text)
    first, *lines = str(refusal.value).splitlines()
    assert first == "policy.toml is wrong:"
    return [line.removeprefix("  ") for line in lines]


def written(policy: HubPolicy) -> dict[str, Any]:
    return policy.model_dump(mode="json")


# --- what is written ------------------------------------------------------------------------------------------------


def test_the_repositorys_policy_says_exactly_the_defaults_and_all_of_them() -> None:
    text = POLICY_FILE.read_text(encoding="utf-8")
    assert parse_policy(text) == HubPolicy()
    assert tomllib.loads(text) == written(HubPolicy())


def test_an_empty_file_is_the_default_policy() -> None:
    assert parse_policy("") == HubPolicy()
    assert parse_policy("# nothing\n\n[deadlines]\n") == HubPolicy()


def test_what_is_written_counts_and_the_rest_is_default() -> None:
    policy = parse_policy(
        '[deadlines]\nreply_working_days = 3\nholidays = "DE"\n[severity]\ncritical = 9.5\n'
        '[rules]\noff = ["image.healthcheck"]\n[terms]\ncategories = ["databases"]\n'
    )
    assert (policy.deadlines.reply_working_days, policy.deadlines.holidays) == (3, "DE")
    assert policy.deadlines.changes_expiry_days == 35
    assert str(policy.severity.critical) == "9.5"
    assert (policy.rules.off, policy.terms.categories) == (("image.healthcheck",), ("databases",))
    assert policy.digest != HubPolicy().digest


def test_the_digest_names_what_the_policy_says_not_how_it_is_written() -> None:
    assert parse_policy("[deadlines]\nreply_working_days = 2 # as ever\n").digest == HubPolicy().digest


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() -> None:
    text = "\n[gate] # which hold up\n\n[deadlines] # in days\n# a comment = 3\nreply_working_day = 3\n"
    assert mistakes(text) == ["deadlines.reply_working_day (line 6) is not known. Did you mean reply_working_days?"]


def test_an_unknown_key_like_no_other_is_told_what_is_known() -> None:
    (line,) = mistakes("[gate]\nxyz = true\n")
    assert line.startswith("gate.xyz (line 2) is not known. Known here: critical_with_fix, critical_without_fix, ")


def test_an_unknown_table_is_named_too() -> None:
    assert mistakes("[deadline]\nx = 1\n") == ["deadline (line 1) is not known. Did you mean deadlines?"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[deadlines]\nreply_working_days = "two"', "deadlines.reply_working_days (line 2): a whole number is needed"),
        ('[deadlines]\nreply_working_days = "2"', "a whole number is needed here (given: '2')"),
        ("[deadlines]\nreply_working_days = 2.0", "a whole number is needed here (given: 2.0)"),
        ("[deadlines]\nreply_working_days = true", "a whole number is needed here (given: True)"),
        ("[deadlines]\nreply_working_days = 0", "Input should be greater than or equal to 1 (given: 0)"),
        ("[deadlines]\ndormant_days = 1_000_000_000", "Input should be less than or equal to 36500"),
        ("[deadlines]\nholidays = 49", "deadlines.holidays (line 2): Input should be a valid string (given: 49)"),
        ('[deadlines]\nholidays = "Germany"', "deadlines.holidays (line 2): no country with known holidays"),
        ('[gate]\nmajor_with_fix = "yes"', "gate.major_with_fix (line 2): true or false is needed here (given: 'yes')"),
        ("[gate]\nmajor_with_fix = 1", "true or false is needed here (given: 1)"),
        ('[severity]\ncritical = "high"', "severity.critical (line 2): Input should be a valid decimal"),
        ("[severity]\ncritical = nan", "severity.critical (line 2): Input should be a finite number"),
        ("[severity]\ncritical = 11", "severity.critical (line 2): Input should be less than or equal to 10"),
        ("deadlines = 5", "deadlines (line 1): Input should be a valid dictionary"),
        ('[terms]\ncategories = "databases"', "terms.categories (line 2): Input should be a valid tuple"),
        ('[terms]\ncategories = [\n  "a",\n  7,\n]', "terms.categories.1 (line 2): Input should be a valid string"),
        ("deadlines.reply_working_days = 0", "deadlines.reply_working_days (line 1): Input should be greater"),
        ('["deadlines"]\n"reply_working_days" = 0', "deadlines.reply_working_days (line 2): Input should be greater"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_was_given(text: str, says: str) -> None:
    (line,) = mistakes(text)
    assert says in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "\n[deadlines]\nchanges_reminder_days = 40",
            "deadlines (line 2): changes_reminder_days must be less than changes_expiry_days",
        ),
        (
            "[deadlines]\nfirst_review_days = 10",
            "deadlines (line 1): first_review_reminder_days must be less than first_review_days",
        ),
        (
            "[deadlines]\nlast_warning_days = 7",
            "deadlines (line 1): last_warning_reminder_days must be less than last_warning_days",
        ),
        (
            "[severity]\nmajor = 7.0",
            "severity (line 1): critical must be greater than major, and major greater than minor",
        ),
        (
            "[mail]\nfirst_retry_seconds = 20_000",
            "mail (line 1): first_retry_seconds must not be more than longest_retry_seconds",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_named(text: str, says: str) -> None:
    assert mistakes(text) == [says]


def test_where_a_key_is_written_so_that_its_line_is_not_seen_no_line_is_named() -> None:
    (line,) = mistakes('"deadl\\u0069nes" = 5')
    assert line.startswith("deadlines: Input should be a valid dictionary")


def test_all_mistakes_are_named_at_once() -> None:
    text = '[deadlines]\nx = 1\nreply_working_days = 0\n[gate]\nmajor_with_fix = "no"\n[nonsense]\n'
    assert len(mistakes(text)) == 4


# --- rule switches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["off", "requirement", "guideline"])
def test_a_switch_that_names_no_rule_is_a_mistake(switch: str) -> None:
    assert mistakes(f'[rules]\n{switch} = ["image.healtcheck"]') == [
        f"rules.{switch} (line 2): there is no rule image.healtcheck. Did you mean image.healthcheck?"
    ]


def test_every_rule_can_be_switched() -> None:
    for name in rulebook.known_ids():
        for switch in ("off", "requirement", "guideline"):
            assert getattr(parse_policy(f'[rules]\n{switch} = ["{name}"]').rules, switch) == (name,)


def test_a_rule_is_not_two_things_at_once() -> None:
    (line,) = mistakes('[rules]\nrequirement = ["image.size"]\nguideline = ["image.size"]')
    assert line == "rules.guideline (line 3): image.size cannot be both a requirement and a guideline."


def test_what_has_no_level_of_its_own_is_no_switch() -> None:
    for switch, name in (
        ("off", READABLE),
        ("guideline", READABLE),
        ("requirement", vulnerabilities.RULE),
        ("guideline", vulnerabilities.RULE),
    ):
        (line,) = mistakes(f'[rules]\n{switch} = ["{name}"]')
        assert f"{name} cannot be switched here" in line
    assert parse_policy(f'[rules]\noff = ["{vulnerabilities.RULE}"]').rules.off == (vulnerabilities.RULE,)


# --- hostile files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[deadlines",
        "a = 1\na = 2",
        "\x00",
        "\ufeff[deadlines]",
        "a = " + "1" * 5_000,
        "a = " + "[" * 50_000,
        "a = 'never closed",
        "\ud800 = 1",
    ],
)
def test_what_is_no_toml_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InvalidPolicy, match=r"^policy\.toml is not TOML: "):
        parse_policy(text)


def test_a_long_value_is_not_repeated_whole() -> None:
    (line,) = mistakes(f'[deadlines]\nreply_working_days = "{"x" * 1_000_000}"')
    assert len(line) < 300
    (line,) = mistakes(f'[rules]\noff = ["{"x" * 100_000}"]')
    assert len(str(InvalidPolicy(line))) <= 8_000


@given(st.text(max_size=300))
def test_any_text_is_a_policy_or_a_clear_error(text: str) -> None:
    try:
        policy = parse_policy(text)
    except InvalidPolicy:
        return
    assert isinstance(policy, HubPolicy)


# --- slices that travel ---------------------------------------------------------------------------------------------


def test_an_older_worker_reads_a_slice_to_which_a_newer_one_has_added() -> None:
    newer = Deadlines().model_dump(mode="json") | {"added_later_days": 3}
    assert Deadlines.model_validate(newer) == Deadlines()


@pytest.mark.parametrize("section", [field.annotation for field in HubPolicy.model_fields.values()])
def test_every_table_is_frozen_and_has_defaults_only(section: type[Section]) -> None:
    assert issubclass(section, Section)
    table = section()
    assert section.model_validate_json(table.model_dump_json()) == table
    name = next(iter(section.model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(table, name, getattr(table, name))
