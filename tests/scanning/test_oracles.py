"""Our orders of versions beside those of the ecosystems' own tools, over generated pairs.

`python -m benchmarks.versions` asks about 100,000 of each; docs/agreement.md has what came of it.
"""

import pytest

from benchmarks.version_oracles import ORACLES, answered, relations

#: dpkg is asked in a process for each pair, about a millisecond
PAIRS = {
    "deb": 1500,
    "npm": 5000,
    "go": 3000,
    "go releases": 1000,
    "maven": 3000,
    "rpm": 3000,
    "gem": 3000,
    "composer": 3000,
}


@pytest.mark.parametrize("name", PAIRS)
def test_no_tool_denies_what_we_say_of_two_versions(name: str) -> None:
    oracle = ORACLES[name]
    if not oracle.is_here():
        pytest.skip(f"not on this machine: {oracle.tool}")
    answer = answered(oracle, PAIRS[name], seed=11)
    assert answer.judged >= PAIRS[name]
    assert answer.denied == []


@pytest.mark.parametrize("name", ORACLES)
def test_pairs_are_of_all_relations_and_the_same_for_the_same_seed(name: str) -> None:
    oracle = ORACLES[name]
    found = list(relations(oracle, 300, seed=5))
    assert found == list(relations(oracle, 300, seed=5))
    assert {how for _, how, _ in found} == {"<", "=", ">"}


@pytest.mark.parametrize("name", ["deb", "npm"])
def test_an_oracle_denies_what_is_wrong(name: str) -> None:
    oracle = ORACLES[name]
    if not oracle.is_here():
        pytest.skip(f"not on this machine: {oracle.tool}")
    assert len(oracle.ask([("1.0.0", ">", "1.0.1"), ("1.0.0", "<", "1.0.1"), ("1.0.0", "=", "1.0.1")]).denied) == 2
