"""`make check` shows every complaint in one round."""

import sys
from pathlib import Path

import pytest

from scripts import check
from scripts.check import Step


def test_all_steps_run_and_one_failure_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = (Step("one", "first", lambda: "it [leaks]", "a bucket"), Step("two", "second", lambda: ""))
    monkeypatch.setattr(check, "STEPS", steps)
    assert check.main([]) == 1
    said = capsys.readouterr().out
    assert "it [leaks]" in said
    assert "a bucket" in said
    assert "failed: one" in said
    assert check.main(["two"]) == 0
    assert "all is well" in capsys.readouterr().out
    assert check.main(["three"]) == 2


def test_what_a_failed_command_said_is_the_complaint() -> None:
    assert check.run(sys.executable, "-c", "") == ""
    assert check.run(sys.executable, "-c", "import sys; sys.exit('too heavy')") == "too heavy"
    assert check.run(sys.executable, "-c", "import sys; sys.exit(4)") == "exit status 4"


def test_a_long_file_is_told_but_a_migration_may_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ROOT", tmp_path)
    for name in ("long.py", "short.py", "store/migrations/versions/0001.py", ".venv/other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("pass\n" * (400 if name == "short.py" else 401))
    assert check.lengths() == "long.py: 401 lines"
