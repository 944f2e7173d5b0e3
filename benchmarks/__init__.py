"""Where the figures of docs/performance.md come from: each is `python -m benchmarks.NAME`.

A benchmark starts servers of its own on free ports in a temporary folder, prints a table for people, and as the last
line of its standard output one JSON object with its figures. At its default size it ends within five minutes on two
cores; flags make it bigger.
"""
