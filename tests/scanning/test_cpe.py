"""CPE names, and the order of the versions in them: with bounds that stand in NVD's data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanning.cpe import Cpe, parse_cpe, product_from
from scanning.cpe_versions import cpe_version_key
from scanning.version_keys import InvalidVersion


def test_a_name_is_read_into_what_matters() -> None:
    read = parse_cpe("cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:linux:*:*")
    assert read == Cpe("a", "openbsd:openssh", "9.2", "p1", ("linux",))
    assert read.full_version == "9.2-p1"
    assert product_from(read.name) == ("openbsd", "openssh")


def test_what_is_left_out_at_the_end_is_any_and_any_is_no_version() -> None:
    assert parse_cpe("cpe:2.3:a:openssl:openssl") == Cpe("a", "openssl:openssl", "*", "*", ())
    for version in ("*", "-"):
        assert parse_cpe(f"cpe:2.3:a:openssl:openssl:{version}:*").full_version == ""


def test_a_sign_that_is_escaped_divides_nothing() -> None:
    read = parse_cpe(r"cpe:2.3:a:perl\:\:mongers:c\+\+\:thing:1.0\+b:*:*:*:*:*:*:*")
    assert (product_from(read.name), read.version) == ((r"perl\:\:mongers", r"c\+\+\:thing"), "1.0+b")


@pytest.mark.parametrize(
    "text",
    [
        *("", "nginx", "cpe:/a:nginx:nginx:1.0", "cpe:2.3:a", "cpe:2.3:a:nginx", "cpe:2.3:a::nginx:1.0"),
        *("cpe:2.3:a:b:c:1:2:3:4:5:6:7:8:9", "cpe:2.3:a:b:c\n:1.0", "cpe:2.3:a:b:" + "c" * 1000, "cpe:2.3:a:b c:d"),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no CPE 2\.3 name"):
        parse_cpe(text)


@pytest.mark.parametrize(
    ("once", "today"),
    [
        ("igor_sysoev:nginx", "f5:nginx"),
        ("nginx:nginx", "f5:nginx"),
        ("redislabs:redis", "redis:redis"),
        ("python_software_foundation:cpython", "python:python"),
        ("git:git", "git-scm:git"),
        ("sun:openjdk", "oracle:openjdk"),
        ("haxx:libcurl", "haxx:curl"),
        ("oracle:jre", "oracle:jre"),
    ],
)
def test_a_product_is_one_under_all_the_names_it_has_borne(once: str, today: str) -> None:
    assert parse_cpe(f"cpe:2.3:a:{once}:1.0").name == parse_cpe(f"cpe:2.3:a:{today}:1.0").name == today


#: the oldest first; bounds and releases of the products' own
ORDERS = {
    "openssl:openssl": "0.9.8 0.9.8zh 1.0.2-beta1 1.0.2 1.0.2a 1.0.2m 1.0.2z 1.0.2zg 1.1.1 1.1.1n 1.1.1o 1.1.1zh"
    " 3.0.0-alpha1 3.0.0-beta2 3.0.0 3.0.9 3.0.10 3.1",
    "openbsd:openssh": "7.4 8.5 8.5p1 9.2p1 9.5p1 9.8 9.8p1 9.9p2 10.0 10.0p1 10.5",
    "oracle:openjdk": "1.3.1_25 1.4.2_32 1.5.0_55 1.6 1.6.0_26 7.0.0 1.7.0_331 8 1.8.0_72 8u292 1.8.0_301-b09 9 11.0.11"
    " 17-ea 17.0.9 20-ea 20 21.0.4",
    "python:python": "2.7.18 3.6.13 3.10.0a0 3.10.0b1 3.10.0rc1 3.10.0 3.10.3 3.12.0-alpha0"
    " 3.12.0-alpha8 3.12.0b4 3.12.0",
    "haproxy:haproxy": "2.2-dev0 2.2.27 2.8-dev0 2.8-dev1 2.8 3 3.0.4 3.1-alpha0 3.1-dev6 3.1-dev7 3.1",
    "git-scm:git": "2.0.0-rc0 2.13.7 2.39.2 2.44.0-rc0 2.44.0 2.44.1 2.50.0",
    "gnu:glibc": "1.93-260 2.1.1 2.1.1-89 2.1.93 2.36 2.40",
    "postgresql:postgresql": "9.6 12.21 13 13.17 17-beta1 17 17.1",
    "php:php": "7.4.33 8.0.0-RC1 8.0.0 8.1.29",
    "ruby-lang:ruby": "1.9.3 1.9.3-p551 2.7.0-preview1 2.7.0 3.1.2",
    "perl:perl": "5.8.8 5.36.0 5.38.0-RC1 5.38.0",
    "apache:http_server": "1.3.42 2.4.57 2.4.68",
    "zlib:zlib": "1.1.4 1.2 1.2.0.8 1.2.3 1.2.13 1.3.1",
}


@pytest.mark.parametrize("product", ORDERS)
def test_versions_are_ordered_as_the_product_released_them(product: str) -> None:
    versions = ORDERS[product].split()
    for older, newer in itertools.combinations(versions, 2):
        assert cpe_version_key(product, older) < cpe_version_key(product, newer), (older, newer)


@pytest.mark.parametrize(
    ("product", "versions"),
    [
        ("haproxy:haproxy", "3 3.0 3.0.0 v3.0"),
        ("oracle:openjdk", "1.8.0_292 8u292 8.0.292 8.0-update292 1.8.0-update292 1.8.0_292-b10"),
        ("sun:jre", "1.3.0-update1 1.3.0_1 1.3.0_01 3.0.1"),
        ("sun:jre", "1.4.2-update3 1.4.2_03"),
        ("oracle:openjdk", "17.0.9 17.0.9+9 17.0.9+9-Debian-1deb12u1"),
        ("openbsd:openssh", "9.2p1 9.2-p1 9.2:p1 9.2_P1"),
        ("python:python", "3.12.0a1 3.12.0-alpha1 3.12.0-alpha.1"),
    ],
)
def test_one_version_that_is_written_in_several_ways_is_one(product: str, versions: str) -> None:
    assert len({cpe_version_key(product, version) for version in versions.split()}) == 1


@pytest.mark.parametrize("version", ["", "latest", "-", "master", "1" * 300, "1.0\n", "１.２", "release-1"])
def test_what_has_no_number_in_front_is_no_version(version: str) -> None:
    with pytest.raises(InvalidVersion):
        cpe_version_key("a:b", version)


texts = st.text("0123456789._-+abmnprcu", min_size=1, max_size=12)


@given(st.sampled_from(["a:b", "oracle:openjdk"]), st.lists(texts, min_size=3, max_size=3))
def test_whatever_can_be_read_has_one_order(product: str, found: list[str]) -> None:
    keys = []
    for text in found:
        try:
            keys.append(cpe_version_key(product, text))
        except InvalidVersion:
            continue
    for a, b, c in itertools.permutations(keys, 3):
        assert (a < b) + (a == b) + (a > b) == 1
        assert not (a < b < c) or a < c
