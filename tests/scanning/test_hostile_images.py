"""The corpus of hostile images through the whole command: a report or one clear line, and nothing else harmed.

Each runs as a publisher's image would: resolved, fetched into a work folder, read by our own pass and by trivy. The
heavy ones run in a process of their own, whose memory is measured.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import starter
from scanning.demo import DEMO_ADVISORIES
from tests.parts.presence import needs
from tests.scanning.hostile_images import ATTACKS, HEAVY, MIB, Attack

pytestmark = [pytest.mark.system, needs("trivy")]

#: bytes of memory of the largest process of a scan; of an honest image it is about 120 MB
MOST_MEMORY = 700 * MIB
#: bytes that a scan leaves in the hub's home: caches of what is known of layers, never their contents
MOST_LEFT = 64 * MIB
#: seconds after which it hangs; none of them takes a tenth of that
HANGS = 400

#: writes the status of a scan and the bytes of the largest process in it. A process of its own, since the kernel counts
#: what a process was before it became another program, and the tests are large by now
_MEASURED = """
import resource, subprocess, sys
scan = [sys.executable, "-c", "import starter; starter.main()", "scan", sys.argv[2], "--json"]
status = subprocess.run(scan, stderr=subprocess.DEVNULL).returncode
with open(sys.argv[1], "w") as file:
    print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=file)
"""

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a few advisories, shared by the light ones: what one leaves there must not harm the next."""
    folder = tmp_path_factory.mktemp("home")
    done = CliRunner().invoke(
        starter.app, ["advisories", "import", str(DEMO_ADVISORIES)], env={"WHARFINGER_HOME": str(folder)}
    )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; in the end there is none."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_image_is_scanned_or_refused_in_words(
    attack: Attack, home: Path, scratch: Path, tmp_path: Path
) -> None:
    place = built(attack, tmp_path)
    before = state_of(place)
    done = CliRunner().invoke(starter.app, ["scan", f"oci:{place}:1.0", "--json"], env={"WHARFINGER_HOME": str(home)})
    judge(attack, done.exit_code, done.stdout)
    assert state_of(place) == before


@pytest.mark.parametrize("attack", HEAVY, ids=lambda attack: attack.name)
def test_a_heavy_one_takes_bounded_memory_and_disk(attack: Attack, tmp_path: Path) -> None:
    place = built(attack, tmp_path)
    home, scratch = tmp_path / "home", tmp_path / "tmp"
    scratch.mkdir()
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            [sys.executable, "-c", _MEASURED, str(tmp_path / "used"), f"oci:{place}:1.0"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WHARFINGER_HOME": str(home), "TMPDIR": str(scratch)},
            stdout=out,
            check=True,
            timeout=HANGS,
        )
    status, memory = (int(word) for word in (tmp_path / "used").read_text().split())
    judge(attack, status, (tmp_path / "out").read_text())
    assert memory < MOST_MEMORY
    assert list(scratch.iterdir()) == []
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < MOST_LEFT


def built(attack: Attack, folder: Path) -> Path:
    place = folder / "image"
    place.mkdir()
    attack.build(place)
    return place


def judge(attack: Attack, status: int, output: str) -> None:
    said: dict[str, Any] = json.loads(output)
    # terminals and pages take nothing that is shown for an order
    assert all(character.isprintable() or character == "\n" for character in output)
    if attack.refused:
        assert status == 1
        assert attack.refused in said["message"]
        assert len(said["message"]) < 1_000
        assert "Traceback" not in output
    else:
        assert status == 0, said
        assert len(said["platforms"]) == 1


def state_of(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }
