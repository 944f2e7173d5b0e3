"""Whoever has configured pip alone has configured uv."""

import subprocess
import sys
from pathlib import Path

from scripts.indexes import configured, for_uv

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "indexes.py"


def test_the_environment_beats_the_install_section_which_beats_the_global_one() -> None:
    listing = (
        "global.index-url='https://a/simple'\ninstall.index-url='https://b/simple'\nsearch.index-url='https://c'\n"
    )
    assert configured(listing) == {"index-url": "https://b/simple"}
    assert configured(f":env:.index-url='https://e'\n{listing}") == {"index-url": "https://e"}
    assert configured("") == {}


def test_everything_that_leads_to_a_package_is_handed_on() -> None:
    pip = {
        "index-url": "https://name:word@mirror/simple",
        "extra-index-url": "https://one\nhttps://two",
        "find-links": "/wheels /more",
        "trusted-host": "mirror",
        "cert": "/ca.pem",
        "proxy": "http://proxy:3128",
        "default-timeout": "180",
    }
    assert for_uv(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://name:word@mirror/simple",
        "UV_EXTRA_INDEX_URL": "https://one https://two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "mirror",
        "SSL_CERT_FILE": "/ca.pem",
        "HTTP_PROXY": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_what_uv_is_told_already_wins() -> None:
    pip = {"index-url": "https://mirror/simple", "cert": "/ca.pem"}
    assert for_uv(pip, {"UV_INDEX": "https://other", "SSL_CERT_FILE": "/other.pem"}) == {}


def test_a_shell_reads_back_what_pip_says(tmp_path: Path) -> None:
    python = "/usr/bin/python3" if _has_pip("/usr/bin/python3") else sys.executable
    strange = "https://mirror/simple?a='b'&c=$HOME"
    done = subprocess.run(
        ["sh", "-c", f'eval "$({python} {SCRIPT})"; printf %s "$UV_DEFAULT_INDEX"'],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_INDEX_URL": strange},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == (strange if _has_pip(python) else "")


def _has_pip(python: str) -> bool:
    asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return asked.returncode == 0
