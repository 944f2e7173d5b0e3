"""The catalog of known exploited vulnerabilities: CISA's own JSON, and the short form of it as a list.

CISA: {"vulnerabilities": [{"cveID", "dateAdded", "dueDate", "knownRansomwareCampaignUse": "Known" | "Unknown"}]}.
List: [{"cve", "added", "due", "ransomware"}], gzipped or not.
"""

import re
from datetime import date
from typing import Any

from models.scans import KnownExploited

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


class InvalidEntry(ValueError):
    """An entry that is not of the catalog."""


def parse_entry(entry: Any) -> tuple[str, KnownExploited]:
    """The CVE, and what the catalog says of it. Errors: InvalidEntry."""
    try:
        cve = entry.get("cveID") or entry["cve"]
        if not _CVE.fullmatch(cve):
            raise ValueError(f"{cve!r:.80} is no CVE")
        added = date.fromisoformat(entry.get("dateAdded") or entry["added"])
        due = entry.get("dueDate") or entry.get("due")
        used = entry.get("knownRansomwareCampaignUse") or entry.get("ransomware")
        # "Unknown" is what the catalog says when there is none
        ransomware = used is True or (isinstance(used, str) and used.lower() == "known")
        return cve, KnownExploited(added=added, due=date.fromisoformat(due) if due else None, ransomware=ransomware)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidEntry(f"no entry of the catalog: {type(error).__name__}: {error}") from error
