"""The vulnerabilities as CSV (RFC 4180): a line for each in each layer of each platform."""

import csv
import io
from collections.abc import Iterator

from scanning.reports.scanned import Scanned, Sighted
from scanning.texts import clean

COLUMNS = (
    *("image", "platform", "platform digest", "class", "vulnerability", "aliases", "component", "version", "fixed in"),
    *("score", "cvss version", "vector", "score source", "known exploited", "inherited", "vex", "vex justification"),
    *("vex words", "layer", "layer digest", "instruction", "path", "evidence", "confidence", "purl", "summary", "url"),
)

#: what makes a formula of a cell: images and advisories are not to run anything in anybody's spreadsheet
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write(scanned: Scanned) -> bytes:
    """UTF-8 with a header line; lines end in CR LF. A text that a spreadsheet would calculate begins with `'`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for sighted in scanned.sightings():
        writer.writerow([_cell(value) for value in _values(scanned, sighted)])
    return buffer.getvalue().encode("utf-8", "replace")


def _values(scanned: Scanned, sighted: Sighted) -> Iterator[object]:
    found, component, layer, said = sighted.found, sighted.component, sighted.layer, sighted.said
    score = found.score
    yield from (scanned.image, sighted.platform, sighted.report.facts.digest, found.severity, found.id)
    yield from (" ".join(found.aliases), found.component, found.version, found.fixed_version)
    yield from (score.score, score.version, score.vector, score.source) if score else ("", "", "", "")
    yield found.exploited.added.isoformat() if found.exploited else ""
    yield "yes" if found.inherited else "no"
    yield from (said.state, said.justification or "", said.words) if said else ("", "", "")
    yield from (layer.index, layer.digest) if layer else ("", "")
    yield from (sighted.instruction, sighted.path)
    yield from (component.evidence, component.confidence) if component else ("", "")
    yield from (found.purl, found.summary, found.url)


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        return str(value)
    text = clean(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text
