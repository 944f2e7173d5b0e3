"""Names and ids by which processes find one another: workflow ids, task queues, short ids; and names in addresses."""

import hashlib
import re
import secrets
import unicodedata

#: workflows and light activities
MODERATION_QUEUE = "moderation"
SCANNING_QUEUE = "scanning"
CERTIFICATION_QUEUE = "certification"
MAIL_QUEUE = "mail"
QUEUES = (MODERATION_QUEUE, SCANNING_QUEUE, CERTIFICATION_QUEUE, MAIL_QUEUE)

MAILROOM_ID = "mailroom"
RECONCILE_SCHEDULE_ID = "reconcile"
ADVISORIES_SCHEDULE_ID = "advisories"
DIGEST_SCHEDULE_ID = "digest"
RESCAN_SCHEDULE_ID = "rescan"
#: a run that somebody started by hand, beside those of the schedule
ADVISORIES_BY_HAND_ID = "advisories/by-hand"
RESCAN_BY_HAND_ID = "rescan/by-hand"

#: Crockford's base 32 in lower case: no i, l, o, u, so an id can be read out over the telephone
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id() -> str:
    """Twelve letters, 60 random bits: short because ids are most of what a history carries."""
    return "".join(secrets.choice(_LETTERS) for _ in range(12))


def publisher_address(publisher: str) -> str:
    return f"publisher/{publisher}"


def product_address(product: str) -> str:
    return f"product/{product}"


def submission_address(submission: str) -> str:
    return f"submission/{submission}"


def mass_change_address(batch: str) -> str:
    return f"mass-change/{batch}"


def scan_address(subject: str, iteration: int) -> str:
    return f"scan/{subject}/{iteration}"


_OTHER_THAN_LETTERS = re.compile(r"[^a-z0-9]+")


def slug_of(name: str) -> str:
    """A name as part of an address: `Grüne Wolke GmbH` -> `grune-wolke-gmbh`.

    Where no letter is left, as of a name in Chinese, it is `item-` with a hash: other names have other addresses.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _OTHER_THAN_LETTERS.sub("-", plain).strip("-")[:60].strip("-")
    return slug or f"item-{hashlib.sha256(_one_spelling(name).encode('utf-8', 'replace')).hexdigest()[:8]}"


def _one_spelling(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
