"""Reports of a scan, a module for each form. Pure: the same scan gives the same bytes."""

from collections.abc import Callable
from enum import StrEnum

from scanning.reports import cyclonedx, document, page, sarif, spdx, spreadsheet
from scanning.reports.scanned import Scanned


class Form(StrEnum):
    """What a report can be written as."""

    JSON = "json"
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"
    SARIF = "sarif"
    CSV = "csv"
    HTML = "html"


_WRITERS: dict[Form, Callable[[Scanned], bytes]] = {
    Form.JSON: document.write,
    Form.CYCLONEDX: cyclonedx.write,
    Form.SPDX: spdx.write,
    Form.SARIF: sarif.write,
    Form.CSV: spreadsheet.write,
    Form.HTML: page.write,
}


def write(scanned: Scanned, form: Form) -> bytes:
    """The report as a file."""
    return _WRITERS[form](scanned)
