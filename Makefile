# Every target installs what it needs into .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

.PHONY: install demo matrix test check bench docs clean

install: .venv/.install
demo: .venv/.install
	$(BIN)/seedbed run studies/hops.yaml

# Every kind of finder on every world, one seed; an empty cell ends it with an error.
matrix: .venv/.dev
	$(BIN)/seedbed matrix studies/matrix.yaml --size smoke --seeds 0

test: .venv/.dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.bench
	for name in attribution scoring steering states simulation kto launching; do \
	  $(BIN)/python benchmarks/$$name.py --json runs/bench/$$name.json || exit 1; \
	done

docs: .venv/.install
	$(BIN)/python docs/write_results.py

clean:
	rm -rf .venv build dist

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/.install: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install -q -c constraints.txt -e ".[lora,smollm2]"
	touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install -q -c constraints.txt -e ".[lora,smollm2,embed,harness,preference,inspect,ray,slurm,share,dev]"
	touch $@

.venv/.bench: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install -q -c constraints.txt -e ".[lora,smollm2,embed,bench,preference]"
	touch $@
