"""Versions are in the order of their own tools: dpkg, apk, rpm, node's semver, packaging, and the others' rules."""

import random
import subprocess
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import InvalidVersion as InvalidPythonVersion
from packaging.version import Version as PythonVersion
from univers.versions import RpmVersion

from scanning.version_keys import InvalidVersion, base_of, version_key
from scanning.versions import compare
from tests.parts.presence import needs

#: one ecosystem of each kind of version, and one that nobody knows
ECOSYSTEMS = (
    *("Debian:12", "Alpine:v3.20", "Rocky Linux:9", "PyPI", "npm", "Go", "NuGet", "Packagist", "Maven", "RubyGems"),
    "Somewhere",
)

PIECES = (
    *("0", "1", "2", "9", "10", "05", "00", "2024", ".", ".", ".", "-", "-", "_", "~", "+", ":", "^", "a", "b", "z"),
    *(
        "rc",
        "alpha",
        "beta1",
        "dev",
        "p1",
        "_p2",
        "_rc1",
        "_git",
        "-r0",
        "-r10",
        "1.",
        "-1",
        ".0",
        "v",
        "post",
        "Final",
    ),
)
TAILS = (
    *(
        "",
        "",
        "-beta",
        "-beta.1",
        "a1",
        "rc1",
        "-SNAPSHOT",
        "+b1",
        "~rc1",
        "^git1",
        "-1",
        "-r1",
        ".Final",
        "_p1",
        ".pre",
    ),
    *("-alpha", "-1.el9", "-2.el8_4", "-rc.1+b2", "_rc1-r2", "b", "-1+b1", ".dev1", "-dev", "-patch2", "~0ab"),
)
versions = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join)


def in_order(ecosystem: str, *groups: str | tuple[str, ...]) -> None:
    """Each group older than all that follow it; what is in one group is the same version."""
    listed = [group if isinstance(group, tuple) else (group,) for group in groups]
    for place, group in enumerate(listed):
        for a, b in product(group, group):
            assert compare(ecosystem, a, b) == 0, f"{a} and {b}"
        for later in listed[place + 1 :]:
            for a, b in product(group, later):
                assert compare(ecosystem, a, b) == -1, f"{a} before {b}"
                assert compare(ecosystem, b, a) == 1, f"{b} after {a}"


def readable(ecosystem: str) -> st.SearchStrategy[str]:
    numbers = st.lists(st.sampled_from((0, 1, 2, 9, 10, "05")), min_size=1, max_size=4)
    made = st.builds(lambda parts, tail: ".".join(map(str, parts)) + tail, numbers, st.sampled_from(TAILS))
    return (made | versions).filter(lambda version: is_readable(ecosystem, version))


def is_readable(ecosystem: str, version: str) -> bool:
    try:
        return version_key(ecosystem, version) is not None
    except InvalidVersion:
        return False


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@settings(max_examples=30)
@given(data=st.data())
def test_every_order_is_an_order(ecosystem: str, data: st.DataObject) -> None:
    a, b, c = (data.draw(readable(ecosystem)) for _ in range(3))
    assert compare(ecosystem, a, a) == 0
    ab, bc, ac = (compare(ecosystem, *pair) for pair in ((a, b), (b, c), (a, c)))
    assert compare(ecosystem, b, a) == -ab
    if ab == bc or bc == 0:
        assert ac == ab
    if ab == 0:
        assert ac == bc


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@given(text=st.text(max_size=40) | versions)
@example(text="")
@example(text="\u0663.\u0661")
@example(text="1.0\n")
@example(text="1.0\x00")
@example(text="²")
@example(text="1:")
@example(text="-")
@example(text="1" * 5000)
def test_whatever_is_no_version_is_said_to_be_none(ecosystem: str, text: str) -> None:
    try:
        key = version_key(ecosystem, text)
    except InvalidVersion:
        return
    assert key == version_key(ecosystem, text)


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@pytest.mark.parametrize(
    "unit", ["1", "1.", "a", "1a", "a1", "-", "1-", "1.0-", "~", "_p1", "_p", ".a", "0", "1+", "~a"]
)
def test_a_long_version_costs_no_more_than_its_length(ecosystem: str, unit: str) -> None:
    """What takes time with the square of it, or goes too deep, would show at the longest that is read."""
    for longest in (unit * (250 // len(unit)), "1.0-" + unit * (240 // len(unit)) + "!"):
        try:
            assert compare(ecosystem, longest, longest[:-1] + "2") in (-1, 0, 1)
        except InvalidVersion:
            continue
    with pytest.raises(InvalidVersion):
        version_key(ecosystem, unit * 10_000)


def test_the_release_of_a_distribution_does_not_change_its_order() -> None:
    assert base_of("Debian:12") == "Debian"
    assert base_of("npm") == "npm"
    assert compare("Debian:11", "1.0~rc1", "1.0") == -1


def debian_versions(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)  # noqa: S311
    ends = ("", "-1", "-1+b1", "-0ubuntu1", "-1~bpo12+1", "+dfsg-2", "-1+deb12u3", "-00", "-0", "-1.1")
    found = {
        "0",
        "0-0",
        "00",
        "1.",
        "1.0",
        "1~",
        "1~~",
        "1~~a",
        "1a~",
        "1-1-1",
        "1:1:2",
        "0:1",
        "1+1",
        "1a",
        "1A",
        "1Z",
    }
    while len(found) < count:
        epoch = chance.choice(("", "", "", "0:", "1:", "2:"))
        numbers = ".".join(str(chance.choice((0, 1, 2, 9, 10, 11, 99, "01"))) for _ in range(chance.randint(1, 3)))
        middle = "".join(chance.choice("0019az.+~A") for _ in range(chance.randint(0, 3)))
        found.add(f"{epoch}{numbers}{middle}{chance.choice(ends)}")
    return sorted(found)


def dpkg_says(pairs: list[tuple[str, str, str]]) -> list[str]:
    """The pairs (a, lt or eq, b) that dpkg denies."""
    script = 'while read -r a how b; do dpkg --compare-versions "$a" "$how" "$b" || echo "$a $how $b"; done'
    said = "".join(f"{a} {how} {b}\n" for a, how, b in pairs)
    return subprocess.run(
        ["sh", "-c", script], input=said, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@needs("dpkg")
def test_debian_versions_are_in_the_order_of_dpkg() -> None:
    """Sorted by our key, each is older than or the same as its neighbour says dpkg: so are all half a million pairs."""
    keyed = sorted((version_key("Debian", version), version) for version in debian_versions(1000, seed=7))
    pairs = [(a, "eq" if key == later else "lt", b) for (key, a), (later, b) in pairwise(keyed)]
    assert {how for _, how, _ in pairs} == {"eq", "lt"}
    assert dpkg_says(pairs) == []


@needs("dpkg")
def test_what_dpkg_refuses_is_no_debian_version_and_what_it_takes_is_one() -> None:
    chance = random.Random(8)  # noqa: S311
    texts = {"".join(chance.choice("00192az.+~:-_é") for _ in range(chance.randint(1, 6))) for _ in range(200)}
    refused = taken = 0
    for text in sorted(texts):
        answer = subprocess.run(["dpkg", "--validate-version", "--", text], capture_output=True).returncode
        if answer == 2:
            refused += 1
            with pytest.raises(InvalidVersion):
                version_key("Debian", text)
        elif answer == 0:
            taken += 1
            assert version_key("Debian", text)
    assert refused > 15
    assert taken > 15


def test_alpine_versions_are_in_the_order_of_apk() -> None:
    in_order(
        "Alpine",
        *(
            "1.2_alpha_pre2",
            "1.2_alpha",
            "1.2_alpha1",
            "1.2_beta",
            "1.2_pre9",
            "1.2_pre20060810",
            "1.2_rc",
            "1.2_rc2-r1",
        ),
        *("1.2", "1.2-r0", "1.2-r1", "1.2-r10", "1.2~0a1b", "1.2_cvs1", "1.2_svn", "1.2_git20230717-r5", "1.2_hg"),
        *("1.2_p1", "1.2_p10", "1.2a", "1.2a1", "1.2b", "1.2.0", "1.2.05", "1.2.1", "1.10", "2"),
    )
    # from secdb and from packages: what univers takes for no version
    in_order("Alpine", "3.3.3_p1-r3", "3.3.3p1-r3", "3.3.3p1-r4", "3.3.3p2-r0", "3.3.4-r0")
    in_order("Alpine", "1.2.2-r5", "1.2.2_git20230717-r5", "1.2.2_git20230718-r0", "1.2.3_alpha-r0", "1.2.3-r0")


def test_alpine_versions_are_as_the_tests_of_apk_tools_have_them() -> None:
    lines = (Path(__file__).parent / "apk_versions.txt").read_text(encoding="utf-8").splitlines()
    facts = [fact.split() for line in lines if not line.startswith("#") for fact in line.split("; ")]
    assert len(facts) > 390
    signs = {-1: "<", 0: "=", 1: ">"}
    assert [(a, how, b) for a, how, b in facts if signs[compare("Alpine", a, b)] != how] == []


def test_alpine_numbers_with_a_leading_zero_are_fractions_but_for_the_first() -> None:
    in_order("Alpine", "1.02.07", "1.02.10-r1", "1.05-r18", "1.06", "1.1")
    in_order("Alpine", "8.2.0015", "8.2.002", "8.2.1")
    in_order("Alpine", "5", ("006", "6"), "7", "10-r1", "013", "20050718-r1")


def test_what_apk_cannot_read_of_a_version_is_older_than_an_end_there() -> None:
    """Bounds of Alpine's own advisories: a dot for the dash, a Debian revision, a dot too many."""
    in_order("Alpine", "10.2.25-r9", "10.2.26_rc1-r0", "10.2.26.r0", "10.2.26", "10.2.26-r0", "10.2.27-r0")
    in_order("Alpine", "2.7.16-33", "2.7.16", "2.7.16-r0")
    in_order("Alpine", "1.0.4.-r0", "1.0.4", "1.0.4-r0")
    in_order("Alpine", "4_beta", "23_foo")
    for none in ("", "r1", "_p1", "-r1", ".1", "v1.0"):
        with pytest.raises(InvalidVersion):
            version_key("Alpine", none)


def test_rpm_versions_are_in_the_order_of_rpm() -> None:
    in_order(
        "Red Hat",
        *(
            "1.0~alpha1",
            "1.0~rc1",
            "1.0~rc1^git1",
            "1.0~rc1.1",
            ("1.0", "1.0.", "1_0", "1.00"),
            "1.0-1.el9",
            "1.0-2.el9",
        ),
        *("1.0-10.el9_4", "1.0^", "1.0^git1", "1.0^git2", ("1.0a", "1.0.a"), "1.0.1", "1.1", "1:0.1", "2:0.1"),
    )
    in_order("Rocky Linux", "xyz.4", "8", "10a", ("10.0001", "10.1"), "10.1xyz", "10.0039", "4999.9", "5000")
    in_order("SUSE", "5.5p1", "5.5p2", "5.5p10")


def test_univers_orders_rpm_versions_as_we_do() -> None:
    chance = random.Random(9)  # noqa: S311
    tails = ("", "~rc1", "^git1", "a", "-1", "-1.el9", "-2.el8_4", ".p1")
    found = sorted(
        {
            f"{chance.choice(('', '1:'))}{chance.randint(0, 3)}.{chance.randint(0, 11)}{chance.choice(tails)}"
            for _ in range(120)
        }
    )
    for a, b in product(found, found):
        first, second = RpmVersion(a), RpmVersion(b)
        assert compare("AlmaLinux", a, b) == (first > second) - (first < second), f"{a} and {b}"


@given(a=versions, b=versions)
@example(a="1.0", b="1.0.0")
@example(a="1!1.0", b="2.0")
@example(a="1.0.dev1", b="1.0a1")
@example(a="1.0+local.1", b="1.0")
def test_python_versions_are_in_the_order_of_packaging(a: str, b: str) -> None:
    try:
        first, second = PythonVersion(a), PythonVersion(b)
    except InvalidPythonVersion:
        with pytest.raises(InvalidVersion):
            compare("PyPI", a, b)
    else:
        assert compare("PyPI", a, b) == (first > second) - (first < second)


#: as the package semver 7.8.5 of node sorts them, with its option `loose`
NODE = """
0.0.0-foo; 0.0.0; 0.0.1; 0.2.1; 0.21.1; 1.0.0-alpha; 1.0.0-alpha.1; 1.0.0-alpha.beta; 1.0.0-beta; 1.0.0-beta.2;
1.0.0-beta.11; 1.0.0-rc.1; 1.0.0-x.7.z.92; 1.0.0-x-y-z.4; 1.0.0 1.0.0+build.5 v1.0.0; =1.0.1; 1.2.3-4; 1.2.3-5;
1.2.3--1; 1.2.3-4-foo; 1.2.3-5-Foo; 1.2.3-5-foo; 1.2.3-a.b.c.5.d.100; 1.2.3-a.b.c.10.d.5; 1.2.3-asdf; 1.2.3-asdf2;
1.2.3beta; 1.2.6; 2.0.0-0; 2.0.0-beta.3; 2.0.0-beta3; 2.0.0; 3.0.0-rc.1; 3.0.0-rc.9; 3.0.0-rc.10; 4.17.15; 4.17.21;
9.9.9; 10.0.0
"""


def test_npm_versions_are_in_the_order_of_node() -> None:
    in_order("npm", *(tuple(line.split()) for line in NODE.split(";")))
    for none in ("x", "^1.2.3", "1.2.3 foo", "1.2.x", "latest", "1.2.3-", "1.2.3-a..b"):
        with pytest.raises(InvalidVersion):
            version_key("npm", none)


def test_go_modules_are_semver_with_pseudo_versions_and_go_itself_has_its_own_spelling() -> None:
    in_order(
        "Go",
        *(
            "v0.0.0-20190101000000-ffffffffffff",
            "v0.0.0-20200101000000-000000000000",
            "0.1.0",
            "v1.2.3-0.20200101000000-a1",
        ),
        *(
            "v1.2.3-rc.1",
            "v1.2.3-rc.1.0.20200101000000-a1",
            ("v1.2.3", "1.2.3"),
            "v1.2.4-0.20200201000000-b2",
            "v1.2.4",
        ),
        *(("v2.0.0+incompatible", "2.0.0", "v2.0.0+dirty"), "v2.0.1", "v10.0.0"),
    )
    in_order(
        "Go",
        *("go1.21.5", "1.22.0-0", ("go1.22beta1", "1.22.0-beta.1"), ("go1.22rc1", "1.22.0-rc.1"), "go1.22rc2"),
        *(("go1.22", "go1.22.0", "v1.22.0", "go1.22.0 X:boringcrypto", "go1.22.0-acme"), "go1.22.1"),
    )
    for none in ("(devel)", "devel +a1b2", "unknown"):
        with pytest.raises(InvalidVersion):
            version_key("Go", none)


def test_other_registries_order_their_versions_by_their_own_rules() -> None:
    in_order(
        "NuGet", "1.0.0-alpha", ("1.0.0-BETA", "1.0.0-beta"), ("1.0", "1.0.0", "1.0.0.0"), "1.0.0.1", "1.0.1", "10.0"
    )
    in_order(
        "Packagist",
        *(
            ("1.0-dev", "1.0.0-dev"),
            ("1.0.0-alpha1", "v1.0a1"),
            "1.0.0-beta2-dev",
            ("1.0.0-beta2", "1.0b2"),
            "1.0.0-RC1",
        ),
        *(("1.0.0", "v1.0", "1.0.0.0"), ("1.0.0-p1", "1.0.0-patch1"), "1.0.0.1", "1.0.1", "1.10.0"),
    )
    with pytest.raises(InvalidVersion):
        version_key("Packagist", "dev-main")
    in_order(
        "Maven",
        *(
            "1.0-alpha-1",
            "1.0-beta-1",
            "1.0-m1",
            ("1.0-rc1", "1.0-cr1"),
            "1.0-SNAPSHOT",
            ("1", "1.0", "1.0.0", "1.0.Final"),
        ),
        *("1.0-sp1", "1.0.1", "1.9", "1.10"),
    )
    in_order("RubyGems", "0.9", "1.0.a.2", "1.0.a9", "1.0.a10", "1.0.b1", ("1", "1.0", "1.0.0"), "1.0.1", "3.2", "3.10")


def test_versions_of_an_unknown_ecosystem_are_compared_by_their_numbers() -> None:
    in_order("Somewhere", "1.9", "1.10~rc1", "1.10-beta", "1.10-rc1", "1.10", "1.10-p1", "1.10.1", "2", "10.0")
    with pytest.raises(InvalidVersion):
        version_key("Somewhere", "latest")
