"""What the hub knows of an image beyond the advisories: the base that it is built from, the security team's classes."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from models.bases import KnownBase
from models.errors import NotFound
from models.policy import SeverityClasses
from models.scans import ImageReport
from policies.bases import base_of, successors, with_base
from policies.classes import with_classes
from policies.vulnerabilities import key_for
from scanning.advisories import AdvisoryStore
from scanning.scores import severity_of
from store import bases, classes
from store.blobs import Blobs
from store.database import Database


@dataclass(frozen=True, slots=True)
class HubKnowledge:
    """Read anew for each report: a base or a class that was added a moment ago counts."""

    database: Database
    blobs: Blobs
    advisories: AdvisoryStore
    severity: SeverityClasses

    async def applied_to(self, report: ImageReport) -> ImageReport:
        """The report as it stands now; applied again, the report stays as it is. Errors: ToolFailed."""
        async with self.database.session(brief=True) as session:
            known = await bases.known(session)
            classings = await classes.in_force(session)
        classed = with_classes(report, classings, lambda score: severity_of(score, self.severity))
        told = with_base(classed, known, {})
        base = base_of(report.facts, known)
        present: dict[str, frozenset[str]] = {}
        for candidate in successors(base, known) if base else ():
            if (keys := await self._keys(candidate)) is None:
                continue
            present[candidate.digest] = keys
            told = with_base(classed, known, present)
            # the same reference comes first: where that helps, no other is asked for
            if told.base and told.base.rebuild and candidate.reference == told.base.reference:
                break
        return told

    async def changed_at(self) -> datetime | None:
        """When it changed last: a report that was stored before then may say something else now."""
        async with self.database.session() as session:
            moments = await bases.changed_at(session), await classes.changed_at(session)
        return max((moment for moment in moments if moment is not None), default=None)

    async def _keys(self, base: KnownBase) -> frozenset[str] | None:
        """Of what is known against a base image now; None where its report is lost."""
        try:
            report = await self.blobs.get_message(ImageReport, base.report)
        except NotFound:
            return None
        found = await asyncio.to_thread(self.advisories.match, report.components, self.severity)
        return frozenset(key_for(one) for one in found)
