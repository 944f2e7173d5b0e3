"""The wheel has every room and everything that the program reads at run time, and nothing else."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Top-level folders that are for developers.
NOT_SHIPPED = {"tests", "scripts", "benchmarks", "docs", "build", "dist"}

#: Modules that act when they are imported.
DONE_BY_RUNNING = ("__main__", "store.migrations.env")

#: Runs in the unpacked wheel, with the installed dependencies but without the checkout on the path.
JOURNEY = """
import asyncio, importlib, sys
from pathlib import Path

wheel, root, home = (Path(word) for word in sys.argv[1:4])
sys.path[:] = [str(wheel), *(entry for entry in sys.path if Path(entry).resolve() != root)]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
for name in sys.argv[4:]:
    if name.startswith("store.migrations.versions"):
        continue
    module = importlib.import_module(name)
    assert Path(module.__file__).is_relative_to(wheel), module.__file__

from activities.policy import PolicyInForce
from settings import Settings
from store.database import Database

async def migrated():
    database = Database(f"sqlite:///{home}/hub.sqlite")
    await database.migrate()
    await database.close()

assert PolicyInForce(Settings().policy_place).current()
asyncio.run(migrated())

from starter import main

sys.argv = ["wharfinger", "--help"]
main()
"""


def rooms() -> Iterator[Path]:
    for path in ROOT.iterdir():
        if path.name not in NOT_SHIPPED and not path.name.startswith(".") and any(path.glob("*.py")):
            yield path


def shipped() -> set[str]:
    """What lies in the rooms, and the modules and the policy beside them."""
    files = {path for room in rooms() for path in room.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    files |= {*ROOT.glob("*.py"), ROOT / "policy.toml"}
    return {path.relative_to(ROOT).as_posix() for path in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the locked hatchling: no network, no isolation."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def test_every_room_and_every_file_in_it_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert names == shipped()
    assert "store/migrations/script.py.mako" in names


def test_the_wheel_says_how_the_program_is_called(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "wharfinger = starter:main" in archive.read(entry).decode()


def test_the_program_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    modules = [".".join(Path(name).with_suffix("").parts) for name in shipped() if name.endswith(".py")]
    modules = [name.removesuffix(".__init__") for name in sorted(modules) if not name.endswith(DONE_BY_RUNNING)]
    command = [sys.executable, "-I", "-c", JOURNEY, str(unpacked), str(ROOT), str(tmp_path), *modules]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "doctor" in run.stdout
