"""The security team's classes, given and taken back at the desk. Rows alone: whoever examines asks for them."""

import re
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import InvalidManifest, NotAllowed, Problem
from models.findings import Severity
from models.security_tables import SeverityOverrideRow
from policies.rights import CLASSING_RIGHTS, may
from store import classes, people

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
#: of a reason, characters
_LONGEST = 1_000


async def give(
    session: AsyncSession, actor: str, vulnerability: str, severity: Severity, reason: str, *, now: datetime
) -> SeverityOverrideRow:
    """Class a vulnerability, wherever it is found. `actor` is an id or email address.

    Errors: NotFound, NotAllowed, InvalidManifest with what is wrong by field.
    """
    by = await _judged(session, "class", actor)
    problems = [*_problems(vulnerability, reason)]
    if severity is Severity.UNKNOWN:
        problems.append(Problem("severity", "unknown is no class: `unclass` takes one back."))
    if problems:
        raise InvalidManifest(problems)
    return await classes.give(session, vulnerability, severity, reason.strip(), by, now)


async def take_back(session: AsyncSession, actor: str, vulnerability: str, reason: str, *, now: datetime) -> None:
    """The class of the score is in force again. Errors: as `give`, and NotFound where there is no class."""
    by = await _judged(session, "unclass", actor)
    if problems := _problems(vulnerability, reason):
        raise InvalidManifest(problems)
    await classes.take_back(session, vulnerability, reason.strip(), by, now)


async def _judged(session: AsyncSession, act: str, actor: str) -> str:
    person = await people.get(session, actor)
    if not may(CLASSING_RIGHTS, act, await people.standing_of(session, person.id, "")):
        raise NotAllowed("Only the security team classes vulnerabilities: an admin gives the role `security`.")
    return person.id


def _problems(vulnerability: str, reason: str) -> list[Problem]:
    problems = []
    if not _NAME.fullmatch(vulnerability.strip()):
        problems.append(Problem("vulnerability", "is no id of an advisory: write it as CVE-2024-1234."))
    if not reason.strip():
        problems.append(Problem("reason", "is empty: publishers read why."))
    if len(reason) > _LONGEST:
        problems.append(Problem("reason", f"is longer than {_LONGEST:,} characters."))
    return problems
