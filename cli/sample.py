"""The sample that `wharfinger init` writes: product.toml with every item explained, its pictures and texts.

What it says is whole and fit as it stands, so that the first try shows the whole way; the publisher replaces it.
"""

import io
import json

from PIL import Image, ImageDraw, ImageFont

from models.content import ContentType, RunsOn, Track
from models.policy import HubPolicy

#: pixels
_SHOT = (1280, 720)
_DEEP, _BRIGHT, _PALE = "#0b3b4f", "#2aa198", "#e8f3f1"


def files(name: str, policy: HubPolicy) -> dict[str, bytes]:
    """Everything of the folder by file name, for a product of this name and within the limits of the policy."""
    return {
        "product.toml": product_toml(name, policy).encode(),
        "description.md": _description(name).encode(),
        "LICENCE.txt": _licence(name).encode(),
        "icon.png": _png(_icon(max(policy.manifest.icon_pixels, 512), name)),
        "screenshot.png": _png(_screenshot(name)),
    }


def product_toml(name: str, policy: HubPolicy) -> str:
    """The content manifest, each of its twelve items commented."""
    limits, terms = policy.manifest, policy.terms
    slug = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower()).strip("-")
    category = "databases" if "databases" in terms.categories else terms.categories[0]
    categories = "\n".join(f"#   {each}" for each in terms.categories)
    return f"""\
# The content manifest of one product: what its page in the catalog shows, and where its images come from.
# Replace the sample by your product. Check it as often as you like, without anybody being told:
#
#   wharfinger submit DIR --dry-run
#
# Files named here lie in this folder. Links begin with https://; the hub checks their form and never opens them.

# 1. Product name, at most {limits.name} characters. It makes the product's address in the catalog.
name = {_quoted(name)}

# 2. Icon: a square PNG, JPEG, WebP or GIF of at least {limits.icon_pixels} x {limits.icon_pixels} pixels.
icon = "icon.png"

# 3. Short description: one or two sentences, at most {limits.short_description} characters. Lists show it whole.
short_description = "Keeps the accounts of a small port: berths, cranes and dues in one ledger."

# 4. Category and search tags. At most {limits.search_tags} tags. The hub's categories:
{categories}
category = {_quoted(category)}
search_tags = ["ledger", "accounting", "port"]

# 5. Long description, in Markdown: here, or in a file. At most {limits.long_description:,} characters.
long_description = {{ file = "description.md" }}

# 6. Screenshots, at most {limits.screenshots}.
screenshots = ["screenshot.png"]

# Documentation, and what is new in this version: release notes are mailed to those who subscribed to the product.
documentation = "https://docs.example.com/{slug}"
release_notes = "First release: berths, cranes and dues."

# Platforms that you support, as the images are built for.
platforms = ["linux/amd64", "linux/arm64"]

# What it runs on: {_choices(RunsOn)}. Content for enterprise infrastructure needs support terms
# (sla) for every tier; only such content can be certified. What needs another infrastructure is not published.
runs_on = "enterprise"
wants_certification = false

# {_choices(ContentType)}.
content_type = "container image"

# {_choices(Track)}: a version brings images, a listing edit changes this page only.
track = "version"

# 7. Support link, and the ways to reach you beside it.
[support]
link = "https://example.com/support"
email = "support@example.com"
website = "https://example.com"
self_help = "https://docs.example.com/{slug}/questions"

# 12. Licence agreements: a link (url), or the text, here or in a file.
[[licences]]
title = "End user licence agreement"
text = {{ file = "LICENCE.txt" }}

# 8. to 11. Tiers, one [[tiers]] each: name, description, price, installation instructions. The source repository of a
# tier is never shown to customers. The tag latest cannot be submitted: what is approved is a version.
[[tiers]]
name = "Community"
description = "Everything for one port and up to ten berths."
installation = '''
    docker run -d --name {slug} -p 8080:8080 -v {slug}:/var/lib/{slug} IMAGE

Then open http://localhost:8080 and follow the first steps.
'''
price = {{ amount = 0 }}

# Private repositories: give the user name with --username at submission, never here.
[tiers.source]
repository = "registry.example.com/example/{slug}-community"
tags = ["1.0", "1.0.0"]

# Support terms (SLA) of this tier's images.
[tiers.sla]
hours = "Mon-Fri 9-17"
time_zone = "Europe/Berlin"
first_response_hours = 48

[[tiers]]
name = "Standard"
description = "Any number of ports and berths, with support around the clock."
installation = "As Community, with the licence key in the variable LICENCE_KEY."
price = {{ amount = "49.00", currency = {_quoted(terms.currencies[0])}, period = "month" }}

[tiers.source]
repository = "registry.example.com/example/{slug}-standard"
tags = ["1.0", "1.0.0"]

[tiers.sla]
hours = "24x7"
time_zone = "Europe/Berlin"
first_response_hours = 4
"""


def _description(name: str) -> str:
    return f"""\
## What {name} does

{name} keeps the accounts of a small port: who lies at which berth since when, which crane worked how long, and what is
due for it.

- one ledger for berths, cranes and dues
- invoices as PDF, in the language of the ship's owner
- an audit trail that nobody can change

## For whom

For harbour masters of ports with one to a hundred berths, and for those who keep their books.

## What it needs

One container of 256 MB, a volume for its data, and a browser.
"""


def _licence(name: str) -> str:
    return f"""\
End user licence agreement for {name}

1. You may install and run {name} on any number of machines of your own organization.
2. You may not sell it, rent it out, or remove this text from it.
3. It comes without any warranty, as far as the law allows that.
4. The agreement ends when you break it; delete your copies then.
"""


def _icon(side: int, name: str) -> Image.Image:
    """An anchor, drawn with circles and lines: no font, no file."""
    picture = Image.new("RGB", (side, side), _DEEP)
    draw = ImageDraw.Draw(picture)
    unit = side / 16
    stroke = round(unit)
    # the colour of the sea tells two products apart
    sea = tuple(90 + value % 120 for value in name.encode()[-3:].rjust(3, b"x"))
    draw.rectangle((0, 12 * unit, side, side), fill=sea)
    draw.ellipse((7 * unit, 2 * unit, 9 * unit, 4 * unit), outline=_PALE, width=stroke)
    draw.line((8 * unit, 4 * unit, 8 * unit, 13 * unit), fill=_PALE, width=stroke)
    draw.line((5.5 * unit, 6 * unit, 10.5 * unit, 6 * unit), fill=_PALE, width=stroke)
    draw.arc((3 * unit, 4 * unit, 13 * unit, 13.4 * unit), 20, 160, fill=_PALE, width=stroke)
    return picture


def _screenshot(name: str) -> Image.Image:
    """A ledger at work."""
    width, _ = _SHOT
    picture = Image.new("RGB", _SHOT, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, 64), fill=_DEEP)
    font = ImageFont.load_default(size=22)
    title = f"{name}: ledger of the port".encode("latin-1", "replace").decode("latin-1")
    draw.text((24, 18), title, fill="white", font=font)
    for row in range(10):
        top = 96 + row * 58
        draw.rectangle((24, top, width - 24, top + 46), fill=_PALE if row % 2 else "white", outline=_PALE)
        draw.text((40, top + 9), f"Berth {row + 1}", fill=_DEEP, font=font)
        draw.rectangle((220, top + 14, 220 + 80 * (row * 3 % 9 + 1), top + 32), fill=_BRIGHT)
    return picture


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _choices(words: type[ContentType] | type[RunsOn] | type[Track]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def _quoted(text: str) -> str:
    """A string of TOML: JSON's are, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
