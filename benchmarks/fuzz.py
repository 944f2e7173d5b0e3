"""Every parser of our own making, fed with damaged input: an answer or an error of its contract, and nothing else.

    python -m benchmarks.fuzz [--seconds 600] [--seed 1] [--only tar] [--keep DIR]

Honest seeds are damaged at random places (bits, bytes, cuts, repeats, numbers at their limits, pieces of other seeds)
and handed to the parser; input that reached lines never reached before becomes a seed itself. What breaks a parser is
written into `--keep`, and the way to see it again is printed. `--seconds 600` is the nightly run (`make fuzz`); the
tests do a small, fixed part.
"""

import argparse
import copy
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.figures import note, show
from benchmarks.fuzz_targets import TARGETS, Target

_NUMBERS = (
    b"0",
    b"-1",
    b"255",
    b"65536",
    b"4294967295",
    b"9223372036854775807",
    b"99999999999999999999",
    b"1e999",
    b"NaN",
)
_WORDS = (b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"../", b"\n\n", b"{", b"[[[[", b'"', b"%s", b"\x1b[2J", b"\xe2\x80\xae")
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 2**70, "", "0", "*", "\ud800", "\x00", "a b", "9" * 5000, "1." * 2000, "CVE-2026-1234"),
    *([], {}, [[]], [None], {"": {}}, [{"introduced": "0"}] * 50, "2026-13-45", "cpe:2.3:a", "https://", "x" * 40_000),
)
#: bytes that a damaged input may grow to
_LONGEST = 2**18
#: inputs kept per target because they reached something new
_MOST_SEEDS = 400


@dataclass
class Broken:
    """A parser raised what its contract does not know."""

    target: str
    content: bytes
    error: BaseException


@dataclass
class Campaign:
    """One target's run. `lines` are those of our own parsers that any input has reached."""

    target: Target
    chance: random.Random
    seeds: list[bytes]
    tried: int = 0
    refused: int = 0
    lines: set[tuple[str, int]] = field(default_factory=set)
    broken: list[Broken] = field(default_factory=list)

    def step(self, *, watched: bool) -> None:
        """One damaged input; `watched` also sees which lines it reaches, at ten times the cost."""
        whole = self.target.is_json and self.chance.random() < 0.7
        content = (replanted if whole else damaged)(self.chance, self.seeds)
        self.tried += 1
        before = len(self.lines)
        try:
            if watched:
                _watching(self.lines, lambda: self.target.feed(content))
            else:
                self.target.feed(content)
        except self.target.allowed:
            self.refused += 1
        except Exception as error:  # that is what is looked for
            self.broken.append(Broken(self.target.name, content, error))
            return
        if len(self.lines) > before and len(self.seeds) < _MOST_SEEDS:
            self.seeds.append(content)


def damaged(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with one to eight damages."""
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        place = chance.randint(0, len(content))
        match chance.randrange(8):
            case 0 if content:
                content[place - 1] ^= 1 << chance.randrange(8)
            case 1 if content:
                content[place - 1] = chance.randrange(256)
            case 2:
                del content[place : place + chance.randint(1, 64)]
            case 3:
                content[place:place] = chance.choice(_WORDS)
            case 4:
                content[place : place + chance.randint(0, 4)] = chance.choice(_NUMBERS)
            case 5:
                piece = content[place : place + chance.randint(1, 64)]
                content[place:place] = piece * chance.randint(1, 16)
            case 6:
                other = chance.choice(seeds)
                begin = chance.randint(0, len(other))
                content[place:place] = other[begin : begin + chance.randint(1, 256)]
            case _:
                del content[place:]
    return bytes(content[:_LONGEST])


def replanted(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed that is JSON, still JSON, with one to four values that nobody would expect in their places."""
    try:
        document = json.loads(chance.choice(seeds))
    except (ValueError, RecursionError):
        document = json.loads(seeds[0])
    for _ in range(chance.randint(1, 4)):
        places = list(_places(document))
        if places:
            holder, key = chance.choice(places)
            holder[key] = copy.deepcopy(chance.choice((*_VALUES, document, holder[key])))
    return json.dumps(document).encode()[:_LONGEST]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _watching(lines: set[tuple[str, int]], call: Callable[[], object]) -> None:
    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if "/scanning/" not in name and "/policies/" not in name:
            return None
        if event == "line":
            lines.add((name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)


def campaign(target: Target, seed: int) -> Campaign:
    """Errors: AssertionError when an honest seed is not taken: then nothing would be tested."""
    for content in target.seeds:
        try:
            target.feed(content)
        except target.allowed as error:
            raise AssertionError(f"{target.name}: a seed is refused: {error}") from error
    return Campaign(target, random.Random(f"{target.name} {seed}"), list(target.seeds))  # noqa: S311 - to be repeated


def run(target: Target, seed: int, *, seconds: float = 0, inputs: int = 0) -> Campaign:
    """For so many seconds, or so many inputs."""
    one = campaign(target, seed)
    end = time.monotonic() + seconds
    while (one.tried < inputs if inputs else time.monotonic() < end) and len(one.broken) < 5:
        one.step(watched=one.tried % 16 == 0)
    return one


def _kept(broken: Iterable[Broken], folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    for number, one in enumerate(broken):
        path = folder / f"{one.target}-{number}.bin"
        path.write_bytes(one.content)
        said.append(f"{one.target}: {type(one.error).__name__}: {str(one.error)[:200]} - again with --repeat {path}")
    return said


def _repeat(path: Path) -> int:
    target = next(one for one in TARGETS if path.name.startswith(f"{one.name}-"))
    try:
        target.feed(path.read_bytes())
    except target.allowed as error:
        print(f"refused, as it should be: {error}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Feeds damaged input to every parser of our own making.")
    parser.add_argument("--seconds", type=float, default=600, help="of the whole run, shared by the targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="one target")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-broken"), help="folder for what breaks a parser")
    parser.add_argument("--repeat", type=Path, help="feed one kept file again")
    given = parser.parse_args(arguments)
    if given.repeat:
        return _repeat(given.repeat)
    chosen = [target for target in TARGETS if given.only in ("", target.name)]
    if not chosen:
        parser.error(f"no such target; there are: {', '.join(target.name for target in TARGETS)}")
    done = []
    for target in chosen:
        note(f"{target.name}: {target.what}")
        done.append(run(target, given.seed, seconds=given.seconds / len(chosen)))
    broken = [one for each in done for one in each.broken]
    show(
        "Damaged input",
        ["parser", "inputs", "refused", "lines reached", "broken"],
        [[one.target.name, one.tried, one.refused, len(one.lines), len(one.broken)] for one in done],
        {"inputs": sum(one.tried for one in done), "broken": len(broken)},
        _kept(broken, given.keep) if broken else [],
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
