"""VEX: what somebody says of vulnerabilities in a product, in OpenVEX's words, whichever format it came in."""

from datetime import datetime

from models.base import Message
from models.findings import VexJustification, VexState


class VexStatement(Message):
    """One vulnerability, and how products stand to it."""

    vulnerability: str
    aliases: tuple[str, ...] = ()
    #: what it is about: purls, image references, digests, ids of products; empty: of whatever it is used with
    products: tuple[str, ...] = ()
    #: purls of packages within them, with a version or without; empty: whichever has the vulnerability
    components: tuple[str, ...] = ()
    state: VexState
    justification: VexJustification | None = None
    #: why it does no harm, or what to do about it
    words: str = ""
    author: str = ""
    at: datetime | None = None
    expires: datetime | None = None


class VexDocument(Message):
    """`id` is an IRI. `version` counts the document's own revisions."""

    id: str
    author: str
    at: datetime
    version: int = 1
    statements: tuple[VexStatement, ...] = ()
