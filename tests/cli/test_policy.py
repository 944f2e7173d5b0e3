"""`wharfinger policy`: what is in force, and what an edited file would change."""

from pathlib import Path

import pytest

from models.policy import HubPolicy
from tests.cli.conftest import Shell

OWN = Path(__file__).resolve().parents[2] / "policy.toml"


async def test_the_policy_in_force_is_shown_with_every_number(shell: Shell) -> None:
    shown = (await shell("policy", "show")).stdout
    for section in HubPolicy.model_fields:
        assert f"[{section}]" in shown
    for word in ("first_review_days", "uncompressed_bytes", "42,949,672,960", "USD, EUR, GBP", "critical_with_fix"):
        assert word in shown, word
    document = await shell.json("policy", "show")
    assert document["policy"]["deadlines"]["first_review_days"] == 14
    assert HubPolicy.model_validate(document["policy"]).digest == document["digest"]


async def test_a_fit_file_is_compared_with_the_policy_in_force(shell: Shell, tmp_path: Path) -> None:
    assert "It says the same as the policy in force." in (await shell("policy", "check", str(OWN))).stdout
    edited = tmp_path / "edited.toml"
    edited.write_text('[deadlines]\nfirst_review_days = 21\nholidays = "DE"\n[rules]\noff = ["image.healthcheck"]\n')
    document = await shell.json("policy", "check", str(edited))
    assert document["changes"] == [
        {"field": "deadlines.first_review_days", "now": "14", "then": "21"},
        {"field": "deadlines.holidays", "now": "none", "then": "DE"},
        {"field": "rules.off", "now": "none", "then": "image.healthcheck"},
    ]
    assert "deadlines.first_review_days" in (await shell("policy", "check", str(edited))).stdout


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            "[deadlines]\nfirst_review_days = 0\nchanges_expiry_days = 3\n",
            ("first_review_days", "greater than or equal"),
        ),
        ("[deadlnes]\n", ("deadlnes", "Did you mean deadlines?")),
        ("[deadlines\n", ("is not TOML",)),
        ('[rules]\noff = ["image.helthcheck"]\n', ("image.helthcheck", "Did you mean image.healthcheck?")),
        ('[rules]\nguideline = ["manifest.nothing"]\n', ("rules.guideline", "manifest.nothing")),
        ('[deadlines]\nholidays = "XX"\n', ("'XX'",)),
    ],
)
async def test_every_mistake_of_a_file_is_named(
    shell: Shell, tmp_path: Path, written: str, says: tuple[str, ...]
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(written)
    result = await shell("policy", "check", str(file), status=1)
    for words in says:
        assert words in result.stderr
    assert (await shell.json("policy", "check", str(file), status=1))["error"] == "InvalidPolicy"


async def test_a_file_that_cannot_be_read_is_named(shell: Shell, tmp_path: Path) -> None:
    assert "There is no file nowhere.toml." in await shell.refused("policy", "check", "nowhere.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xfc")
    assert "is not UTF-8" in await shell.refused("policy", "check", "latin.toml")


async def test_the_rules_are_listed_with_the_ids_that_switch_them(shell: Shell) -> None:
    rules = await shell.json("policy", "rules")
    ids = [rule["id"] for rule in rules]
    assert len(ids) == len(set(ids)) > 50
    assert {"profile.icon", "manifest.category", "eligibility.latest", "image.healthcheck"} <= set(ids)
    assert {rule["level"] for rule in rules} == {"requirement", "guideline"}
    assert "image.non-root" in (await shell("policy", "rules")).stdout
