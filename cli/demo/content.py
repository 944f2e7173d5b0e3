"""The demo's publisher and product page: what a publisher would write, icon and screenshot included."""

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from models.base import digest_of
from models.publishers import PublisherProfile

APPLICANT = "ada@harbour-ledgers.example"
MODERATOR = "mo@wharfinger.example"
SECOND = "sam@wharfinger.example"


def icon() -> bytes:
    """A square picture of 512 pixels."""
    picture = Image.new("RGB", (512, 512), "#0b3954")
    draw = ImageDraw.Draw(picture)
    for row, width in enumerate((320, 220, 270, 160)):
        draw.rounded_rectangle((96, 112 + row * 78, 96 + width, 154 + row * 78), 12, fill="#ffb703")
    return _png(picture)


def screenshot() -> bytes:
    picture = Image.new("RGB", (1280, 800), "#f7f7f2")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 1280, 72), fill="#0b3954")
    for row in range(12):
        draw.rectangle((64, 120 + row * 52, 1216, 156 + row * 52), fill="#ffffff" if row % 2 else "#e8eef2")
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def profile(picture: bytes) -> PublisherProfile:
    return PublisherProfile(
        legal_name="Harbour Ledgers",
        website="https://harbour-ledgers.example",
        phone="+49 30 901820",
        email=APPLICANT,
        icon=digest_of(picture),
    )


def write_folder(folder: Path, sources: Mapping[str, str], tag: str, *, mended: bool) -> Path:
    """A submission folder; the first version lacks what a hurried publisher leaves out. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "icon.png").write_bytes(icon())
    description = _LONG if mended else _SHORT
    (folder / "description.md").write_text(description)
    if mended:
        (folder / "screenshot.png").write_bytes(screenshot())
    (folder / "product.toml").write_text(_toml(sources, tag, mended))
    return folder


def _toml(sources: Mapping[str, str], tag: str, mended: bool) -> str:
    more = _MENDED if mended else ""
    tiers = "".join(
        _TIER.format(name=name, price=price, repository=sources[name], tag=tag)
        for name, price in (("Standard", "0"), ("Pro", "49"))
    )
    return _PRODUCT.format(more=more) + tiers


_PRODUCT = """name = "Ledger"
icon = "icon.png"
short_description = "Bookkeeping for small harbours: accounts, dues and a monthly report."
category = "application services"
long_description = {{ file = "description.md" }}
platforms = ["linux/amd64", "linux/arm64"]
runs_on = "community"
{more}
[support]
link = "https://harbour-ledgers.example/support"
email = "support@harbour-ledgers.example"

[[licences]]
title = "MIT"
url = "https://harbour-ledgers.example/licence"
"""
_MENDED = """search_tags = ["bookkeeping", "harbour"]
screenshots = ["screenshot.png"]
documentation = "https://harbour-ledgers.example/docs"
release_notes = "Runs without root; all packages are up to date."
"""
_TIER = """
[[tiers]]
name = "{name}"
description = "Ledger for one harbour, {name} edition."
installation = "docker run -p 8000:8000 ledger:{tag}"
price = {{ amount = "{price}", currency = "EUR", period = "month" }}
source = {{ repository = "{repository}", tags = ["{tag}"] }}
sla = {{ hours = "Mon-Fri 09:00-17:00", time_zone = "Europe/Berlin", first_response_hours = 8 }}
"""
_SHORT = "A small ledger for a small harbour."
_LONG = """Ledger keeps the books of a small harbour.

- accounts for every berth and every boat
- harbour dues, counted by length and by night
- a monthly report that the council understands

It is one process, runs without root, and answers a health check. Its data is one SQLite file on a volume.
"""
