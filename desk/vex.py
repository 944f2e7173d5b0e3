"""What the hub calls images and products in VEX documents, and what a document's statements become."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from models.commands import LONGEST_TEXT
from models.images import ReleaseSet
from models.scans import Vulnerability
from models.tables import ProductRow, PublisherRow
from models.vex import VexStatement
from policies.vex import Subject
from store import products

#: a vulnerability of an image, and what documents may call that image
Seen = tuple[Vulnerability, Subject]


class Became(StrEnum):
    """What a statement was turned into."""

    ASKED = "asked"
    GRANTED = "granted"
    #: a second approver has to confirm it
    PROPOSED = "proposed"
    REFUSED = "refused"
    #: would be brought in
    MATCHED = "matched"


@dataclass(frozen=True, slots=True)
class Imported:
    finding: str
    title: str
    became: Became
    #: why it was refused
    reason: str = ""


def urn_of(publisher: PublisherRow, product: ProductRow) -> str:
    return f"urn:wharfinger:product:{publisher.slug}/{product.slug}"


async def names_of(session: AsyncSession, product: ProductRow) -> list[str]:
    """What the hub calls a product and its published images."""
    publisher = await session.get_one(PublisherRow, product.publisher)
    images = await products.images_of_release(session, product.id, product.release) if product.release else []
    references = [str(image["reference"]).partition("@")[0] for image in images]
    return [
        urn_of(publisher, product),
        f"{publisher.slug}/{product.slug}",
        *references,
        *(reference.rpartition(":")[0] for reference in references),
    ]


def subjects_of(release: ReleaseSet, names: Iterable[str]) -> dict[str, Subject]:
    """What documents may call each image of a release set, by its digest: `names`, and the source's own."""
    called: dict[str, tuple[set[str], set[str]]] = {}
    for tier in release.tiers:
        for tag in tier.tags:
            for image in tag.platforms:
                own, digests = called.setdefault(image.digest, (set(names), {image.digest, release.digest}))
                own |= {tier.repository, f"{tier.repository}:{tag.tag}"}
                digests.add(tag.digest)
    return {image: Subject(frozenset(own), frozenset(digests)) for image, (own, digests) in called.items()}


def until(statement: VexStatement, now: datetime, days: int, most: int) -> datetime:
    wanted = statement.expires or now + timedelta(days=days)
    # a moment less than the longest term: the clock goes on until the process judges it
    return min(wanted, now + timedelta(days=most) - timedelta(minutes=1))


def words_of(said: VexStatement) -> str:
    """What the evidence is: the statement's words, or its justification where it has no more to say."""
    by = f" ({said.author})" if said.author else ""
    return f"{said.words or said.justification or said.state}{by}"[:LONGEST_TEXT]


def asking(said: VexStatement) -> str:
    """The words of a member who asks for a waiver."""
    justification = f", {said.justification}" if said.justification else ""
    return f"VEX: {said.state}{justification}. {words_of(said)}"[:LONGEST_TEXT]
