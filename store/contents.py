"""Documents by digest: content manifests and profiles, kept as rows so that pages and mails need no blob."""

from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Message, canonical_json, digest_of
from models.tables import ContentRow
from store.database import insert_new, table_of

M = TypeVar("M", bound=Message)

_CONTENT = table_of(ContentRow)
_DOCUMENT = select(_CONTENT.c.document).where(_CONTENT.c.digest == bindparam("digest"))


async def save(session: AsyncSession, document: Message) -> str:
    """Store once and return the digest, which is that of the blob with the same document."""
    digest = digest_of(canonical_json(document))
    row = {"digest": digest, "document": document.model_dump(mode="json"), "stored_at": datetime.now(UTC)}
    await insert_new(session, ContentRow, [row], ("digest",))
    return digest


async def find(session: AsyncSession, model: type[M], digest: str) -> M | None:
    document = (await session.exec(_DOCUMENT, params={"digest": digest})).first() if digest else None
    return None if document is None else model.model_validate(document)
