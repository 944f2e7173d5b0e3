"""OpenVEX 0.2.0: read leniently (0.0.1 as well), written strictly."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from models.errors import Problem
from models.findings import VexJustification, VexState
from models.vex import VexDocument, VexStatement
from policies.vex import purl_of
from scanning.reports.document import written
from scanning.texts import clean

CONTEXT = "https://openvex.dev/ns/v0.2.0"
_CONTEXTS = "https://openvex.dev/ns"
#: OpenVEX has no word for it: a note of this form is ours
_EXPIRES = "Expires: "


def is_openvex(document: Any) -> bool:
    return isinstance(document, dict) and str(document.get("@context", "")).startswith(_CONTEXTS)


def write(document: VexDocument) -> bytes:
    """A product in several statements is named in each; a package is a subcomponent of its products."""
    said: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": document.id,
        "author": clean(document.author),
        "timestamp": _instant(document.at),
        "version": document.version,
        "statements": [_statement(statement, document) for statement in document.statements],
    }
    return written(said)


def _statement(statement: VexStatement, document: VexDocument) -> dict[str, Any]:
    vulnerability: dict[str, Any] = {"name": statement.vulnerability}
    if statement.aliases:
        vulnerability["aliases"] = list(statement.aliases)
    said: dict[str, Any] = {
        "vulnerability": vulnerability,
        "timestamp": _instant(statement.at or document.at),
        "products": [_product(name, statement.components) for name in statement.products],
        "status": statement.state,
    }
    if statement.justification:
        said["justification"] = statement.justification
    words = clean(statement.words)
    notes = [_EXPIRES + _instant(statement.expires)] if statement.expires else []
    if words and statement.state is VexState.NOT_AFFECTED:
        said["impact_statement"] = words
    elif statement.state is VexState.AFFECTED:
        said["action_statement"] = words or "None yet."
    elif words:
        notes.insert(0, words)
    if notes:
        said["status_notes"] = "\n".join(notes)
    return said


def _product(name: str, components: tuple[str, ...]) -> dict[str, Any]:
    said = _component(name)
    if components:
        said["subcomponents"] = [_component(component) for component in components]
    return said


def _component(name: str) -> dict[str, Any]:
    return {"@id": name, "identifiers": {"purl": name}} if purl_of(name) else {"@id": name}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read(document: dict[str, Any], problems: list[Problem]) -> VexDocument:
    """A statement about several products becomes several. What cannot be read is added to `problems`."""
    at = instant_of(document.get("timestamp")) or datetime.now(UTC)
    author = str(document.get("author") or "")
    statements = document.get("statements")
    if not isinstance(statements, list):
        problems.append(Problem("statements", "a list of statements is needed here."))
        statements = []
    said = [one for place, statement in enumerate(statements) for one in _read(statement, place, at, author, problems)]
    version = document.get("version")
    return VexDocument(
        id=str(document.get("@id") or ""),
        author=author,
        at=at,
        version=version if isinstance(version, int) else 1,
        statements=tuple(said),
    )


def _read(statement: Any, place: int, at: datetime, author: str, problems: list[Problem]) -> Iterator[VexStatement]:
    where = f"statements[{place}]"
    if not isinstance(statement, dict):
        problems.append(Problem(where, "an object is needed here."))
        return
    name, aliases = _vulnerability(statement.get("vulnerability"))
    if not name:
        problems.append(Problem(f"{where}.vulnerability", "the vulnerability has no name."))
        return
    if str(statement.get("status")) not in set(VexState):
        problems.append(Problem(f"{where}.status", f"is none of {', '.join(VexState)}."))
        return
    justification = str(statement.get("justification") or "")
    if justification and justification not in set(VexJustification):
        problems.append(Problem(f"{where}.justification", f"is none of {', '.join(VexJustification)}."))
        return
    notes = str(statement.get("status_notes") or "")
    words = next((statement[key] for key in ("impact_statement", "action_statement") if statement.get(key)), "")
    common = VexStatement(
        vulnerability=name,
        aliases=aliases,
        state=VexState(statement["status"]),
        justification=VexJustification(justification) if justification else None,
        words=str(words) or notes.partition(_EXPIRES)[0].strip(),
        author=author,
        at=instant_of(statement.get("last_updated")) or instant_of(statement.get("timestamp")) or at,
        expires=instant_of(notes.partition(_EXPIRES)[2].partition("\n")[0]),
    )
    products = statement.get("products")
    if not isinstance(products, list) or not products:
        yield common
        return
    for product in products:
        components = product.get("subcomponents") if isinstance(product, dict) else statement.get("subcomponents")
        yield common.model_copy(
            update={
                "products": tuple(_names(product)),
                "components": tuple(name for each in components for name in _names(each))
                if isinstance(components, list)
                else (),
            }
        )


def _vulnerability(said: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(said, str):
        return said, ()
    if not isinstance(said, dict):
        return "", ()
    aliases = said.get("aliases")
    names = tuple(str(alias) for alias in aliases) if isinstance(aliases, list) else ()
    return str(said.get("name") or said.get("@id") or ""), names


def _names(said: Any) -> Iterator[str]:
    """Everything that a document calls a product or a package: its id, its identifiers, its digest."""
    if isinstance(said, str):
        yield said
        return
    if not isinstance(said, dict):
        return
    identifiers, hashes = said.get("identifiers"), said.get("hashes")
    names = [said.get("@id"), *(identifiers.values() if isinstance(identifiers, dict) else ())]
    yield from dict.fromkeys(str(name) for name in names if name)
    if isinstance(hashes, dict) and (digest := hashes.get("sha-256") or hashes.get("sha256")):
        yield f"sha256:{digest}"


def instant_of(said: Any) -> datetime | None:
    """An instant in UTC; None for what is none."""
    try:
        moment = datetime.fromisoformat(str(said).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
