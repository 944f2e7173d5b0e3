"""Every rule of the hub in one place: what a policy may switch, and what the documentation lists."""

from collections.abc import Iterator
from typing import Any

from models.findings import READABLE
from policies.eligibility import ELIGIBILITY
from policies.image_contents import IMAGE
from policies.manifest import MANIFEST
from policies.profile import PROFILE
from policies.release import RELEASE
from policies.rules import Area, Rule
from policies.vulnerabilities import RULE

AREAS: tuple[Area[Any], ...] = (PROFILE, ELIGIBILITY, MANIFEST, RELEASE, IMAGE)
#: findings that are no rule of an area: their level is not a switch
FIXED: dict[str, str] = {
    READABLE: "an image that cannot be read cannot be checked",
    RULE: "which vulnerabilities hold a submission up stands in [gate]",
}


def all_rules() -> Iterator[Rule[Any]]:
    for area in AREAS:
        yield from area.rules


def known_ids() -> tuple[str, ...]:
    """Ids that policy.toml may name."""
    return tuple(rule.id for rule in all_rules())
