"""Our orders of versions beside those of the ecosystems' own tools, over many generated pairs.

    python -m benchmarks.versions [--pairs 100000] [--seed 1] [--only deb,npm]

Every pair on which a tool disagrees is listed. A tool that this machine lacks is named and left out.
"""

import argparse
import sys

from benchmarks.figures import note, show
from benchmarks.version_oracles import ORACLES, answered

_SHOWN = 20


def run(pairs: int, seed: int, only: set[str]) -> int:
    rows: list[tuple[object, ...]] = []
    figures: dict[str, float | int] = {}
    remarks: list[str] = []
    for name, oracle in ORACLES.items():
        if only and name not in only:
            continue
        if not oracle.is_here():
            rows.append((name, oracle.tool, "not on this machine", ""))
            continue
        note(f"{name}: asking {oracle.tool}")
        answer = answered(oracle, pairs, seed)
        rows.append((name, oracle.tool, answer.judged, len(answer.denied)))
        key = name.replace(" ", "_")
        figures |= {f"pairs_{key}": answer.judged, f"denied_{key}": len(answer.denied)}
        remarks += [f"{name}: {line}" for line in answer.denied[:_SHOWN]]
    show(
        f"Versions in the order of their tools, {pairs:,} pairs each",
        ("ecosystem", "tool", "pairs", "denied"),
        rows,
        figures,
        remarks,
    )
    return 1 if remarks else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=100_000, help="of each ecosystem")
    parser.add_argument("--seed", type=int, default=1, help="of the pairs")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(ORACLES)}; separated by commas")
    given = parser.parse_args()
    sys.exit(run(given.pairs, given.seed, {name for name in given.only.split(",") if name}))


if __name__ == "__main__":
    main()
