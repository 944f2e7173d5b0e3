# What a person types. Every recipe is one program, so that Ctrl-C reaches it and make waits until it has tidied up.
#
#   make demo      set up what is missing, show the whole journey, then leave the hub running (DEMO_EXIT=1: stop it)
#   make test      set up what tests need, and run them          (ARGS="tests/cli -x" picks)
#   make check     lint, types, import contracts, migrations, replay: needs no system package
#   make setup     only the environment below .venv/
#   make fuzz      damaged input for every parser, ten minutes (ARGS="--only tar --seconds 60"); not part of the tests
#   make clean     what the tools wrote; the hub's data in .wharfinger/ stays
#   make distclean the environment as well

.DEFAULT_GOAL := help
.PHONY: help setup check test demo fuzz clean distclean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@exec scripts/setup.sh

check: setup
	@exec .venv/bin/python scripts/check.py

# Status 3 of apt.sh says "went without": it has told what will not work, and the rest does.
test: setup
	@scripts/apt.sh test || [ $$? -eq 3 ]
	@exec .venv/bin/pytest $(ARGS)

demo: setup
	@scripts/apt.sh demo || [ $$? -eq 3 ]
	@exec .venv/bin/wharfinger demo $(if $(filter-out 0,$(DEMO_EXIT)),--exit) $(ARGS)

fuzz: setup
	@exec .venv/bin/python -m benchmarks.fuzz $(ARGS)

clean:
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build
	@find . -path ./.venv -prune -o -path ./.tools -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean
	@rm -rf .venv .tools
