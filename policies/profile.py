"""Rules of the publisher profile (domain.md, "Publisher profile")."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from models.findings import Finding, Level
from models.policy import HubPolicy
from models.publishers import PublisherProfile
from policies import links, pictures
from policies.rules import Area, Evidence

#: domains whose addresses belong to anybody
_FREE_MAIL = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com"),
        *("gmx.de", "gmx.net", "web.de", "aol.com", "proton.me", "protonmail.com", "mail.ru", "qq.com", "163.com"),
    }
)
#: of an email address, characters (RFC 5321, erratum 1690)
_LONGEST_ADDRESS = 254
#: more digits no network takes (E.164 has fifteen), and the rest of a longer text is not looked at
_LONGEST_PHONE = 60


class ProfileContext(NamedTuple):
    profile: PublisherProfile
    pictures: Mapping[str, bytes]
    policy: HubPolicy


PROFILE: Area[ProfileContext] = Area("profile", "Publisher profile")
_R, _G = Level.REQUIREMENT, Level.GUIDELINE


def check_profile(profile: PublisherProfile, found: Mapping[str, bytes], policy: HubPolicy) -> tuple[Finding, ...]:
    """`found` are the stored pictures by digest."""
    return PROFILE.run(ProfileContext(profile, found, policy), policy.rules).findings


@PROFILE.rule(
    "name",
    _R,
    "The legal name is missing or too long",
    why="Customers have to know with whom they deal.",
    remedy="Give the name under which the organization is registered.",
)
def _name(context: ProfileContext) -> Iterable[Evidence]:
    name = context.profile.legal_name.strip()
    if not name:
        yield Evidence("It is empty.", "legal_name")
    elif len(name) > context.policy.manifest.name or not name.isprintable():
        most = context.policy.manifest.name
        yield Evidence(f"{len(name)} characters; at most {most}, in one line.", "legal_name")


@PROFILE.rule(
    "website",
    _R,
    "The website is no public https address",
    why="The catalog links to it.",
    remedy="Give the address of the organization's website, beginning with https://.",
)
def _website(context: ProfileContext) -> Iterable[Evidence]:
    if problem := links.problem_of(context.profile.website):
        yield Evidence(f"{context.profile.website[:200]!r} {problem}.", "website")


@PROFILE.rule(
    "phone",
    _R,
    "The phone number cannot be dialled",
    why="The security team calls it when a customer is at risk.",
    remedy="Give it with the international prefix, as +49 30 901820.",
)
def _phone(context: ProfileContext) -> Iterable[Evidence]:
    written = context.profile.phone[:_LONGEST_PHONE]
    try:
        number = phonenumbers.parse(written, context.profile.country.upper() or None)
    except phonenumbers.NumberParseException as error:
        yield Evidence(f"{written!r}: {error}", "phone")
        return
    if not phonenumbers.is_valid_number(number):
        yield Evidence(f"{written!r} is no number that is in use.", "phone")


@PROFILE.rule(
    "email",
    _R,
    "The email address is not valid",
    why="All mail about submissions goes there.",
    remedy="Give an address of the organization's own domain.",
)
def _email(context: ProfileContext) -> Iterable[Evidence]:
    if problem := email_problem(context.profile.email):
        yield Evidence(problem, "email")


def email_problem(address: str) -> str:
    """What is wrong with the form of an email address; empty when nothing is. The name server is never asked."""
    if len(address) > _LONGEST_ADDRESS:
        return f"It is longer than {_LONGEST_ADDRESS} characters."
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return ""


@PROFILE.rule(
    "company-email",
    _G,
    "The email address is of a free mail service",
    why="A moderator cannot tell from it who the applicant is.",
    remedy="Use an address of the organization's own domain.",
)
def _company_email(context: ProfileContext) -> Iterable[Evidence]:
    domain = context.profile.email.rpartition("@")[2].lower()
    if domain in _FREE_MAIL:
        yield Evidence(f"{domain} gives addresses to everybody.", "email")


@PROFILE.rule(
    "icon",
    _R,
    "The icon is missing, not square or too small",
    why="The catalog shows it beside every product.",
    remedy="Give a square PNG, JPEG, WebP or GIF of at least 512 x 512 pixels.",
)
def _icon(context: ProfileContext) -> Iterable[Evidence]:
    yield from icon_problems(context.profile.icon, context.pictures, context.policy)


def icon_problems(digest: str, found: Mapping[str, bytes], policy: HubPolicy) -> Iterable[Evidence]:
    """What is wrong with an icon: of a publisher or of a product."""
    limits = policy.manifest
    content = found.get(digest)
    if not digest or content is None:
        yield Evidence("There is none.", "icon")
        return
    if len(content) > limits.icon_bytes:
        yield Evidence(f"{len(content):,} bytes; at most {limits.icon_bytes:,}.", "icon")
        return
    try:
        picture = pictures.look(content)
    except pictures.NoPicture as problem:
        yield Evidence(f"It {problem}.", "icon")
        return
    if picture.width != picture.height:
        yield Evidence(f"{picture.width} x {picture.height} pixels: not square.", "icon")
    elif picture.width < limits.icon_pixels:
        yield Evidence(f"{picture.width} x {picture.height} pixels; at least {limits.icon_pixels}.", "icon")
