"""Components of which "no vulnerability is known" says little, and why: none is passed over in silence."""

from collections.abc import Iterable
from enum import StrEnum

from models.scans import Component
from scanning.matching import looked_up
from scanning.version_keys import Standing, standing_of


class Doubt(StrEnum):
    """Said of several components, after their number."""

    KIND = "of a kind that no advisories here are about"
    VERSION = "without a version that can be read: only what is known of all versions counts"
    ORDER = "of an ecosystem whose order of versions is guessed"


def doubt_of(component: Component) -> Doubt | None:
    """None where the component is matched by rules that are known. One with a CPE name is matched by NVD's."""
    if not component.ecosystem:
        return None if component.cpe else Doubt.KIND
    _, version = looked_up(component)
    match standing_of(component.ecosystem, version):
        case Standing.UNREADABLE:
            return Doubt.VERSION
        case Standing.GUESSED:
            return Doubt.ORDER
        case Standing.COMPARED | Standing.NOT_COMPARED:
            return None


def doubts_in(components: Iterable[Component]) -> dict[Doubt, tuple[str, ...]]:
    """`name version` of each that there is doubt about, once and in order; a doubt without any is left out."""
    found: dict[Doubt, set[str]] = {}
    for component in components:
        doubt = doubt_of(component)
        if doubt is not None:
            found.setdefault(doubt, set()).add(f"{component.name} {component.version}".strip())
    return {doubt: tuple(sorted(found[doubt])) for doubt in Doubt if doubt in found}
