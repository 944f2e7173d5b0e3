"""The policy in force is what policy.toml says now, unless that says nothing good."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from activities.policy import PolicyInForce
from models.errors import InvalidPolicy
from models.policy import HubPolicy


def written(path: Path, text: str, moment: int) -> None:
    """As an editor writes it; the time tells that it is another text, even within one tick of the clock."""
    path.write_text(text)
    os.utime(path, ns=(moment, moment))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    written(path, "[deadlines]\ndormant_days = 10\n", 1)
    return path


def test_an_edit_is_in_force_with_the_next_look(path: Path) -> None:
    policy = PolicyInForce(path)
    before = policy.current()
    assert before.deadlines.dormant_days == 10
    assert policy.current() is before, "it is parsed once"
    written(path, "[deadlines]\ndormant_days = 20\n", 2)
    assert policy.current().deadlines.dormant_days == 20
    assert policy.current().digest != before.digest


def test_an_empty_file_is_the_domains_own_numbers(path: Path) -> None:
    written(path, "", 3)
    assert PolicyInForce(path).current() == HubPolicy()


@pytest.mark.parametrize("mistake", ["[deadlines]\ndormant_days = 0\n", "dormant days", "[deadlines]\ndormant = 3\n"])
def test_a_mistake_leaves_the_last_good_policy_in_force_and_tells_ops_once(path: Path, mistake: str) -> None:
    policy = PolicyInForce(path)
    good = policy.current()
    written(path, mistake, 4)
    with capture_logs() as logs:
        assert policy.current() == good
        assert policy.current() == good
    assert [entry["log_level"] for entry in logs] == ["error"]
    written(path, "[deadlines]\ndormant_days = 30\n", 5)
    assert policy.current().deadlines.dormant_days == 30


def test_a_file_that_is_gone_or_unreadable_is_a_mistake_like_another(path: Path) -> None:
    policy = PolicyInForce(path)
    good = policy.current()
    path.unlink()
    assert policy.current() == good
    path.write_bytes(b"\xff\xfe\x00")
    assert policy.current() == good


@pytest.mark.parametrize("text", [None, "dormant days"])
def test_without_any_good_policy_nothing_begins(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "policy.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidPolicy):
        PolicyInForce(path).current()
