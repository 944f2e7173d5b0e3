"""The advisories of the demo: real ones, a handful of packages, so that it needs no network."""

from pathlib import Path

#: OSV, one record a line; made by scripts/make_demo_advisories.py, source and licence in the NOTICE beside it
DEMO_ADVISORIES: Path = Path(__file__).parent / "data" / "demo.osv.jsonl"
