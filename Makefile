# make compare   the main job on procedural data        make test    everything CI checks
# make check     lint, types and the fast tests         make lock    renew requirements.lock
# make gpu       tests, throughput and trials on this machine's GPUs, in under eight minutes
# make browser-test   report.html in Debian's chromium, which it installs where it may
# make slurm-programs   Debian's SLURM, which the tests of --engine slurm start for themselves
# make chromium   Debian's browser, without which the tests of pages are skipped
# Arguments pass through: make compare ARGS="--models hrnetv2_w18 --seeds 0,1"
# A variable from the command line wins: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: compare test check lock
.DELETE_ON_ERROR:

compare: .venv/installed
	@$(BIN)/python -m experiments.compare $(ARGS)

.PHONY: gpu
gpu: .venv/installed
	@$(BIN)/python -m experiments.gpu $(ARGS)

# Three tests at a time on two cores: most start a command that uses one core,
# and those of SLURM and Ray mostly wait. Whoever is done takes tests of the others'.
PYTEST := $(BIN)/python -m pytest -n 3 --dist worksteal --durations 20 --durations-min 10

test: .venv/installed lint
	$(PYTEST) $(ARGS)

check: .venv/installed lint
	$(PYTEST) -m "not slow" $(ARGS)

.PHONY: browser-test
browser-test: .venv/installed
	@command -v chromium > /dev/null || $(MAKE) --no-print-directory chromium || \
		{ echo "Debian's chromium is needed and could not be installed: put it on the PATH"; exit 1; }
	$(BIN)/python -m pytest tests/experiments/reporting/test_browser.py \
		tests/experiments/lecture_report/test_page_browser.py $(ARGS)

.PHONY: chromium
chromium: DEBIAN := chromium
.PHONY: slurm-programs
slurm-programs: DEBIAN := slurmctld slurmd slurm-client munge
chromium slurm-programs:
	@[ "$$(id -u)" = 0 ] || SUDO=sudo; \
		$$SUDO apt-get update --quiet && $$SUDO apt-get install --yes --quiet \
		--no-install-recommends $(DEBIAN)

.PHONY: lint
lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The mark is written last, so that a broken install is done again.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) is here: make PYTHON=..."; exit 1; }
	@echo "installing the locked versions into .venv (about 6 GB, once)"
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --editable ".[dev]"
	.venv-lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .venv-lock
