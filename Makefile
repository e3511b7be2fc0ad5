# make demo       the main job on a recorded incident; needs Python >= 3.11 and nothing else
# make test       style, types and tests
# make docs       generate docs/reference, docs/problems and examples from the code
# make benchmark  side by side with the peers: speed, then figures (ARGS=… and FIGURES=… pass options; many minutes)
# make figures    only how often the statistics err, beside the peers (FIGURES=--quick)
# make evaluate   audit the recorded cases and compare with what is true (SET=dev|validation|earlier|all CASES=001,002 JOBS=2)
# make lab        record a case on a real stack that is broken for real (CASE=… SEED=… STACK=… QUICK=1, ALL=1, LIST=1; lab/README.md)
# make lab-clean  end what a killed recording left behind
# make lock       pin all dependencies again
# make clean      remove what these made

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
PIP := PIP_CONSTRAINT= PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq

.PHONY: demo test docs benchmark figures evaluate lab lab-clean lab-lock lock clean

demo: $(INSTALLED)
	@$(BIN)/perfaudit demo

test: $(INSTALLED) .venv-lab/installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

docs: $(INSTALLED)
	$(BIN)/python tools/generate.py

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/run.py $(ARGS)
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/figures.py $(FIGURES)

figures: $(INSTALLED)
	$(BIN)/python benchmarks/figures.py $(FIGURES)

evaluate: $(INSTALLED)
	$(BIN)/python -m lab.evaluate $(if $(SET),--set $(SET)) $(if $(CASES),--cases $(CASES)) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)

# The lab has an environment of its own. Its processes run as another user, so its interpreter must not live in a private home.
LAB := .venv-lab/bin
LAB_PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo $(PYTHON))

lab: .venv-lab/installed
	@lab/install.sh
	@$(LAB)/python -m lab $(CASE) $(if $(SEED),--seed $(SEED)) $(if $(STACK),--stack $(STACK)) $(if $(SET),--set $(SET)) \
		$(if $(ALL),--all) $(if $(LIST),--list) $(if $(QUICK),--quick) $(if $(AGAIN),--again) $(if $(KEEP),--keep) $(if $(LANES),--lanes $(LANES))

lab-clean: .venv-lab/installed
	@$(LAB)/python -m lab --clean

.venv-lab/installed: lab/constraints.txt
	@echo "setting up .venv-lab (about a minute)" >&2
	@$(LAB_PYTHON) -m venv --clear .venv-lab
	@PIP_CONSTRAINT= PIP_DISABLE_PIP_VERSION_CHECK=1 $(LAB)/python -m pip install -qq --require-hashes --only-binary :all: -r lab/constraints.txt
	@touch $@

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

lab-lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
		--no-header --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options -o lab/constraints.txt lab/requirements.txt
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lab .venv-lock lab-cases evaluation.json evaluation.html build dist perfaudit-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src lab tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
