# make demo       the main job on a recorded incident; needs Python >= 3.11 and nothing else
# make test       style, types and tests
# make docs       generate docs/reference, docs/problems and examples from the code
# make benchmark  side by side with the peers: speed, then figures (ARGS=… and FIGURES=… pass options; many minutes)
# make figures    only how often the statistics err, beside the peers (FIGURES=--quick)
# make evaluate   audit the recorded cases and compare with what is true (SET=dev|validation|earlier|all CASES=001,002 JOBS=2)
# make lock       pin all dependencies again
# make clean      remove what these made

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
PIP := PIP_CONSTRAINT= PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq

.PHONY: demo test docs benchmark figures evaluate lock clean

demo: $(INSTALLED)
	@$(BIN)/perfaudit demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

docs: $(INSTALLED)
	$(BIN)/python tools/generate.py

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/run.py $(ARGS)
	$(BIN)/python benchmarks/figures.py $(FIGURES)

figures: $(INSTALLED)
	$(BIN)/python benchmarks/figures.py $(FIGURES)

evaluate: $(INSTALLED)
	$(BIN)/python -m lab.evaluate $(if $(SET),--set $(SET)) $(if $(CASES),--cases $(CASES)) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)

# A stamp, so that a second run installs nothing. All pins carry hashes; the package itself is built without isolation.
$(INSTALLED): constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; say make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up .venv (about a minute)" >&2
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes --only-binary :all: -r constraints.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/python tools/requirements.py | .venv-lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options -o constraints.txt -
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock build dist perfaudit-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
