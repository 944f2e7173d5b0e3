"""Cases of what may be published and certified: the rows of the domain's table."""

from typing import Any

from models.content import RunsOn, Support, Track
from models.images import ImageSource
from tests.policies.cases import Case, of_content
from tests.policies.samples import PROFILE, tier

ENTERPRISE: dict[str, Any] = {"runs_on": RunsOn.ENTERPRISE}
PARTNER = PROFILE.model_copy(update={"wants_certification": True})
ONLY_LINK = Support(link="https://acme.example/support", email=" ")

FINDS = [
    Case("eligibility.infrastructure", of_content(runs_on=RunsOn.OTHER), 'runs_on is "other"', "runs_on"),
    Case(
        "eligibility.certification",
        of_content(wants_certification=True),
        "runs_on is community",
        "wants_certification",
    ),
    Case(
        "eligibility.certification",
        of_content(wants_certification=True, runs_on=RunsOn.OTHER),
        "runs_on is other",
        "wants_certification",
    ),
    Case(
        "eligibility.partner",
        of_content(wants_certification=True, **ENTERPRISE),
        "does not ask for certification",
        "wants_certification",
    ),
    Case("eligibility.support", of_content(support=ONLY_LINK, **ENTERPRISE), "no way to reach support", "support"),
    Case(
        "eligibility.support",
        of_content(tiers=(tier(), tier("Pro", sla=None)), **ENTERPRISE),
        "The tier Pro has no support terms",
        "tiers.1.sla",
    ),
    Case("eligibility.source", of_content(tiers=(tier(source=None),)), "names no repository", "tiers.0.source"),
    Case(
        "eligibility.source",
        of_content(tiers=(tier(), tier("Pro", source=ImageSource(repository="r.example/pro", tags=())))),
        "The tier Pro names no repository with tags",
        "tiers.1.source",
    ),
    Case(
        "eligibility.latest",
        of_content(tiers=(tier(source=ImageSource(repository="r.example/x", tags=("1.0", "latest"))),)),
        "The tier Standard names latest",
        "tiers.0.source.tags",
    ),
    Case(
        "eligibility.one-repository",
        of_content(tiers=(tier(), tier("Pro", source=tier().source))),
        "Standard and Pro have the same one",
        "tiers.1.source.repository",
    ),
]

PASSES = [
    Case("eligibility.infrastructure", of_content(**ENTERPRISE)),
    Case("eligibility.certification", of_content(wants_certification=True, **ENTERPRISE)),
    Case("eligibility.partner", of_content(PARTNER, wants_certification=True, **ENTERPRISE)),
    Case("eligibility.partner", of_content(PARTNER)),
    Case("eligibility.support", of_content(**ENTERPRISE)),
    Case(
        "eligibility.support",
        of_content(support=Support(link="https://a.example", self_help="https://a.example/faq"), **ENTERPRISE),
    ),
    # support is optional on Community
    Case("eligibility.support", of_content(support=ONLY_LINK, tiers=(tier(sla=None),))),
    # a listing edit brings no image
    Case("eligibility.source", of_content(tiers=(tier(source=None),), track=Track.LISTING)),
    Case(
        "eligibility.latest",
        of_content(tiers=(tier(source=ImageSource(repository="r.example/x", tags=("latest-2.1", "1.0"))),)),
    ),
    Case("eligibility.one-repository", of_content(tiers=(tier(), tier("Pro")))),
    Case(
        "eligibility.one-repository",
        of_content(tiers=(tier(source=None), tier("Pro", source=None)), track=Track.LISTING),
    ),
]
