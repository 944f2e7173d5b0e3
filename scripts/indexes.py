"""What pip is configured with, as settings of uv: prints lines for a shell's `eval`.

uv reads no pip.conf and no PIP_ variable. Whoever has set up a mirror, a proxy or a certificate for pip has the same
for uv this way; a variable of uv's own that is set already wins.
"""

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

#: Sections of pip's configuration that `pip install` heeds, the strongest first.
SECTIONS = (":env:", "install", "global")


def configured(listing: str) -> dict[str, str]:
    """The options that `pip install` would heed, from what `pip config list` prints (`section.option='value'`)."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section not in SECTIONS:
            continue
        rank = SECTIONS.index(section)
        if option not in found or rank < found[option][0]:
            found[option] = rank, str(ast.literal_eval(value))
    return {option: value for option, (_, value) in found.items()}


def for_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that give uv the same sources, leaving alone what the environment says already."""
    settings: dict[str, str] = {}
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"} & environment.keys():
        if "index-url" in pip:
            settings["UV_DEFAULT_INDEX"] = pip["index-url"]
        if "extra-index-url" in pip:
            settings["UV_EXTRA_INDEX_URL"] = " ".join(pip["extra-index-url"].split())
            # pip looks into all of them. Every file of ours is pinned by its hash, so none can slip in a foreign one.
            settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "find-links" in pip:
        settings["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        settings["UV_NO_INDEX"] = "1"
    if "trusted-host" in pip:
        settings["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
    if "cert" in pip:
        settings["SSL_CERT_FILE"] = pip["cert"]
    if "proxy" in pip:
        settings |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), pip["proxy"])
    if "timeout" in pip or "default-timeout" in pip:
        settings["UV_HTTP_TIMEOUT"] = pip.get("timeout") or pip["default-timeout"]
    return {name: value for name, value in settings.items() if name not in environment}


def main() -> None:
    """Prints `export NAME=VALUE` lines; nothing where pip has no settings or cannot be asked."""
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    for name, value in for_uv(configured(asked.stdout), os.environ).items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
