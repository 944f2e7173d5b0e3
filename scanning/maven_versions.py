"""Maven's versions in the order of its ComparableVersion (maven-artifact 3.8): lists of numbers and words, in which a
dash, and each change from digits to letters or back, begins a list within the list.

>>> maven_key("1.0-rc1") < maven_key("1.0") == maven_key("1.Final")
True
"""

from functools import cmp_to_key
from typing import Any

#: in Maven's order; the empty one is the release itself
_QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_RANKS = {word: rank for rank, word in enumerate(_QUALIFIERS)}
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
#: rank and, of a word that has none, the word
_Word = tuple[int, str]
_RELEASE: _Word = (_RANKS[""], "")
_Item = int | _Word | list["_Item"]


def maven_key(version: str) -> Any:
    """Errors: ValueError, for what begins with a sign."""
    if not version[0].isalnum():
        raise ValueError(version)
    return cmp_to_key(_compare)(_Reader().read(version.lower()))


class _Reader:
    """Reads one version: `list_` is the innermost list, `lists` all of them from the outside."""

    def __init__(self) -> None:
        self.list_: list[_Item] = []
        self.lists = [self.list_]

    def read(self, version: str) -> list[_Item]:
        start, in_digits = 0, False
        for place, character in enumerate(version):
            if character in ".-":
                self.list_.append(_item(version[start:place], in_digits))
                start = place + 1
                if character == "-":
                    self._go_in()
            elif character in "0123456789":
                if not in_digits and place > start:
                    self._go_in_before_a_word()
                    self.list_.append(_word(version[start:place], before_digit=True))
                    start = place
                    self._go_in()
                in_digits = True
            else:
                if in_digits and place > start:
                    self.list_.append(int(version[start:place]))
                    start = place
                    self._go_in()
                in_digits = False
        if start < len(version):
            if not in_digits:
                self._go_in_before_a_word()
            self.list_.append(_item(version[start:], in_digits))
        for list_ in reversed(self.lists):
            _shorten(list_)
        return self.lists[0]

    def _go_in(self) -> None:
        inner: list[_Item] = []
        self.list_.append(inner)
        self.lists.append(inner)
        self.list_ = inner

    def _go_in_before_a_word(self) -> None:
        """1.x is 1-x."""
        if self.list_:
            self._go_in()


def _item(text: str, in_digits: bool) -> _Item:
    if not text:
        return 0
    return int(text) if in_digits else _word(text, before_digit=False)


def _word(text: str, *, before_digit: bool) -> _Word:
    word = _SHORT.get(text, text) if before_digit else text
    word = _ALIASES.get(word, word)
    return (_RANKS[word], "") if word in _RANKS else (len(_QUALIFIERS), word)


def _shorten(list_: list[_Item]) -> None:
    """Without zeros, releases and empty lists at its end, and before a list at its end: 1.0-rc is 1-rc."""
    for place in range(len(list_) - 1, -1, -1):
        if list_[place] in (0, _RELEASE, []):
            del list_[place]
        elif not isinstance(list_[place], list):
            break


def _compare(a: _Item, b: _Item) -> int:
    """Of a kind by value; of two kinds words come first, then lists, then numbers."""
    if isinstance(a, list) and isinstance(b, list):
        for place in range(max(len(a), len(b))):
            if place >= len(b):
                found = _compare_with_nothing(a[place])
            elif place >= len(a):
                found = -_compare_with_nothing(b[place])
            else:
                found = _compare(a[place], b[place])
            if found:
                return found
        return 0
    if isinstance(a, int) and isinstance(b, int):
        return (a > b) - (a < b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (a > b) - (a < b)
    return -1 if _kind(a) < _kind(b) else 1


def _compare_with_nothing(item: _Item) -> int:
    if isinstance(item, list):
        return next((found for found in map(_compare_with_nothing, item) if found), 0)
    if isinstance(item, tuple):
        return (item > _RELEASE) - (item < _RELEASE)
    return 1 if item else 0


def _kind(item: _Item) -> int:
    return 2 if isinstance(item, int) else 1 if isinstance(item, list) else 0
