"""Names and ids by which processes find one another: workflow ids, task queues, short ids."""

import secrets

#: workflows and light activities
MODERATION_QUEUE = "moderation"
SCANNING_QUEUE = "scanning"
CERTIFICATION_QUEUE = "certification"
MAIL_QUEUE = "mail"
QUEUES = (MODERATION_QUEUE, SCANNING_QUEUE, CERTIFICATION_QUEUE, MAIL_QUEUE)

MAILROOM_ID = "mailroom"
RECONCILE_SCHEDULE_ID = "reconcile"

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


def scan_address(subject: str, iteration: int) -> str:
    return f"scan/{subject}/{iteration}"
