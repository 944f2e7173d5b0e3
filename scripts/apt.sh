#!/bin/sh
# Debian packages for a part of Wharfinger: scripts/apt.sh demo|test|pip... This is the one list of them.
# Installs what is missing without a question, and lets no service start: Wharfinger runs servers of its own, on free
# ports. Exits 0 when everything is there, 3 when something is missing and cannot be had (says what will not work).
set -eu

# What each package is for, as somebody reads it who cannot have it.
purpose() {
    case "$1" in
    docker-registry) echo "the hub and the sources are folders (OCI layouts) instead of a real registry" ;;
    skopeo) echo "no second opinion on what was published; tests against it are skipped" ;;
    postgresql) echo "tests on PostgreSQL are skipped" ;;
    node-semver) echo "npm's versions are not held against node's own order; that test is skipped" ;;
    rpm) echo "rpm's versions are not held against rpm's own order; that test is skipped" ;;
    python3-pip) echo "nothing can be fetched" ;;
    esac
}

packages_of() {
    case "$1" in
    demo) echo docker-registry skopeo ;;
    test) echo docker-registry skopeo postgresql node-semver rpm ;;
    pip) echo python3-pip ;;
    *)
        echo "apt.sh: there is no part $1; parts: demo test pip" >&2
        exit 2
        ;;
    esac
}

say() { printf 'wharfinger: %s\n' "$*"; }

[ $# -gt 0 ] || { echo "usage: scripts/apt.sh demo|test|pip..." >&2; exit 2; }
wanted=
for part in "$@"; do
    of_part=$(packages_of "$part")
    wanted="$wanted $of_part"
done

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=
still_missing() {
    missing=
    for package in $wanted; do
        case " $missing " in *" $package "*) continue ;; esac
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ]
}

go_without() {
    say "$1" >&2
    say "missing:$missing. Without:" >&2
    for package in $missing; do
        say "  $package - $(purpose "$package")" >&2
    done
    exit 3
}

still_missing || exit 0
command -v apt-get >/dev/null || go_without "this is no Debian; install these by the means of your system."
if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root() { sudo -n "$@"; }
else
    go_without "packages need root: run  sudo scripts/apt.sh $*"
fi

# While packages are installed, no service starts (policy-rc.d, exit 101: forbidden by policy). One that is there
# already is put aside and put back, also after a failure, Ctrl-C, or a run that was killed.
policy="${WHARFINGER_TEST_ROOT:-}/usr/sbin/policy-rc.d"
aside="$policy.before-wharfinger"
there() { [ -e "$1" ] || [ -L "$1" ]; }
restore() {
    if there "$aside"; then
        as_root mv -f "$aside" "$policy"
    elif grep -qs "wharfinger/scripts/apt.sh" "$policy"; then
        as_root rm -f "$policy"
    fi
}
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
restore # a run that was killed may have left its own
! there "$policy" || as_root mv "$policy" "$aside"
printf '#!/bin/sh\n# wharfinger/scripts/apt.sh, for the time of an installation\nexit 101\n' |
    as_root sh -c 'cat > "$1" && chmod 755 "$1"' sh "$policy"

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }
# shellcheck disable=SC2086 # the list is words
install() { apt install --no-install-recommends $missing </dev/null; }

say "installing Debian packages:$missing (no service is started)"
log=$(mktemp)
if ! { apt install --no-install-recommends --simulate $missing >/dev/null 2>&1 && install >"$log" 2>&1; }; then
    say "fetching Debian's package lists"
    if ! { apt update >"$log" 2>&1 && still_missing && install >>"$log" 2>&1; }; then
        tail -n 15 "$log" >&2
    fi
fi
rm -f "$log"
if still_missing; then
    go_without "apt-get could not install everything."
fi
