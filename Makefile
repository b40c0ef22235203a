# The two commands of the README, `make demo` and `make test`, and the targets for maintainers.

ARGS =
# Size of `make soak`: seconds for each fuzz target, kills of the process, users of an office behind one address.
FUZZ_SECONDS = 300
KILLS = 400
USERS = 3000

.PHONY: help demo test servers check bench instructions fuzz soak

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## Try it here: stand-in Okta, two MCP servers, the gateway (ARGS=--once: with an automatic client)
	cargo run --locked --package gateway-demo -- $(ARGS)

test: ## Run every test, on real Redis and with real clients; installs what is missing
	tests/setup.sh tests
	cargo test --locked --workspace --all-features

servers: ## Seventeen real MCP servers, directly and through the gateway; `make test` has four of them
	tests/setup.sh servers
	GATEWAY_SERVERS=all cargo test --locked --workspace --all-features --test gateway -- --nocapture servers::

check: ## Formatting, clippy's warnings as errors, licences and sources of the dependencies
	tests/setup.sh check
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	cargo deny --all-features check bans licenses sources

bench: ## Compare with nginx, and write docs/benchmarks.md (forty minutes; a quiet machine)
	tests/setup.sh bench
	cargo run --locked --release --package gateway-bench -- $(ARGS)

instructions: ## Count the instructions of a proxied request; fails above the ceiling
	tests/setup.sh bench
	cargo run --locked --release --package gateway-bench -- instructions

fuzz: ## Every parser of untrusted input under libFuzzer, 10 s each
	tests/setup.sh fuzz
	fuzz/run.sh

soak: ## The long runs: hours of fuzzing, hundreds of kills, a large office, every real MCP server
	tests/setup.sh tests
	tests/setup.sh fuzz
	GATEWAY_KILLS=$(KILLS) OFFICE_USERS=$(USERS) cargo test --locked --workspace --all-features
	FUZZ_SEED=0 fuzz/run.sh $(FUZZ_SECONDS)
	$(MAKE) servers
