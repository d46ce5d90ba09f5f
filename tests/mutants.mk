# Mutants: small faults that the native tests must notice. Included by the top Makefile.
#   MUTANTS        how many are tried
#   MUTANTS_JOBS   how many at a time

MUTANTS ?= 150
MUTANTS_JOBS ?= 2
MUTANTS_VERSION := 27.1.0
MUTANTS_HOME := target/mutants
MUTANTS_TOOL := $(MUTANTS_HOME)/cargo-mutants-$(MUTANTS_VERSION)/bin/cargo-mutants
MUTANTS_SCRIPT := python3 tests/mutants/mutants.py
CARGO_MUTANTS = PATH="$(abspath $(dir $(MUTANTS_TOOL))):$$PATH" $(CARGO) mutants --package tracewarden --file 'src/**/*.rs'

.PHONY: mutants
mutants: $(MUTANTS_TOOL) ## try 150 mutants of the core on its native tests
	@mkdir -p $(MUTANTS_HOME)
	@$(CARGO_MUTANTS) --list --json >$(MUTANTS_HOME)/all.json
	@$(MUTANTS_SCRIPT) sample $(MUTANTS) <$(MUTANTS_HOME)/all.json >$(MUTANTS_HOME)/sample.toml
	@$(CARGO_MUTANTS) --config $(MUTANTS_HOME)/sample.toml --output $(MUTANTS_HOME) --jobs $(MUTANTS_JOBS) \
		--no-shuffle --colors never --minimum-test-timeout 30 -- --locked --lib --test core --test native; \
		case $$? in 0 | 2 | 3) ;; *) exit 1 ;; esac
	@$(MUTANTS_SCRIPT) report $(MUTANTS_HOME)/mutants.out

$(MUTANTS_TOOL):
	@$(CARGO) install --locked --version $(MUTANTS_VERSION) --root $(MUTANTS_HOME)/cargo-mutants-$(MUTANTS_VERSION) cargo-mutants
