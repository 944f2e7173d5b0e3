"""Cases of the rules of the publisher profile."""

from typing import Any

from models.base import digest_of
from tests.policies.cases import Case, of_profile
from tests.policies.samples import picture

SMALL, WIDE, LARGE = picture(511, 511), picture(600, 512), picture(512, 512, compress_level=0) * 8
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512"/>'
BROKEN = picture()[:-40]


def _icon(content: bytes) -> dict[str, Any]:
    return {"icon": digest_of(content), "pictures": {digest_of(content): content}}


FINDS = [
    Case("profile.name", of_profile(legal_name=""), "It is empty", "legal_name"),
    Case("profile.name", of_profile(legal_name=" \t"), "It is empty", "legal_name"),
    Case("profile.name", of_profile(legal_name="x" * 81), "81 characters; at most 80", "legal_name"),
    Case("profile.name", of_profile(legal_name="Two\nlines"), "in one line", "legal_name"),
    Case("profile.website", of_profile(website=""), "does not begin with https://", "website"),
    Case("profile.website", of_profile(website="http://acme.example"), "does not begin with https://", "website"),
    Case("profile.website", of_profile(website="https://10.0.0.1"), "leads to a private address", "website"),
    Case("profile.phone", of_profile(phone=""), "did not seem to be a phone number", "phone"),
    Case("profile.phone", of_profile(phone="030 901820"), "Missing or invalid default region", "phone"),
    Case("profile.phone", of_profile(phone="+49 30"), "is no number that is in use", "phone"),
    Case("profile.phone", of_profile(phone="+1 555 555 5555"), "is no number that is in use", "phone"),
    Case("profile.phone", of_profile(phone="9" * 1_000_000), "", "phone"),
    Case("profile.phone", of_profile(phone="030 901820", country="XX"), "", "phone"),
    Case("profile.email", of_profile(email=""), "must have an @-sign", "email"),
    Case("profile.email", of_profile(email="ada"), "must have an @-sign", "email"),
    Case("profile.email", of_profile(email="ada@localhost"), "", "email"),
    Case("profile.email", of_profile(email="ada@@acme.example"), "", "email"),
    Case("profile.email", of_profile(email="ada@acme..example"), "", "email"),
    Case("profile.email", of_profile(email="a" * 300 + "@acme.example"), "longer than 254 characters", "email"),
    Case("profile.email", of_profile(email="ada\x00@acme.example"), "", "email"),
    Case("profile.email", of_profile(email="ada\ud800@acme.example"), "", "email"),
    Case("profile.email", of_profile(email="Ada <ada@acme.example>"), "", "email"),
    Case("profile.company-email", of_profile(email="ada@gmail.com"), "gmail.com gives addresses", "email"),
    Case("profile.company-email", of_profile(email="ada@GMX.de"), "gmx.de gives addresses", "email"),
    Case("profile.icon", of_profile(icon=""), "There is none", "icon"),
    Case("profile.icon", of_profile(pictures={}), "There is none", "icon"),
    Case("profile.icon", of_profile(**_icon(SMALL)), "511 x 511 pixels; at least 512", "icon"),
    Case("profile.icon", of_profile(**_icon(WIDE)), "600 x 512 pixels: not square", "icon"),
    Case("profile.icon", of_profile(**_icon(LARGE)), "bytes; at most 2,097,152", "icon"),
    Case("profile.icon", of_profile(**_icon(SVG)), "is none of PNG, JPEG, WEBP, GIF", "icon"),
    Case("profile.icon", of_profile(**_icon(b"")), "is none of PNG, JPEG, WEBP, GIF", "icon"),
    Case("profile.icon", of_profile(**_icon(BROKEN)), "cannot be decoded", "icon"),
]

PASSES = [
    Case("profile.name", of_profile(legal_name="Société Générale d’Équipement (2024) 株式会社")),
    Case("profile.website", of_profile(website="https://münchen.example:8443/über?uns=1#hier")),
    Case("profile.phone", of_profile(phone="030 901820", country="de")),
    Case("profile.phone", of_profile(phone="(212) 555-0123".replace("555", "736"), country="US")),
    Case("profile.email", of_profile(email="ada+hub@sub.acme.co.uk")),
    # a host that does not exist: the name server is never asked
    Case("profile.email", of_profile(email="ada@no-such-host-1b9f3c.example")),
    Case("profile.company-email", of_profile(email="ada@gmail.com.example")),
    Case("profile.icon", of_profile(**_icon(picture(512, 512, "JPEG")))),
    Case("profile.icon", of_profile(**_icon(picture(1024, 1024, "WEBP")))),
    Case("profile.icon", of_profile(**_icon(picture(512, 512, "GIF")))),
]
