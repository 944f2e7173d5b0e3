"""Sources of images, opened with the credentials that were stored for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from activities.policy import PolicyInForce
from models.errors import NotFound, Unauthorized
from models.images import ImageSource
from registry.access import Access, SourceRules
from registry.sources import Source, open_source
from store.database import Database
from store.secrets import Vault


@dataclass(frozen=True, slots=True)
class Sources:
    """`rules` say which hosts and folders may be read; their limits are those of the policy in force."""

    database: Database
    vault: Vault
    rules: SourceRules
    policy: PolicyInForce

    @asynccontextmanager
    async def open(self, source: ImageSource) -> AsyncIterator[Source]:
        rules = replace(self.rules, limits=self.policy.current().limits)
        access = await self._access(source.credentials) if source.credentials else None
        async with open_source(source.repository, rules, access) as opened:
            yield opened

    async def _access(self, secret: str) -> Access:
        async with self.database.session() as session:
            try:
                username, password = await self.vault.get(session, secret)
            except NotFound as gone:
                raise Unauthorized(
                    "The stored credentials of this source are gone: resubmit with --username and a password."
                ) from gone
        return Access(username=username, password=password)
