"""Every file of signatures, held to its own cases: real strings of real packages, and what they tell of."""

import re
from dataclasses import replace

import pytest

from scanning.identify import AROUND, Identifier
from scanning.signature_files import Case, Pattern, Signature, signatures

#: products of which a binary without package data has to be known
WANTED = {
    *(
        "busybox",
        "curl",
        "git",
        "glibc",
        "haproxy",
        "httpd",
        "mariadb",
        "memcached",
        "musl",
        "nginx",
        "node",
        "openjdk",
    ),
    *("openssh", "openssl", "perl", "php", "postgresql", "python", "redis", "ruby", "sqlite", "zlib"),
}
CASES = [
    pytest.param(signature, case, id=f"{signature.name}: {case.path.rpartition('/')[2]} of {case.source}")
    for signature in signatures()
    for case in signature.cases
]
EACH = [pytest.param(signature, id=signature.name) for signature in signatures()]
PATTERNS = [
    pytest.param(pattern, id=f"{signature.name} {number}")
    for signature in signatures()
    for number, pattern in enumerate(signature.patterns, 1)
]


def found(signature: Signature, case: Case) -> tuple[str, ...]:
    is_text = any(pattern.file and case.path.endswith(f"/{pattern.file}") for pattern in signature.patterns)
    content = case.content if is_text else b"\x7fELF" + bytes(12) + case.content + b"\0"
    told = Identifier.load().identify(case.path, [content])
    return tuple(one.version for one in told if one.product == signature.name)


def without_needs(signature: Signature, case: Case) -> bytes:
    content = case.content
    for one in {one.strip(b"\0") for pattern in signature.patterns for one in pattern.needs}:
        content = content.replace(one, b"-" * len(one))
    return content


NEEDING = [
    pytest.param(signature, case, id=f"{signature.name}: {case.path.rpartition('/')[2]} of {case.source}")
    for signature in signatures()
    for case in signature.cases
    if case.versions and without_needs(signature, case) != case.content
]


def test_every_product_has_its_file() -> None:
    assert {signature.name for signature in signatures()} >= WANTED


@pytest.mark.parametrize(("signature", "case"), CASES)
def test_a_case_tells_of_its_versions(signature: Signature, case: Case) -> None:
    assert found(signature, case) == case.versions


@pytest.mark.parametrize("signature", EACH)
def test_every_signature_has_cases_of_at_least_two_builds(signature: Signature) -> None:
    assert len({case.source for case in signature.cases if case.versions}) >= 2


@pytest.mark.parametrize(("signature", "case"), NEEDING)
def test_a_case_without_what_its_patterns_need_tells_of_nothing(signature: Signature, case: Case) -> None:
    assert found(signature, replace(case, content=without_needs(signature, case))) == ()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_has_a_mark_or_ends_with_a_nul(pattern: Pattern) -> None:
    assert pattern.mark or pattern.text.endswith(rb"\x00")
    assert 0.5 < pattern.confidence < 1
    named = set(re.findall(r"{(\w+)}", pattern.version + "".join(pattern.cpe)))
    assert named == set(re.compile(pattern.text).groupindex)


@pytest.mark.parametrize("signature", EACH)
def test_what_a_case_matches_has_its_mark_and_fits_into_the_window_around_a_version(signature: Signature) -> None:
    matches = [
        (pattern, match[0])
        for pattern in signature.patterns
        for case in signature.cases
        for match in re.finditer(pattern.text, case.content)
    ]
    assert matches
    assert all(pattern.mark in text for pattern, text in matches)
    assert max(len(text) for _, text in matches) < AROUND


def test_what_is_no_plain_word_is_quoted_in_the_name_of_a_platform() -> None:
    (openssh,) = [one for one in signatures() if one.name == "openssh"]
    assert openssh.cpe("9.2", "p1") == "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"
    assert openssh.cpe("1.0+A b") == r"cpe:2.3:a:openbsd:openssh:1.0\+a\ b:*:*:*:*:*:*:*"
