# What people type. Recipes stay short; what has to decide something is a script in .ci/.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-rust test-elixir test-loops test-versions test-world test-world-ci roots fuzz soak test-kill test-miri bench clean

say = @printf '\n=== %s ===\n' '$(1)'

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf 'make %-14s %s\n' "$$name" "$$text"; done

setup: ## Install what this machine lacks (Debian: Erlang, Elixir, a linker); Rust has to be there
	@.ci/setup

demo: setup ## Record the example shop and ask about its past
	@docs/examples/shop/demo.sh

test: test-rust test-elixir ## Every check of both languages on this machine

test-rust: setup
	$(call say,cargo fmt)
	cargo fmt --all --check
	$(call say,cargo clippy)
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call say,cargo test)
	cargo test --workspace --locked
	$(call say,loom: every interleaving of the ring)
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
		cargo test -p elixir_scope_ring --release --test loom --locked

# After test-rust also under make -j: two cargo at once only wait for each other.
test-elixir: setup test-rust
	$(call say,mix format)
	mix format --check-formatted
	$(call say,mix compile)
	MIX_ENV=test mix compile --warnings-as-errors
	$(call say,mix test)
	mix test
	$(call say,mix test in docs/examples/shop)
	cd docs/examples/shop && mix test

test-loops: setup ## Every kind of tail-call loop with 10 million iterations, its memory against the plain one (minutes)
	ELIXIR_SCOPE_LOOPS=10000000 mix test test/elixir_scope/instrument/tail_loops_test.exs

test-kill: setup ## kill -9 of 50 VMs under full load, against what their programs wrote down (a minute)
	ELIXIR_SCOPE_KILLS=50 mix test test/elixir_scope/kill_test.exs

soak: setup ## Ten minutes at a million events a second, memory flat; then an overload whose loss is counted exactly
	ELIXIR_SCOPE_SOAK=600 mix test test/elixir_scope/soak_test.exs

test-miri: ## The protocol of the rings under Miri (minutes; needs a nightly toolchain with the component miri)
	CARGO_TARGET_DIR=target/miri MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p elixir_scope_ring --test protocol

fuzz: setup ## Bytes from disk that nobody wrote: every target for two minutes (FUZZ_SECONDS says otherwise)
	@.ci/fuzz

test-versions: setup ## The Elixir tests on the other supported versions, in Debian roots
	@MIX_ENV=test mix compile
	@.ci/versions

test-world: setup ## Test suites of other people's code, plain and instrumented (WORLD="ex_doc elixir" chooses)
	@.ci/world $(WORLD)

test-world-ci: setup ## The part of test-world that takes minutes
	@.ci/world --ci

roots: setup ## Make the Debian roots that test-versions uses (once; needs root)
	@.ci/roots

bench: setup ## Every promise of the documentation, measured
	$(call say,cargo bench)
	cargo bench --workspace --locked
	$(call say,mix scope.bench)
	mix scope.bench

clean: ## Remove everything that was built
	rm -rf _build doc cover priv/native target docs/examples/*/_build
