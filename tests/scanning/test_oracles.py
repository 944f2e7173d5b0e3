"""Our orders of versions beside those of the ecosystems' own tools, over generated pairs.

`python -m benchmarks.versions` asks about 100,000 of each, and further tools where a machine has them (Go, Maven,
RubyGems, Composer); docs/agreement.md has what came of it.
"""

import pytest

from benchmarks.version_oracles import ORACLES, answered, relations
from tests.parts.presence import needs

#: dpkg is asked in a process for each pair, about a millisecond
PAIRS = {"deb": 1500, "npm": 5000, "rpm": 3000}
_TOOLS = {"deb": "dpkg-deb", "npm": "node-semver", "rpm": "rpm"}


def asked(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [pytest.param(name, marks=needs(_TOOLS[name])) for name in names])


@asked(*PAIRS)
def test_no_tool_denies_what_we_say_of_two_versions(name: str) -> None:
    answer = answered(ORACLES[name], PAIRS[name], seed=11)
    assert answer.judged >= PAIRS[name]
    assert answer.denied == []


@pytest.mark.parametrize("name", ORACLES)
def test_pairs_are_of_all_relations_and_the_same_for_the_same_seed(name: str) -> None:
    oracle = ORACLES[name]
    found = list(relations(oracle, 300, seed=5))
    assert found == list(relations(oracle, 300, seed=5))
    assert {how for _, how, _ in found} == {"<", "=", ">"}


@asked(*PAIRS)
def test_an_oracle_denies_what_is_wrong(name: str) -> None:
    assert (
        len(ORACLES[name].ask([("1.0.0", ">", "1.0.1"), ("1.0.0", "<", "1.0.1"), ("1.0.0", "=", "1.0.1")]).denied) == 2
    )
