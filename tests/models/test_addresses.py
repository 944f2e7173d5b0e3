"""Names become parts of addresses: always a word that a registry and a browser understand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.addresses import slug_of
from registry.references import parse_repository


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Grüne Wolke GmbH", "grune-wolke-gmbh"),
        ("  Crane 2.0!", "crane-2-0"),
        ("Größe", "groe"),
        ("Ｐｒｏ", "pro"),
        ("x" * 59 + " y", "x" * 59),
        ("数据 DB", "db"),
    ],
)
def test_a_name_is_a_word_of_plain_letters(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_names_without_a_plain_letter_have_words_of_their_own() -> None:
    names = ("基本", "专业", "Базовый", "", "---")
    assert len({slug_of(name) for name in names}) == len(names)
    assert slug_of("Базовый") == slug_of("  базовый ")
    assert slug_of("基本").startswith("item-")


@given(st.text())
def test_whatever_the_name_is_a_registry_takes_it(name: str) -> None:
    assert parse_repository(f"hub.example/{slug_of(name)}").name == slug_of(name)
