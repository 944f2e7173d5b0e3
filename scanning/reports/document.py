"""The hub's own JSON: everything that a scan knows. Its schema has a version: docs/schemas/scan-1.schema.json."""

import json
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.scans import ImageReport
from models.vex import VexStatement
from scanning.reports.scanned import Scanned

#: another number is another form: what reads this one may not read that
SCHEMA = "wharfinger-scan/1"


class PlatformVex(BaseModel):
    """A VEX statement, and the vulnerability of a platform's image that it covers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: digest of the platform's image
    image: str
    vulnerability: str
    purl: str
    layer: str
    statement: VexStatement


class ScanDocument(BaseModel):
    """A scan as a document. Fields are only added: a reader skips those that it does not know."""

    model_config = ConfigDict(frozen=True)

    form: Literal["wharfinger-scan/1"] = Field(default="wharfinger-scan/1", alias="schema")
    #: as it was asked for
    image: str
    #: of the index, or of the only manifest
    digest: str
    platforms: tuple[ImageReport, ...]
    vex: tuple[PlatformVex, ...] = ()


def write(scanned: Scanned) -> bytes:
    """One JSON document, complete: a field that holds its default is written as well."""
    vex = [
        PlatformVex(image=image, vulnerability=found.id, purl=found.purl, layer=found.layer, statement=statement)
        for (image, found), statement in scanned.statements.items()
    ]
    document = {
        "schema": SCHEMA,
        "image": scanned.image,
        "digest": scanned.digest,
        "platforms": scanned.reports,
        "vex": vex,
    }
    return written(document)


def written(document: Any) -> bytes:
    """Indented JSON. Half a surrogate pair (a path of an image that is not UTF-8) becomes a question mark."""
    text = json.dumps(document, default=_plain, ensure_ascii=False, indent=2) + "\n"
    return text.encode("utf-8", "replace")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    made = ScanDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:wharfinger:scan:1", **made}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value)} cannot be written as JSON")
