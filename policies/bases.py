"""Which known base an image is built from, what it inherits, and what a rebuild on another one would mend."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from models.bases import KnownBase
from models.images import ImageFacts
from models.scans import BaseOrigin, ImageReport, Rebuild, Vulnerability
from policies.vulnerabilities import key_for


def base_of(facts: ImageFacts, bases: Iterable[KnownBase]) -> KnownBase | None:
    """The known base with the most layers that all lie, in order, at the bottom of the image; no image is its own.

    Of several with the same layers (tags of one image) the one added first.
    """
    layers = tuple(layer.diff_id for layer in facts.layers)
    found = [
        base
        for base in bases
        if base.layers
        and base.digest != facts.digest
        and _same_platform(base.platform, facts.platform)
        and layers[: len(base.layers)] == base.layers
    ]
    return min(found, key=lambda base: (-len(base.layers), base.added_at, base.reference, base.digest), default=None)


def successors(base: KnownBase, bases: Iterable[KnownBase]) -> list[KnownBase]:
    """What an image of this base could be rebuilt on: the newest of its reference, then of its repository's others.

    Only what is newer than the base itself; of each reference its newest.
    """
    newest: dict[str, KnownBase] = {}
    for other in bases:
        if other.repository != base.repository or not _same_platform(other.platform, base.platform):
            continue
        if other.digest == base.digest or other.layers == base.layers or _age(other) <= _age(base):
            continue
        known = newest.get(other.reference)
        if known is None or _age(other) > _age(known):
            newest[other.reference] = other
    # the same tag first: a rebuild on it changes nothing but what was mended
    return sorted(sorted(newest.values(), key=_age, reverse=True), key=lambda other: other.reference != base.reference)


def with_base(report: ImageReport, bases: Sequence[KnownBase], present: Mapping[str, Collection[str]]) -> ImageReport:
    """The report with the base that the image is built from, what comes with it, and the best rebuild.

    `present` are the keys of the vulnerabilities of a base image, by its digest; one that is not there is not offered.
    """
    base = base_of(report.facts, bases)
    below = set(base.layers) if base else set()
    inherited = {key_for(found) for found in report.vulnerabilities if found.layer in below}
    rebuild = _rebuild(base, successors(base, bases), inherited, present) if base else None
    left = present[rebuild.digest] if rebuild else inherited
    return report.model_copy(
        update={
            "base": base
            and BaseOrigin(reference=base.reference, digest=base.digest, layers=len(base.layers), rebuild=rebuild),
            "vulnerabilities": tuple(
                _told(found, found.layer in below, found.layer in below and key_for(found) not in left)
                for found in report.vulnerabilities
            ),
        }
    )


def _told(found: Vulnerability, inherited: bool, mended: bool) -> Vulnerability:
    if (found.inherited, found.mended_by_rebuild) == (inherited, mended):
        return found
    return found.model_copy(update={"inherited": inherited, "mended_by_rebuild": mended})


def _rebuild(
    base: KnownBase, candidates: Iterable[KnownBase], inherited: Collection[str], present: Mapping[str, Collection[str]]
) -> Rebuild | None:
    """On the same reference where that mends anything, since it changes nothing else; or on what mends most."""
    keys = set(inherited)
    offers = [
        Rebuild(reference=other.reference, digest=other.digest, mended=mended, inherited=len(keys))
        for other in candidates
        if (mended := len(keys.difference(present.get(other.digest, keys))))
    ]
    if offers and offers[0].reference == base.reference:
        return offers[0]
    return max(offers, key=lambda offer: offer.mended, default=None)


def _same_platform(one: str, other: str) -> bool:
    """`linux/arm64` and `linux/arm64/v8` are the same: tools differ in whether they say the variant."""
    return one.split("/")[:2] == other.split("/")[:2]


def _age(base: KnownBase) -> tuple[datetime, datetime]:
    """When it was built; of those that do not say so, or all say the same (reproducible builds), when it was added."""
    return base.created or base.added_at, base.added_at
