# `make demo` and `make test` set up all they need in .venv, given Python 3.11 or 3.12 with venv.
PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3,$(shell $(name) -c "import sys; 0x30b0000 <= sys.hexversion < 0x30d0000 and print('$(name)')" 2>/dev/null)))
OUT ?= demo
READY = .venv/.ready
BEAM_READY = .venv-beam/.ready
FAST = tests/common/test_files.py tests/common/test_parallel.py tests/geometry/test_grids.py tests/measurement/test_contours.py tests/measurement/test_measures.py \
	tests/measurement/test_quality.py tests/reporting/test_overlay.py tests/radiographs/test_radiograph.py tests/inference/test_segmentation.py \
	tests/measurement/test_metrics.py tests/evaluation/test_evaluate.py tests/check/test_examples.py \
	tests/check/test_duplicates.py tests/radiographs/formats tests/phantom tests/reporting tests/prediction/outputs tests/sources

.PHONY: demo scale test test-again test-beam test-fast lint docs page clean

demo: $(READY)
	.venv/bin/crass-tf demo --out $(OUT)

# Whole files go to each of the processes, so that a module's fixtures are made once. Where pytest does not end regularly,
# there is no list of failed tests that `test-again` could trust.
WORKERS ?= 2
test: $(READY) lint
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term:skip-covered \
		|| { code=$$?; [ $$code = 1 ] || rm -f .pytest_cache/v/cache/lastfailed; exit $$code; }

# What failed in `make test`, once more, one after another.
test-again: $(READY)
	@echo "make: what failed runs once more, alone"
	.venv/bin/python -m pytest --last-failed --last-failed-no-failures none -p no:xdist -rap
	@echo "make: the tests above failed and then passed: they are UNSTABLE and have to be mended"

# Beam and Spark, in an environment of their own, since they hold protobuf and others back; adds to the coverage of `make test`.
test-beam: $(BEAM_READY)
	.venv-beam/bin/python -m pytest tests/beam tests/examples/test_segment_on_beam.py tests/examples/test_read_with_grain.py \
		--cov --cov-append --cov-report=term:skip-covered

# The figures of docs/scale.md, by predict, Beam and Spark, on a quiet machine.
RADIOGRAPHS ?= 2000
scale: $(BEAM_READY)
	.venv-beam/bin/python benchmarks/scale.py --radiographs $(RADIOGRAPHS) --json scale.json --most-load 1.5

# What one wants at each edit: no TensorFlow, no training.
test-fast: $(READY)
	.venv/bin/python -m pytest $(FAST)

lint: $(READY)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright --pythonpath .venv/bin/python

docs: $(READY)
	.venv/bin/mkdocs build --strict

# The page in the browser, a static folder: web/dist. MODEL=FILE.tflite, from web/, builds it with another model.
page: web/node_modules/.ready
	cd web && npm run --silent build

web/node_modules/.ready: web/package-lock.json
	@command -v npm >/dev/null || { echo "make: the page needs Node.js 20 and npm"; exit 2; }
	cd web && npm ci --silent
	touch $@

# Made again whenever the dependencies change; the stamp is written last, so that a failed set-up is not taken for one.
$(READY): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.11 or 3.12; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --editable .[test,docs]
	touch $@

# Lies over .venv, whose packages it sees: only what Beam needs in other releases is installed, and what .venv lacks.
$(BEAM_READY): $(READY) tests/beam/constraints.txt
	.venv/bin/python -m venv --clear .venv-beam
	.venv/bin/python -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> $$(.venv-beam/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/below.pth
	.venv-beam/bin/python -m pip install --quiet --constraint tests/beam/constraints.txt --editable .[test-beam]
	touch $@

clean:
	rm -rf .venv .venv-beam $(OUT) site web/dist web/node_modules
