# The same targets for people, hooks and continuous integration. `make demo` and `make test` set up what they need.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO_READY := .venv/.ready-demo
CODE := mlplan providers state tests tools examples

.PHONY: help demo test check accept bench bench-data docs fault fuzz services services-stop clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml uv.lock tools/setup.sh
	@sh tools/setup.sh "$(PYTHON)"
	@touch $@

# The tour needs less than the tests do.
$(DEMO_READY): pyproject.toml uv.lock tools/setup.sh
	@[ $(READY) -nt pyproject.toml ] || MLPLAN_EXTRAS=local,examples sh tools/setup.sh "$(PYTHON)"
	@touch $@

demo: $(DEMO_READY) ## The tour: seven steps of real delivery on real flights, under five minutes
	@$(BIN)/python tools/demo.py

test: $(READY) ## All tests but the long campaigns, under ten minutes on two cores
	@$(BIN)/python -m pytest -n 3 --dist loadfile

check: $(READY) ## Format, lint, types, arrows between rooms, sizes
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/sizes.py

accept: $(READY) ## Rewrite the recorded outputs of golden tests; read the difference before you commit it
	@MLPLAN_ACCEPT=1 $(BIN)/python -m pytest tests/golden

bench: $(READY) ## Measure language, plan and state against terraform in the same run; write docs/benchmarks.md
	@$(BIN)/python tools/bench.py

bench-data: $(READY) ## Measure data contracts and drift against other programs (needs uv, 5 GB, some ten minutes)
	@$(BIN)/python tools/bench_data.py

fault: $(READY) ## The long fault campaign over the state
	@$(BIN)/python tools/fault.py

fuzz: $(READY) ## Bounded fuzzing of parser and evaluator
	@$(BIN)/python tools/fuzz.py

services: $(READY) ## Start the real servers that tests of stores use (S3, PostgreSQL), on loopback
	@$(BIN)/python tools/services.py start

services-stop: $(READY) ## End them
	@$(BIN)/python tools/services.py stop

docs: $(READY) ## Write the reference from schemas and codes
	@$(BIN)/python tools/reference.py

clean: ## Remove what the targets made
	rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
