# `make demo` and `make test` set up all they need in .venv, given Python 3.11 or 3.12 with venv.
PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3,$(shell $(name) -c "import sys; 0x30b0000 <= sys.hexversion < 0x30d0000 and print('$(name)')" 2>/dev/null)))
OUT ?= demo
READY = .venv/.ready

.PHONY: demo test lint clean

demo: $(READY)
	.venv/bin/crass-tf demo --out $(OUT)

test: $(READY) lint
	.venv/bin/python -m pytest

lint: $(READY)
	.venv/bin/ruff check
	.venv/bin/ruff format --check

# Made again whenever the dependencies change; the stamp is written last, so that a failed set-up is not taken for one.
$(READY): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.11 or 3.12; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --editable .[test]
	touch $@

clean:
	rm -rf .venv $(OUT)
