"""Rules of the content manifest, the product page: its twelve items and what goes with them (domain.md)."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from models.addresses import slug_of
from models.content import ContentManifest, Track
from models.findings import Finding, Level
from models.policy import HubPolicy
from policies import links, pictures, prices
from policies.profile import email_problem, icon_problems
from policies.rules import Area, Evidence


class ManifestContext(NamedTuple):
    manifest: ContentManifest
    pictures: Mapping[str, bytes]
    policy: HubPolicy


MANIFEST: Area[ManifestContext] = Area("manifest", "Content manifest")
_R, _G = Level.REQUIREMENT, Level.GUIDELINE

#: the end of a sentence before another one; "e.g. this" and "version 2.1" end none
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9À-ÖØ-Þ])|(?<=[。！？])(?=.)")
#: words that somebody forgot to replace; a product may well be called Todo
_PLACEHOLDER = re.compile(r"\b(?:TODO|TBD|FIXME|XXX|[Ll]orem [Ii]psum|[Rr]eplace [Mm]e|REPLACE ME)\b")
#: what no page shows, and what makes a text read other than it is written (Unicode's bidirectional controls)
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_PLATFORM = re.compile(r"linux/[a-z0-9]+(?:/v[0-9]+)?")


def check_manifest(manifest: ContentManifest, found: Mapping[str, bytes], policy: HubPolicy) -> tuple[Finding, ...]:
    """`found` are the stored pictures by digest."""
    return MANIFEST.run(ManifestContext(manifest, found, policy), policy.rules).findings


@MANIFEST.rule(
    "name",
    _R,
    "The product name is missing or too long",
    why="The catalog lists products by name.",
    remedy="Give a name of at most 80 characters.",
)
def _name(context: ManifestContext) -> Iterable[Evidence]:
    name, most = context.manifest.name.strip(), context.policy.manifest.name
    if not name:
        yield Evidence("It is empty.", "name")
    elif len(name) > most or "\n" in name:
        yield Evidence(f"{len(name)} characters; at most {most}, in one line.", "name")


@MANIFEST.rule(
    "icon",
    _R,
    "The product icon is missing, not square or too small",
    why="The catalog shows it.",
    remedy="Give a square PNG, JPEG, WebP or GIF of at least 512 x 512 pixels.",
)
def _icon(context: ManifestContext) -> Iterable[Evidence]:
    yield from icon_problems(context.manifest.icon, context.pictures, context.policy)


@MANIFEST.rule(
    "short-description",
    _R,
    "The short description is missing or too long",
    why="The catalog's lists show it whole.",
    remedy="Say in one or two sentences of at most 140 characters what the product does.",
)
def _short_description(context: ManifestContext) -> Iterable[Evidence]:
    text, limits = context.manifest.short_description.strip(), context.policy.manifest
    if not text:
        yield Evidence("It is empty.", "short_description")
    elif len(text) > limits.short_description:
        yield Evidence(f"{len(text)} characters; at most {limits.short_description}.", "short_description")
    elif (sentences := len(_SENTENCE_END.split(text))) > limits.short_description_sentences:
        yield Evidence(f"{sentences} sentences; at most {limits.short_description_sentences}.", "short_description")


@MANIFEST.rule(
    "category",
    _R,
    "The category is none of the hub's",
    why="Customers browse by category.",
    remedy="Choose one of the categories in the evidence.",
)
def _category(context: ManifestContext) -> Iterable[Evidence]:
    known = context.policy.terms.categories
    if context.manifest.category.casefold() not in {name.casefold() for name in known}:
        yield Evidence(f"{context.manifest.category[:80]!r}; choose one of: {', '.join(known)}.", "category")


@MANIFEST.rule(
    "search-tags",
    _G,
    "There are no search tags, or too many",
    why="Customers find products by them.",
    remedy="Give one to twelve words that somebody would search for.",
)
def _search_tags(context: ManifestContext) -> Iterable[Evidence]:
    tags, most = context.manifest.search_tags, context.policy.manifest.search_tags
    if not any(tag.strip() for tag in tags):
        yield Evidence("There is none.", "search_tags")
    elif len(tags) > most:
        yield Evidence(f"{len(tags)}; at most {most}.", "search_tags")


@MANIFEST.rule(
    "long-description",
    _R,
    "The long description is missing or too long",
    why="Customers decide by it.",
    remedy="Describe what the product does, for whom, and what it needs; Markdown is understood.",
)
def _long_description(context: ManifestContext) -> Iterable[Evidence]:
    text, most = context.manifest.long_description.strip(), context.policy.manifest.long_description
    if not text:
        yield Evidence("It is empty.", "long_description")
    elif len(text) > most:
        yield Evidence(f"{len(text):,} characters; at most {most:,}.", "long_description")


@MANIFEST.rule(
    "thin-description",
    _G,
    "The long description says little",
    why="Customers decide by it.",
    remedy="Say what the product does, for whom, and what it needs.",
)
def _thin_description(context: ManifestContext) -> Iterable[Evidence]:
    text, least = context.manifest.long_description.strip(), context.policy.manifest.long_description_least
    if 0 < len(text) < least:
        yield Evidence(f"{len(text)} characters.", "long_description")


@MANIFEST.rule(
    "placeholder",
    _R,
    "A text is still a placeholder",
    why="The page would be published as it is.",
    remedy="Replace it by the product's own words.",
)
def _placeholder(context: ManifestContext) -> Iterable[Evidence]:
    manifest = context.manifest
    texts = {
        "name": manifest.name,
        "short_description": manifest.short_description,
        "long_description": manifest.long_description,
        "release_notes": manifest.release_notes,
        **{f"tiers.{number}.description": tier.description for number, tier in enumerate(manifest.tiers)},
        **{f"tiers.{number}.installation": tier.installation for number, tier in enumerate(manifest.tiers)},
    }
    for field, text in texts.items():
        if found := _PLACEHOLDER.search(text):
            yield Evidence(f"It contains “{found[0]}”.", field)


@MANIFEST.rule(
    "characters",
    _R,
    "A text contains characters that cannot be shown",
    why="A page with them is broken, or reads other than it is written.",
    remedy="Remove control characters and marks that change the direction of writing.",
)
def _characters(context: ManifestContext) -> Iterable[Evidence]:
    for field, text in _texts(context.manifest.model_dump(mode="python")):
        if found := _UNSHOWABLE.search(text):
            yield Evidence(f"U+{ord(found[0]):04X} at character {found.start() + 1:,}.", field)


def _texts(value: object, path: str = "") -> Iterable[tuple[str, str]]:
    """Every text of the manifest with its field."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(member, f"{path}.{name}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for number, member in enumerate(value):
            yield from _texts(member, f"{path}.{number}")


@MANIFEST.rule(
    "screenshots",
    _G,
    "There is no screenshot",
    why="Customers like to see what they get.",
    remedy="Add a screenshot of the product at work.",
)
def _screenshots(context: ManifestContext) -> Iterable[Evidence]:
    if not context.manifest.screenshots:
        yield Evidence("There is none.", "screenshots")


@MANIFEST.rule(
    "screenshot-form",
    _R,
    "A screenshot cannot be shown",
    why="Its place on the page would be empty.",
    remedy="Give PNG, JPEG, WebP or GIF pictures of at most 8 MiB, at most ten.",
)
def _screenshot_form(context: ManifestContext) -> Iterable[Evidence]:
    shots, limits = context.manifest.screenshots, context.policy.manifest
    if len(shots) > limits.screenshots:
        yield Evidence(f"{len(shots)} screenshots; at most {limits.screenshots}.", "screenshots")
    for number, digest in enumerate(shots[: limits.screenshots]):
        content = context.pictures.get(digest)
        if content is None:
            yield Evidence("It is not there.", f"screenshots.{number}")
        elif len(content) > limits.screenshot_bytes:
            yield Evidence(f"{len(content):,} bytes; at most {limits.screenshot_bytes:,}.", f"screenshots.{number}")
        else:
            try:
                pictures.look(content)
            except pictures.NoPicture as problem:
                yield Evidence(f"It {problem}.", f"screenshots.{number}")


@MANIFEST.rule(
    "links",
    _R,
    "A link is no public https address",
    why="Customers follow it from the hub's page.",
    remedy="Give a full address that begins with https://. The hub checks its form and never opens it.",
)
def _links(context: ManifestContext) -> Iterable[Evidence]:
    manifest = context.manifest
    given = {
        "support.link": manifest.support.link,
        "support.website": manifest.support.website,
        "support.self_help": manifest.support.self_help,
        "documentation": manifest.documentation,
        **{f"licences.{number}.url": licence.url for number, licence in enumerate(manifest.licences)},
    }
    for field, url in given.items():
        if url and (problem := links.problem_of(url)):
            yield Evidence(f"{url[:200]!r} {problem}.", field)


@MANIFEST.rule(
    "support",
    _R,
    "There is no support link",
    why="Who has a problem has to find help without asking the hub.",
    remedy="Give the address of the support page.",
)
def _support(context: ManifestContext) -> Iterable[Evidence]:
    if not context.manifest.support.link.strip():
        yield Evidence("It is empty.", "support.link")


@MANIFEST.rule(
    "support-email",
    _R,
    "The support email address is not valid",
    why="Customers write to it.",
    remedy="Give an address that is read.",
)
def _support_email(context: ManifestContext) -> Iterable[Evidence]:
    email = context.manifest.support.email
    if not email:
        return
    if problem := email_problem(email):
        yield Evidence(problem, "support.email")


@MANIFEST.rule(
    "tiers",
    _R,
    "There is no tier, or a tier's name will not do",
    why="Customers choose a tier; its name becomes part of the image's name.",
    remedy="Give at least one tier, each with a short name of its own.",
)
def _tiers(context: ManifestContext) -> Iterable[Evidence]:
    tiers, most = context.manifest.tiers, context.policy.manifest.name
    if not tiers:
        yield Evidence("There is none.", "tiers")
    seen: dict[str, str] = {}
    for number, tier in enumerate(tiers):
        # the last part of the repository's name in the hub's registry
        slug = slug_of(tier.name)
        if not any(character.isalnum() for character in tier.name):
            yield Evidence(f"{tier.name[:most]!r} has no letter or digit.", f"tiers.{number}.name")
        elif len(tier.name) > most or "\n" in tier.name:
            yield Evidence(f"{len(tier.name)} characters; at most {most}, in one line.", f"tiers.{number}.name")
        elif slug in seen:
            text = f"{seen[slug]!r} and {tier.name!r} would have one repository, {slug}."
            yield Evidence(text, f"tiers.{number}.name")
        seen.setdefault(slug, tier.name[:most])


@MANIFEST.rule(
    "tier-texts",
    _R,
    "A tier has no description or no installation instructions",
    why="Customers have to know what they get and how to run it.",
    remedy="Describe the tier, and how to install and start it.",
)
def _tier_texts(context: ManifestContext) -> Iterable[Evidence]:
    for number, tier in enumerate(context.manifest.tiers):
        if not tier.description.strip():
            yield Evidence(f"{tier.name[:80]} has no description.", f"tiers.{number}.description")
        if not tier.installation.strip():
            yield Evidence(f"{tier.name[:80]} has no installation instructions.", f"tiers.{number}.installation")


@MANIFEST.rule(
    "price",
    _R,
    "A price cannot be read",
    why="Customers pay it.",
    remedy="Give an amount of 0 or more, as 49.90, in one of the hub's currencies.",
)
def _price(context: ManifestContext) -> Iterable[Evidence]:
    for number, tier in enumerate(context.manifest.tiers):
        for field, problem in prices.problems_of(tier.price, context.policy.terms.currencies):
            yield Evidence(problem, f"tiers.{number}.price.{field}")


@MANIFEST.rule(
    "sla",
    _R,
    "Support terms are not complete",
    why="Reminders and escalations of support cases are counted by them.",
    remedy="Give support hours, a time zone, and the first response time in hours.",
)
def _sla(context: ManifestContext) -> Iterable[Evidence]:
    for number, tier in enumerate(context.manifest.tiers):
        sla = tier.sla
        if sla is None:
            continue
        if not sla.hours.strip() or not sla.time_zone.strip():
            yield Evidence(f"{tier.name}: hours or time zone are missing.", f"tiers.{number}.sla")
        if sla.first_response_hours < 1:
            yield Evidence(f"{tier.name}: {sla.first_response_hours} h.", f"tiers.{number}.sla.first_response_hours")


@MANIFEST.rule(
    "licences",
    _R,
    "There is no licence agreement",
    why="Without one nobody may use the product.",
    remedy="Give at least one licence with its title and its text or a link to it.",
)
def _licences(context: ManifestContext) -> Iterable[Evidence]:
    if not context.manifest.licences:
        yield Evidence("There is none.", "licences")
    for number, licence in enumerate(context.manifest.licences):
        if not licence.title.strip() or not (licence.url.strip() or licence.text.strip()):
            yield Evidence("Its title, or both text and link, are missing.", f"licences.{number}")


@MANIFEST.rule(
    "platforms",
    _R,
    "A supported platform is not written as the hub writes it",
    why="Customers filter by platform.",
    remedy="Write platforms as linux/amd64 or linux/arm64/v8.",
)
def _platforms(context: ManifestContext) -> Iterable[Evidence]:
    for number, platform in enumerate(context.manifest.platforms):
        if not _PLATFORM.fullmatch(platform):
            yield Evidence(f"{platform[:80]!r} is no platform.", f"platforms.{number}")


@MANIFEST.rule(
    "release-notes",
    _G,
    "There are no release notes",
    why="They are mailed to those who subscribed to the product.",
    remedy="Say what is new in this version.",
)
def _release_notes(context: ManifestContext) -> Iterable[Evidence]:
    if context.manifest.track is Track.VERSION and not context.manifest.release_notes.strip():
        yield Evidence("There are none.", "release_notes")


@MANIFEST.rule(
    "documentation",
    _G,
    "There is no link to documentation",
    why="It saves support cases.",
    remedy="Give the address of the documentation.",
)
def _documentation(context: ManifestContext) -> Iterable[Evidence]:
    if not context.manifest.documentation.strip():
        yield Evidence("There is none.", "documentation")
