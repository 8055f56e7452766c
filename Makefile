# Voltpile: `make run` shows a pile that charges, `make test` proves what can be proven without a board.
# Needs Python 3.10+ and make; everything else is set up in .venv, once.

PYTHON ?= python3
READY := .venv/ready
LOCKS := $(wildcard tools/requirements*.lock) tools/package.json tools/package-lock.json

.PHONY: run test lint bench soak clean

run: $(READY)
	.venv/bin/python tools/pile.py run

test: $(READY)
	.venv/bin/python tools/test.py

lint: $(READY)
	.venv/bin/python tools/test.py --on lint

bench: $(READY)
	.venv/bin/python tools/bench.py

soak: $(READY)
	.venv/bin/python tools/soak.py

clean:
	rm -rf .venv out build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): tools/setup.py tools/fetch_umqtt.py $(LOCKS)
	$(PYTHON) tools/setup.py
	touch $@
