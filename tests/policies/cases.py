"""How the cases of a rule are written: what it finds, and what looks like it and is fine."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from models.content import ContentManifest
from models.images import ImageFacts, PinnedTier
from models.policy import HubPolicy
from models.publishers import PublisherProfile
from models.scans import Component
from policies.eligibility import EligibilityContext
from policies.image_practices import ImageContext
from policies.manifest import ManifestContext
from policies.profile import ProfileContext
from policies.release import ReleaseContext
from tests.policies import samples
from tests.policies.samples import MONDAY, PICTURES, PROFILE

POLICY = HubPolicy()


class Case(NamedTuple):
    """`says` is part of the evidence, `where` the place that the finding names."""

    rule: str
    context: Any
    says: str = ""
    where: str = ""


def of_profile(pictures: Mapping[str, bytes] = PICTURES, **fields: Any) -> ProfileContext:
    return ProfileContext(PublisherProfile.model_validate(PROFILE.model_dump() | fields), pictures, POLICY)


def of_manifest(
    manifest: ContentManifest | None = None, pictures: Mapping[str, bytes] = PICTURES, **fields: Any
) -> ManifestContext:
    return ManifestContext(manifest or samples.manifest(**fields), pictures, POLICY)


def of_content(profile: PublisherProfile = PROFILE, **fields: Any) -> EligibilityContext:
    return EligibilityContext(samples.manifest(**fields), profile)


def of_image(facts: ImageFacts | None = None, **fields: Any) -> ImageContext:
    return ImageContext(facts or samples.facts(**fields), POLICY, MONDAY)


def of_release(*tiers: PinnedTier, **fields: Any) -> ReleaseContext:
    return ReleaseContext(samples.manifest(**fields), samples.release_set(*tiers))


def shipping(*names: str, ecosystem: str = "Debian:12") -> ImageContext:
    """An image with these packages."""
    components = tuple(
        Component(purl=f"pkg:deb/debian/{name}@1", ecosystem=ecosystem, name=name, version="1") for name in names
    )
    return of_image()._replace(components=components)


def built_by(*instructions: str) -> ImageContext:
    """An image whose layers were made by these instructions, above a base of one layer."""
    layers = tuple(samples.layer(number + 1, instruction=text) for number, text in enumerate(instructions))
    base = samples.layer(0, instruction="/bin/sh -c #(nop) ADD file:4b0a in / ")
    return of_image(layers=(base, *layers))
