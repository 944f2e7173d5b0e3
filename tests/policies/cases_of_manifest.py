"""Cases of the content manifest: its twelve items and what goes with them."""

from decimal import Decimal
from typing import Any

from models.base import digest_of
from models.content import Licence, Price, Sla, Support, Track
from tests.policies.cases import Case, of_manifest
from tests.policies.samples import PICTURES, SCREENSHOT, picture, tier

MILLION = "x" * 1_000_000
SMALL = picture(256, 256)
MANY = {digest_of(shot): shot for shot in (picture(20 + number, 20) for number in range(11))}
HUGE = picture(64, 64) + b"\0" * (8 * 2**20)
LINK = "https://acme.example/support"


def _sla(**fields: object) -> dict[str, Any]:
    said = {"hours": "Mon-Fri 9-17", "time_zone": "UTC", "first_response_hours": 8} | fields
    return {"tiers": (tier(sla=Sla.model_validate(said)),)}


def _price(amount: str, currency: str = "USD") -> dict[str, Any]:
    return {"tiers": (tier(price=Price(amount=Decimal(amount), currency=currency)),)}


def _vast_price(amount: str) -> dict[str, Any]:
    """One that the message's own bounds would not let in."""
    return {"tiers": (tier(price=Price().model_copy(update={"amount": Decimal(amount)})),)}


FINDS = [
    # 1 the product's name
    Case("manifest.name", of_manifest(name="  "), "It is empty", "name"),
    Case("manifest.name", of_manifest(name="x" * 81), "81 characters; at most 80", "name"),
    Case("manifest.name", of_manifest(name="Led\nger"), "in one line", "name"),
    Case("manifest.name", of_manifest(name=MILLION), "1000000 characters", "name"),
    # 2 its icon
    Case("manifest.icon", of_manifest(icon=""), "There is none", "icon"),
    Case(
        "manifest.icon",
        of_manifest(icon=digest_of(SMALL), pictures={digest_of(SMALL): SMALL}),
        "256 x 256 pixels; at least 512",
        "icon",
    ),
    # 3 the short description
    Case("manifest.short-description", of_manifest(short_description=""), "It is empty", "short_description"),
    Case(
        "manifest.short-description",
        of_manifest(short_description="y" * 141),
        "141 characters; at most 140",
        "short_description",
    ),
    Case(
        "manifest.short-description",
        of_manifest(short_description="It reads. It writes. It sings."),
        "3 sentences; at most 2",
        "short_description",
    ),
    Case(
        "manifest.short-description",
        of_manifest(short_description="It reads! Does it write? It sings and never stops"),
        "3 sentences; at most 2",
        "short_description",
    ),
    Case(
        "manifest.short-description",
        of_manifest(short_description="読む。書く。歌う。"),
        "3 sentences",
        "short_description",
    ),
    # 4 category and search tags
    Case("manifest.category", of_manifest(category="boats"), "choose one of: analytics", "category"),
    Case("manifest.category", of_manifest(category=""), "choose one of: analytics", "category"),
    Case("manifest.category", of_manifest(category=MILLION), "choose one of: analytics", "category"),
    Case("manifest.search-tags", of_manifest(search_tags=()), "There is none", "search_tags"),
    Case("manifest.search-tags", of_manifest(search_tags=("", " ")), "There is none", "search_tags"),
    Case("manifest.search-tags", of_manifest(search_tags=("x",) * 13), "13; at most 12", "search_tags"),
    # 5 the long description
    Case("manifest.long-description", of_manifest(long_description=" "), "It is empty", "long_description"),
    Case(
        "manifest.long-description",
        of_manifest(long_description=MILLION),
        "1,000,000 characters; at most 50,000",
        "long_description",
    ),
    Case("manifest.thin-description", of_manifest(long_description="Ledger."), "7 characters", "long_description"),
    Case("manifest.placeholder", of_manifest(name="TODO"), "It contains “TODO”", "name"),
    Case(
        "manifest.placeholder",
        of_manifest(long_description="Lorem ipsum dolor sit amet. " * 10),
        "It contains “Lorem ipsum”",
        "long_description",
    ),
    Case("manifest.placeholder", of_manifest(tiers=(tier(installation="FIXME"),)), "“FIXME”", "tiers.0.installation"),
    Case("manifest.placeholder", of_manifest(tiers=(tier(description="TBD"),)), "“TBD”", "tiers.0.description"),
    Case("manifest.placeholder", of_manifest(release_notes="replace me"), "“replace me”", "release_notes"),
    Case("manifest.characters", of_manifest(name="Led\x00ger"), "U+0000 at character 4", "name"),
    Case("manifest.characters", of_manifest(long_description="\ud800" * 200), "U+D800 at", "long_description"),
    Case("manifest.characters", of_manifest(name="Ledger \u202egpj"), "U+202E at character 8", "name"),
    Case("manifest.characters", of_manifest(search_tags=("a", "b\x1b[2J")), "U+001B at", "search_tags.1"),
    Case("manifest.characters", of_manifest(tiers=(tier(installation="a\x07"),)), "U+0007", "tiers.0.installation"),
    Case("manifest.characters", of_manifest(licences=(Licence(title="MIT", text="\x85"),)), "", "licences.0.text"),
    # 6 screenshots
    Case("manifest.screenshots", of_manifest(screenshots=()), "There is none", "screenshots"),
    Case(
        "manifest.screenshot-form",
        of_manifest(screenshots=tuple(MANY), pictures=PICTURES | MANY),
        "11 screenshots; at most 10",
        "screenshots",
    ),
    Case(
        "manifest.screenshot-form",
        of_manifest(screenshots=(digest_of(SCREENSHOT), "sha256:gone")),
        "It is not there",
        "screenshots.1",
    ),
    Case(
        "manifest.screenshot-form",
        of_manifest(screenshots=(digest_of(HUGE),), pictures=PICTURES | {digest_of(HUGE): HUGE}),
        "bytes; at most 8,388,608",
        "screenshots.0",
    ),
    Case(
        "manifest.screenshot-form",
        of_manifest(screenshots=("sha256:pdf",), pictures=PICTURES | {"sha256:pdf": b"%PDF-1.7"}),
        "It is none of PNG",
        "screenshots.0",
    ),
    # 7 the support link
    Case("manifest.support", of_manifest(support=Support(link=" ")), "It is empty", "support.link"),
    Case("manifest.links", of_manifest(support=Support(link="acme.example")), "does not begin with", "support.link"),
    Case(
        "manifest.links",
        of_manifest(support=Support(link=LINK, website="https://localhost/x")),
        "names no public host",
        "support.website",
    ),
    Case(
        "manifest.links",
        of_manifest(support=Support(link=LINK, self_help="javascript:alert(1)")),
        "does not begin with https://",
        "support.self_help",
    ),
    Case("manifest.links", of_manifest(documentation="https://[::1]/"), "leads to a private", "documentation"),
    Case("manifest.links", of_manifest(documentation="https://" + MILLION), "is longer than 2,048", "documentation"),
    Case(
        "manifest.links",
        of_manifest(licences=(Licence(title="MIT", url="https://u:p@acme.example"),)),
        "contains a user name or password",
        "licences.0.url",
    ),
    Case(
        "manifest.support-email",
        of_manifest(support=Support(link=LINK, email="help@")),
        "There must be something after the @-sign",
        "support.email",
    ),
    # 8 to 11 tiers: name, description, price, installation
    Case("manifest.tiers", of_manifest(tiers=()), "There is none", "tiers"),
    Case("manifest.tiers", of_manifest(tiers=(tier("---"),)), "no letter or digit", "tiers.0.name"),
    Case(
        "manifest.tiers",
        of_manifest(tiers=(tier("Pro"), tier("pro!"))),
        "'Pro' and 'pro!' would have one repository, pro",
        "tiers.1.name",
    ),
    Case("manifest.tiers", of_manifest(tiers=(tier("Größe"), tier("Groe"))), "one repository, groe", "tiers.1.name"),
    Case("manifest.tiers", of_manifest(tiers=(tier("Ｐro"), tier("Pro"))), "one repository, pro", "tiers.1.name"),
    Case(
        "manifest.tiers",
        of_manifest(tiers=(tier("x" * 60 + "1"), tier("Pro"), tier("x" * 60 + "2"))),
        "would have one repository",
        "tiers.2.name",
    ),
    Case("manifest.tiers", of_manifest(tiers=(tier("基本"), tier(" 基本"))), "one repository", "tiers.1.name"),
    Case("manifest.tiers", of_manifest(tiers=(tier("x" * 81),)), "81 characters; at most 80", "tiers.0.name"),
    Case("manifest.tier-texts", of_manifest(tiers=(tier(description=""),)), "no description", "tiers.0.description"),
    Case(
        "manifest.tier-texts",
        of_manifest(tiers=(tier(), tier("Pro", installation=" "))),
        "Pro has no installation instructions",
        "tiers.1.installation",
    ),
    Case("manifest.price", of_manifest(**_price("-1")), "-1 is no price", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_price("49.905")), "USD has 2 decimals, 49.905 has", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_vast_price("1E+1000000")), "more than 8 digits", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_vast_price("123456789")), "more than 8 digits", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_vast_price("1E-1000000")), "USD has 2", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_vast_price("NaN")), "NaN is no price", "tiers.0.price.amount"),
    Case("manifest.price", of_manifest(**_price("9", "XYZ")), "choose one of: USD", "tiers.0.price.currency"),
    # 12 licence agreements
    Case("manifest.licences", of_manifest(licences=()), "There is none", "licences"),
    Case("manifest.licences", of_manifest(licences=(Licence(title="MIT"),)), "both text and link", "licences.0"),
    Case("manifest.licences", of_manifest(licences=(Licence(title="", text="Do."),)), "Its title", "licences.0"),
    # what goes with them
    Case("manifest.sla", of_manifest(**_sla(hours=" ")), "hours or time zone are missing", "tiers.0.sla"),
    Case("manifest.sla", of_manifest(**_sla(time_zone="")), "hours or time zone are missing", "tiers.0.sla"),
    Case("manifest.sla", of_manifest(**_sla(first_response_hours=0)), "0 h", "tiers.0.sla.first_response_hours"),
    Case("manifest.platforms", of_manifest(platforms=("amd64",)), "'amd64' is no platform", "platforms.0"),
    Case("manifest.platforms", of_manifest(platforms=("windows/amd64",)), "is no platform", "platforms.0"),
    Case("manifest.platforms", of_manifest(platforms=("linux/amd64\n",)), "is no platform", "platforms.0"),
    Case("manifest.release-notes", of_manifest(release_notes=" "), "There are none", "release_notes"),
    Case("manifest.documentation", of_manifest(documentation=""), "There is none", "documentation"),
]

PASSES = [
    Case("manifest.name", of_manifest(name="x" * 80)),
    Case("manifest.short-description", of_manifest(short_description="x" * 140)),
    Case("manifest.short-description", of_manifest(short_description="It reads. It writes!")),
    Case(
        "manifest.short-description",
        of_manifest(short_description="Caches pages, e.g. of Node.js 20.1 vs. static ones, i.e. all of them. Fast."),
    ),
    Case("manifest.category", of_manifest(category="Databases")),
    Case("manifest.search-tags", of_manifest(search_tags=("x",) * 12)),
    Case("manifest.long-description", of_manifest(long_description="x" * 50_000)),
    # an empty one is the other rule's business
    Case("manifest.thin-description", of_manifest(long_description="")),
    Case("manifest.placeholder", of_manifest(name="Todo", short_description="A todo list. Replaces menus.")),
    Case("manifest.characters", of_manifest(long_description="Zwei\nZeilen\r\n\tund 👩‍👩‍👧 עברית " * 20)),
    # how a form is broken is the other rule's business
    Case("manifest.screenshots", of_manifest(screenshots=("sha256:gone",))),
    Case("manifest.screenshot-form", of_manifest(screenshots=())),
    Case("manifest.links", of_manifest(documentation="", support=Support(link=LINK))),
    Case("manifest.support-email", of_manifest(support=Support(link=LINK))),
    Case("manifest.tiers", of_manifest(tiers=(tier("Standard"), tier("Pro")))),
    Case("manifest.tiers", of_manifest(tiers=(tier("基本"), tier("专业")))),
    Case("manifest.price", of_manifest(**_price("49.90", "EUR"))),
    Case("manifest.price", of_manifest(**_price("49.9000"))),
    Case("manifest.price", of_manifest(**_price("99999999.99"))),
    # what costs nothing needs no currency
    Case("manifest.price", of_manifest(**_price("0", "XYZ"))),
    Case("manifest.licences", of_manifest(licences=(Licence(title="EULA", text="You may."),))),
    Case("manifest.sla", of_manifest(tiers=(tier(sla=None),))),
    Case("manifest.platforms", of_manifest(platforms=())),
    # a listing edit releases nothing
    Case("manifest.release-notes", of_manifest(release_notes="", track=Track.LISTING)),
]
