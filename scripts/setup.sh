#!/bin/sh
# The environment below this folder: uv in .tools/, the locked packages and `wharfinger` itself in .venv/.
# Wants Python 3.11 or newer with pip. Writes nowhere else (uv's cache apart), and does nothing the second time.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m%s\033[0m %s\n' "wharfinger:" "$*"; }
[ -t 1 ] || say() { printf 'wharfinger: %s\n' "$*"; }
fail() { printf 'wharfinger: %s\n' "$*" >&2; exit 1; }

# The lock is for Python 3.11 and newer; 3.11 is what the tests run on. Another one: PYTHON=... make setup
suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-} python3.11 python3; do
    if suits "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or newer is needed: apt-get install python3.11 (or PYTHON=/path/to/python make setup)."

# What the environment is made from; its digest is kept in the environment.
made_from=$({ pwd; "$python" -c 'import sys; print(sys.base_prefix, sys.version)'; cat requirements.lock pyproject.toml \
    scripts/uv.txt scripts/setup.sh; } | sha256sum | cut -d' ' -f1)
stamp=.venv/.made-from
if [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ] && [ -x .venv/bin/wharfinger ] && .venv/bin/python -c ''; then
    exit 0
fi

mkdir -p .tools
if command -v flock >/dev/null; then # two `make` at once: one after the other
    exec 9>.tools/lock
    flock 9
fi

uv=.tools/bin/uv
version=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' scripts/uv.txt)
case "$("$uv" --version 2>/dev/null)" in
"uv $version"*) ;;
*)
    "$python" -m pip --version >/dev/null 2>&1 || scripts/apt.sh pip || true
    "$python" -m pip --version >/dev/null 2>&1 ||
        fail "$python has no pip, which fetches everything else: apt-get install python3-pip, then run this again."
    say "fetching uv $version"
    PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --upgrade --target .tools \
        --no-deps --only-binary :all: --require-hashes -r scripts/uv.txt ||
        fail "pip could not fetch uv; what it says above is the reason (network, proxy, package index)."
    ;;
esac

# uv reads no pip.conf: whoever has configured pip alone (a mirror, a proxy, a certificate) is heeded all the same.
settings=$("$python" scripts/indexes.py) || settings=
eval "$settings"
export UV_PYTHON_DOWNLOADS=never UV_PYTHON="$PWD/.venv/bin/python"

if [ "$(.venv/bin/python --version 2>/dev/null)" != "$("$python" --version)" ]; then
    say "making .venv with $("$python" --version)"
    "$uv" venv --quiet --clear --python "$python" .venv
fi
rm -f "$stamp"
say "installing the packages of requirements.lock, each checked by its hash"
[ -t 2 ] && quiet= || quiet=--quiet # a terminal gets the progress, a log does not get 140 lines
# shellcheck disable=SC2086 # one option or none
"$uv" pip sync $quiet --require-hashes requirements.lock ||
    fail "uv could not install the locked packages; what it says above is the reason (network, proxy, package index)."
"$uv" pip install --quiet --no-deps --no-build-isolation --editable .
echo "$made_from" >"$stamp"
say "ready: .venv/bin/wharfinger --help"
