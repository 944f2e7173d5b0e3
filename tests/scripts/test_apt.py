"""scripts/apt.sh against a made-up Debian: no package of this machine is touched, nor its policy-rc.d."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "apt.sh"

#: Notes its arguments and what policy-rc.d says meanwhile, and installs by writing a name into a file.
APT_GET = r"""#!/bin/sh
echo "$*" >>"$DEBIAN/calls"
policy="$DEBIAN/usr/sbin/policy-rc.d"
[ -x "$policy" ] && { "$policy"; echo "policy-rc.d says $?" >>"$DEBIAN/calls"; }
echo "frontend $DEBIAN_FRONTEND" >>"$DEBIAN/calls"
case "$*" in
*update*) [ ! -e "$DEBIAN/offline" ] && touch "$DEBIAN/lists"; exit ;;
*--simulate*) [ -e "$DEBIAN/lists" ]; exit ;;
esac
[ -e "$DEBIAN/hangs" ] && { touch "$DEBIAN/hanging"; sleep 60; }
[ -e "$DEBIAN/lists" ] || { echo "E: Unable to locate package" >&2; exit 100; }
for word in "$@"; do
    case "$word" in -*|install|DPkg*) ;; *) echo "$word" >>"$DEBIAN/installed" ;; esac
done
"""

DPKG_QUERY = r"""#!/bin/sh
for package; do :; done
grep -qx "$package" "$DEBIAN/installed" 2>/dev/null && printf installed
"""

#: Refuses unless the machine has a file `sudo-allowed`.
SUDO = r"""#!/bin/sh
[ -e "$DEBIAN/sudo-allowed" ] || exit 1
shift
exec "$@"
"""


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A machine with apt's lists, where sudo asks for no password."""
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"apt-get": APT_GET, "dpkg-query": DPKG_QUERY, "sudo": SUDO}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "lists").touch()
    (tmp_path / "sudo-allowed").touch()
    return tmp_path


def command(debian: Path, *parts: str) -> tuple[list[str], dict[str, str]]:
    path = f"{debian / 'programs'}:/usr/bin:/bin"
    return [str(SCRIPT), *parts], {"PATH": path, "DEBIAN": str(debian), "WHARFINGER_TEST_ROOT": str(debian)}


def apt(debian: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    words, environment = command(debian, *parts)
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


def calls(debian: Path) -> str:
    return (debian / "calls").read_text() if (debian / "calls").exists() else ""


def policy(debian: Path) -> Path:
    return debian / "usr" / "sbin" / "policy-rc.d"


def test_missing_packages_are_installed_without_a_question_and_no_service_starts(debian: Path) -> None:
    run = apt(debian, "demo")
    assert run.returncode == 0, run.stderr
    assert (debian / "installed").read_text().split() == ["docker-registry", "skopeo"]
    assert "-y" in calls(debian)
    assert "--no-install-recommends" in calls(debian)
    assert "frontend noninteractive" in calls(debian)
    assert "policy-rc.d says 101" in calls(debian)
    assert "update" not in calls(debian)
    assert not policy(debian).exists()


def test_what_is_there_is_not_asked_for_again(debian: Path) -> None:
    (debian / "installed").write_text("docker-registry\nskopeo\n")
    assert apt(debian, "demo").returncode == 0
    assert calls(debian) == ""
    assert apt(debian, "demo", "test").returncode == 0
    assert (debian / "installed").read_text().split() == [
        "docker-registry",
        "skopeo",
        "postgresql",
        "node-semver",
        "rpm",
    ]


def test_the_lists_are_fetched_where_they_are_missing(debian: Path) -> None:
    (debian / "lists").unlink()
    assert apt(debian, "test").returncode == 0
    assert calls(debian).count("update") == 1
    assert "postgresql" in (debian / "installed").read_text()


def test_a_policy_that_was_there_is_put_back(debian: Path) -> None:
    policy(debian).write_text("#!/bin/sh\nexit 104\n")
    policy(debian).chmod(0o755)
    assert apt(debian, "demo").returncode == 0
    assert "policy-rc.d says 101" in calls(debian)
    assert policy(debian).read_text() == "#!/bin/sh\nexit 104\n"
    assert policy(debian).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("dangling", [True, False])
def test_a_policy_that_is_a_link_is_put_back_as_a_link(debian: Path, dangling: bool) -> None:
    target = debian / "policy"
    if not dangling:
        target.write_text("#!/bin/sh\nexit 0\n")
    policy(debian).symlink_to(target)
    assert apt(debian, "demo").returncode == 0
    assert policy(debian).readlink() == target
    assert dangling or target.read_text() == "#!/bin/sh\nexit 0\n"


def test_without_the_network_it_says_what_will_not_work_and_puts_the_policy_back(debian: Path) -> None:
    (debian / "lists").unlink()
    (debian / "offline").touch()
    policy(debian).write_text("mine")
    run = apt(debian, "test")
    assert run.returncode == 3
    assert "missing: docker-registry skopeo postgresql node-semver rpm" in run.stderr
    assert "postgresql - tests on PostgreSQL are skipped" in run.stderr
    assert policy(debian).read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_puts_the_policy_back(debian: Path, number: signal.Signals) -> None:
    policy(debian).write_text("mine")
    process = hanging(debian)
    os.killpg(process.pid, number)  # as a terminal does: to all in the foreground
    process.communicate(timeout=30)
    assert process.returncode in {128 + number, -number}
    assert policy(debian).read_text() == "mine"


def test_a_policy_that_a_killed_run_left_is_cleared_by_the_next(debian: Path) -> None:
    policy(debian).write_text("mine")
    process = hanging(debian)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert policy(debian).read_text() != "mine"
    (debian / "hangs").unlink()
    assert apt(debian, "demo").returncode == 0
    assert policy(debian).read_text() == "mine"


def hanging(debian: Path) -> "subprocess.Popen[str]":
    """A run in the middle of apt-get's work, leading a process group of its own."""
    (debian / "hangs").touch()
    words, environment = command(debian, "demo")
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not (debian / "hanging").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def somebody_who_is_not_root(debian: Path) -> None:
    (debian / "programs" / "id").write_text("#!/bin/sh\necho 1000\n")
    (debian / "programs" / "id").chmod(0o755)


def test_who_is_not_root_installs_by_sudo(debian: Path) -> None:
    somebody_who_is_not_root(debian)
    policy(debian).write_text("mine")
    assert apt(debian, "demo").returncode == 0
    assert (debian / "installed").read_text().split() == ["docker-registry", "skopeo"]
    assert "frontend noninteractive" in calls(debian)
    assert policy(debian).read_text() == "mine"


def test_who_may_not_use_sudo_is_told_the_command_to_type(debian: Path) -> None:
    somebody_who_is_not_root(debian)
    (debian / "sudo-allowed").unlink()
    run = apt(debian, "demo")
    assert run.returncode == 3
    assert "sudo scripts/apt.sh demo" in run.stderr
    assert calls(debian) == ""


def test_a_machine_without_apt_is_told_what_to_install(debian: Path) -> None:
    words, environment = command(debian, "demo")
    (debian / "programs" / "apt-get").unlink()
    tools = debian / "tools"
    tools.mkdir()
    for tool in ("sh", "id", "grep", "env", "cat"):
        (tools / tool).symlink_to(
            next(place for place in (Path("/bin") / tool, Path("/usr/bin") / tool) if place.exists())
        )
    environment["PATH"] = f"{debian / 'programs'}:{tools}"
    run = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 3
    assert "this is no Debian" in run.stderr
    assert "docker-registry" in run.stderr


def test_an_unknown_part_is_refused(debian: Path) -> None:
    run = apt(debian, "kitchen")
    assert run.returncode == 2
    assert "parts: demo test pip" in run.stderr
    assert apt(debian).returncode == 2
