"""VEX in CycloneDX's words and back. OpenVEX has fewer: what would be lost is kept in properties of our own."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.findings import VexJustification, VexState
from models.vex import VexStatement
from scanning.texts import clean

#: names of the properties that keep what CycloneDX cannot say
JUSTIFICATION = "vex:justification"
EXPIRES = "vex:expires"

_STATES = {
    VexState.NOT_AFFECTED: "not_affected",
    VexState.AFFECTED: "exploitable",
    VexState.FIXED: "resolved",
    VexState.UNDER_INVESTIGATION: "in_triage",
}
_STATES_BACK = {
    **{word: state for state, word in _STATES.items()},
    "resolved_with_pedigree": VexState.FIXED,
    "false_positive": VexState.NOT_AFFECTED,
}
#: by the meaning of both, as CISA's "Status Justifications" sets them side by side
_JUSTIFICATIONS = {
    VexJustification.COMPONENT_NOT_PRESENT: "code_not_present",
    VexJustification.VULNERABLE_CODE_NOT_PRESENT: "code_not_present",
    VexJustification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH: "code_not_reachable",
    VexJustification.VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY: "requires_environment",
    VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST: "protected_by_mitigating_control",
}
_JUSTIFICATIONS_BACK = {
    "code_not_present": VexJustification.VULNERABLE_CODE_NOT_PRESENT,
    "code_not_reachable": VexJustification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH,
    "requires_configuration": VexJustification.VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY,
    "requires_dependency": VexJustification.VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY,
    "requires_environment": VexJustification.VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY,
    "protected_by_compiler": VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
    "protected_at_runtime": VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
    "protected_at_perimeter": VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
    "protected_by_mitigating_control": VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
}


def analysis_of(said: VexStatement) -> dict[str, Any]:
    """CycloneDX's `analysis`."""
    analysis: dict[str, Any] = {"state": _STATES[said.state]}
    if said.justification:
        analysis["justification"] = _JUSTIFICATIONS[said.justification]
    if said.words:
        analysis["detail"] = clean(said.words)
    if said.at:
        analysis["firstIssued"] = said.at.isoformat()
    return analysis


def properties_of(said: VexStatement) -> Iterator[tuple[str, object]]:
    if said.justification:
        yield JUSTIFICATION, said.justification
    if said.expires:
        yield EXPIRES, said.expires.isoformat()


def affected_of(said: VexStatement | None) -> str:
    """CycloneDX's status of a version."""
    if said is None or said.state is VexState.AFFECTED:
        return "affected"
    return "unknown" if said.state is VexState.UNDER_INVESTIGATION else "unaffected"


def state_of(word: str) -> VexState | None:
    """Of CycloneDX's state; None for a word that it does not have."""
    return _STATES_BACK.get(word)


def justification_of(word: str, properties: Mapping[str, str]) -> VexJustification | None:
    """Of CycloneDX's justification, or the very one of a document that we have written."""
    kept = properties.get(f"wharfinger:{JUSTIFICATION}", "")
    if kept in set(VexJustification):
        return VexJustification(kept)
    return _JUSTIFICATIONS_BACK.get(word)
