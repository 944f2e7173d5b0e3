"""What may be published and certified at all (domain.md, "What may be published")."""

from collections.abc import Iterable
from typing import NamedTuple

from models.content import ContentManifest, RunsOn, Track
from models.findings import Finding, Level
from models.policy import HubPolicy
from models.publishers import PublisherProfile
from policies.rules import Area, Evidence


class EligibilityContext(NamedTuple):
    manifest: ContentManifest
    profile: PublisherProfile


ELIGIBILITY: Area[EligibilityContext] = Area("eligibility", "Eligibility")
_R = Level.REQUIREMENT


def check_eligibility(manifest: ContentManifest, profile: PublisherProfile, policy: HubPolicy) -> tuple[Finding, ...]:
    return ELIGIBILITY.run(EligibilityContext(manifest, profile), policy.rules).findings


@ELIGIBILITY.rule(
    "infrastructure",
    _R,
    "The content needs an infrastructure that the hub does not certify",
    why="Customers could not run it where the hub supports them.",
    remedy="Publish content that works on Enterprise or Community infrastructure.",
)
def _infrastructure(context: EligibilityContext) -> Iterable[Evidence]:
    if context.manifest.runs_on is RunsOn.OTHER:
        yield Evidence('runs_on is "other".', "runs_on")


@ELIGIBILITY.rule(
    "certification",
    _R,
    "Only content for Enterprise infrastructure can be certified",
    why="A certificate says that it was tested on certified infrastructure.",
    remedy="Set runs_on to enterprise, or publish without certification.",
)
def _certification(context: EligibilityContext) -> Iterable[Evidence]:
    if context.manifest.wants_certification and context.manifest.runs_on is not RunsOn.ENTERPRISE:
        yield Evidence(f"runs_on is {context.manifest.runs_on}.", "wants_certification")


@ELIGIBILITY.rule(
    "partner",
    Level.GUIDELINE,
    "The publisher has not applied as a technology partner",
    why="Whoever asks for certification also applies as a technology partner.",
    remedy="Ask for certification in the publisher profile as well.",
)
def _partner(context: EligibilityContext) -> Iterable[Evidence]:
    if context.manifest.wants_certification and not context.profile.wants_certification:
        yield Evidence("The profile does not ask for certification.", "wants_certification")


@ELIGIBILITY.rule(
    "support",
    _R,
    "Content for Enterprise infrastructure needs support by the publisher",
    why="Customers of Enterprise infrastructure are promised support.",
    remedy="Give a support email, website or self-help page, and the support terms (sla) of every tier.",
)
def _support(context: EligibilityContext) -> Iterable[Evidence]:
    manifest = context.manifest
    if manifest.runs_on is not RunsOn.ENTERPRISE:
        return
    support = manifest.support
    if not (support.email.strip() or support.website.strip() or support.self_help.strip()):
        yield Evidence("There is no way to reach support beside the link.", "support")
    for number, tier in enumerate(manifest.tiers):
        if tier.sla is None:
            yield Evidence(f"The tier {tier.name} has no support terms.", f"tiers.{number}.sla")


@ELIGIBILITY.rule(
    "source",
    _R,
    "A tier has no image source",
    why="A version is published from one source repository for each tier.",
    remedy="Give the tier a source with its repository and tags.",
)
def _source(context: EligibilityContext) -> Iterable[Evidence]:
    manifest = context.manifest
    if manifest.track is Track.LISTING:
        return
    for number, tier in enumerate(manifest.tiers):
        if tier.source is None or not tier.source.tags:
            yield Evidence(f"The tier {tier.name} names no repository with tags.", f"tiers.{number}.source")


@ELIGIBILITY.rule(
    "latest",
    _R,
    "The tag latest cannot be submitted",
    why="What is approved is a version; latest is a different one tomorrow.",
    remedy="Name version tags, as 2.1 or 2.1.4.",
)
def _latest(context: EligibilityContext) -> Iterable[Evidence]:
    for number, tier in enumerate(context.manifest.tiers):
        if tier.source and "latest" in tier.source.tags:
            yield Evidence(f"The tier {tier.name} names latest.", f"tiers.{number}.source.tags")


@ELIGIBILITY.rule(
    "one-repository",
    _R,
    "Two tiers have the same source repository",
    why="The repositories determine the tiers: one source repository for each tier.",
    remedy="Give each tier a repository of its own, or make one tier of them.",
)
def _one_repository(context: EligibilityContext) -> Iterable[Evidence]:
    seen: dict[str, str] = {}
    for number, tier in enumerate(context.manifest.tiers):
        if tier.source is None:
            continue
        if other := seen.get(tier.source.repository):
            text = f"{other} and {tier.name} have the same one."
            yield Evidence(text, f"tiers.{number}.source.repository")
        seen.setdefault(tier.source.repository, tier.name)
