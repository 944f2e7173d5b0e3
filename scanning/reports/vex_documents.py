"""VEX documents in either form."""

import json
from enum import StrEnum

from models.errors import InvalidManifest, Problem
from models.vex import VexDocument
from scanning.reports import cyclonedx_vex, openvex

#: of a document, bytes: a hundred thousand statements
LARGEST = 64 * 2**20
#: problems that a refusal names
_MOST_PROBLEMS = 20


class VexForm(StrEnum):
    OPENVEX = "openvex"
    CYCLONEDX = "cyclonedx"


def write(document: VexDocument, form: VexForm) -> bytes:
    return openvex.write(document) if form is VexForm.OPENVEX else cyclonedx_vex.write(document)


def read(content: bytes) -> VexDocument:
    """OpenVEX, or CycloneDX with vulnerabilities. Errors: InvalidManifest with every reason, and nothing is used."""
    if len(content) > LARGEST:
        raise InvalidManifest([Problem("document", f"is larger than {LARGEST // 2**20} MiB.")])
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest([Problem("document", f"is no JSON: {str(error)[:200]}.")]) from error
    problems: list[Problem] = []
    if openvex.is_openvex(said):
        document = openvex.read(said, problems)
    elif cyclonedx_vex.is_cyclonedx(said):
        document = cyclonedx_vex.read(said, problems)
    else:
        problems.append(Problem("document", "is neither OpenVEX (@context) nor CycloneDX (bomFormat)."))
        document = None
    if problems or document is None:
        raise InvalidManifest(problems[:_MOST_PROBLEMS])
    return document
