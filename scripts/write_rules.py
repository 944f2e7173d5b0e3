"""Writes docs/rules.md: every rule of the hub, from the rulebook itself. `--check` says whether the page is true."""

import sys
from pathlib import Path

from models.findings import Level
from policies.rulebook import AREAS, FIXED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rules.md"

_INTRODUCTION = """# Rules

Every rule that an examination runs, with the id by which `policy.toml` can switch it off or change its level
(`[rules]`). A requirement holds a submission up until it is mended or waived; a guideline alone never does. Written by
`scripts/write_rules.py`; a test keeps it true.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [_INTRODUCTION]
    for area in AREAS:
        parts.append(f"\n## {area.title}\n\n| id | level | finding | why | to mend |\n|---|---|---|---|---|\n")
        for rule in area.rules:
            level = "requirement" if rule.level is Level.REQUIREMENT else "guideline"
            cells = (f"`{rule.id}`", level, rule.title, rule.why, rule.remedy)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    parts.append("\n## Not switched by id\n\n| id | |\n|---|---|\n")
    parts += [f"| `{id_}` | {why} |\n" for id_, why in FIXED.items()]
    return "".join(parts)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == page():
            return 0
        print("docs/rules.md is not what the rules say: python scripts/write_rules.py")
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
