"""The order of the versions that stand in CPE names: one rule for all products, and Java's two ways to count.

1. Numbers joined by `.` or `_` are the release, by value; zeros at its end count for nothing: 3, 3.0 and 3.0.0 are one.
2. A word of an unfinished release (dev, alpha, beta, pre, rc, ...) behind it is older than the release: 3.0.0-rc1,
   2.8-dev0, 20-ea; `a`, `b` and `m` are such words where a number follows at once: 3.10.0a0, 3.11.0b1.
3. Every other letter or word is newer, in the order of the alphabet: OpenSSL's 1.1.1 < 1.1.1n < 1.1.1za, OpenSSH's
   9.8 < 9.8p1 < 9.8p2; so is a number behind a dash: glibc's 2.1.1-89.
4. What stands behind `+` (a build) counts for nothing, nor does a `v` in front.
5. The update of a CPE name stands behind its version: 9.2 with update p1 is 9.2-p1.
6. Java: 1.8.0_292, 8u292 and 8.0 with update 292 are 8.0.292; from 9 on nothing differs.
"""

import re
from functools import lru_cache
from typing import TypeAlias

from scanning.version_keys import InvalidVersion

#: orders versions of one product
Key: TypeAlias = tuple[tuple[int, ...], tuple[tuple[int, str, int], ...]]

#: characters of the longest version that is read
_LONGEST = 250
_RELEASE = re.compile(r"v?([0-9]+(?:[._][0-9]+)*)")
_TOKEN = re.compile(r"([a-z]+)[._-]?([0-9]*)|([0-9]+)")
_LETTER_STAGES = {"a": "alpha", "b": "beta", "m": "milestone"}
#: words of unfinished releases, the earliest first
_STAGES = {
    word: place
    for place, words in enumerate(
        (
            # HAProxy's ranges begin with an alpha0 that it never had, below its dev1
            ("dev", "nightly", "snapshot", "next", "ea", "alpha"),
            ("beta", "preview", "milestone", "pre"),
            ("rc", "cr", "candidate"),
        )
    )
    for word in words
}
_END = (0, "", 0)

_JAVA_PRODUCTS = frozenset(
    {"jre", "jdk", "java", "java_se", "openjdk", "graalvm", "graalvm_enterprise", "zulu", "corretto"}
)
_JAVA_OLD = re.compile(r"1\.(?=[0-8](?:\D|$))")
_JAVA_UPDATE = re.compile(r"([0-9]+)(?:[._]([0-9]+))?(?:\.0)?[-_]?(?:update|u)[-_.]?([0-9]+)")
_JAVA_BUILD = re.compile(r"-b[0-9]+$")


@lru_cache(maxsize=50_000)
def cpe_version_key(product: str, version: str) -> Key:
    """What orders versions of the product (`vendor:product`). Errors: InvalidVersion."""
    if len(version) > _LONGEST or not version.isascii() or not version.isprintable():
        raise InvalidVersion(f"{version[:80]!r} is no version.")
    text = version.strip().lower().partition("+")[0]
    if product.rpartition(":")[2] in _JAVA_PRODUCTS:
        text = _java(text)
    release = _RELEASE.match(text)
    if release is None:
        raise InvalidVersion(f"{version[:80]!r} is no version.")
    numbers = [int(number) for number in re.split(r"[._]", release[1])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), (*map(_token, _TOKEN.finditer(text, release.end())), _END)


def _java(text: str) -> str:
    text = _JAVA_BUILD.sub("", text)
    if _JAVA_OLD.match(text):
        text = text[2:]
    update = _JAVA_UPDATE.match(text)
    return f"{update[1]}.{update[2] or 0}.{update[3]}{text[update.end() :]}" if update else text


def _token(found: re.Match[str]) -> tuple[int, str, int]:
    word, nth, number = found.groups()
    if number:
        return 1, "", int(number)
    at_once = bool(nth) and found[0] == word + nth
    word = _LETTER_STAGES.get(word, word) if at_once else word
    if word in _STAGES:
        return -1, str(_STAGES[word]), int(nth or 0)
    return 1, word, int(nth or 0)
