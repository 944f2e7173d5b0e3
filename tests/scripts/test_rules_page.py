"""docs/rules.md says what the rules say."""

from scripts.write_rules import PAGE, page


def test_the_page_of_the_rules_is_true() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/write_rules.py"
