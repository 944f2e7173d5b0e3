"""Writes docs/schemas: the JSON Schema of our own reports, from the models themselves. A test keeps it true."""

import json
from pathlib import Path

from scanning.reports import document

PAGE = Path(__file__).resolve().parent.parent / "docs" / "schemas" / "scan-1.schema.json"


def page() -> str:
    return json.dumps(document.schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
