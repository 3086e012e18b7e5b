# What can be done with this repository; `make help` lists it. GNU make.

CARGO ?= cargo
WASM = wasm32-unknown-unknown
EXAMPLE = wasm-edge-function-example
RELEASE = $(or $(CARGO_TARGET_DIR),target)/release

# Clippy looks for its settings in the folder it is run from, and the example has none of its own.
export CLIPPY_CONF_DIR = $(CURDIR)

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help run test fuzz soak bench build example fmt lint unit-test doc clean check-fmt \
	build-tools test-tools bench-tools

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

run: ## Build everything and run the node on port 8080, with a demo origin behind it
	@scripts/run.sh

test: test-tools check-fmt example lint unit-test doc ## Run every check there is

# The same tests as in `make test`, with 20 times as many cases unless the environment says otherwise.
fuzz: build-tools example ## Run the fuzz tests with many more cases
	AEGIS_FUZZ_FACTOR=$${AEGIS_FUZZ_FACTOR:-20} \
		$(CARGO) test --release --locked -p aegis-node --test fuzz

soak: build-tools ## Run 100,000 good and hostile invocations and see what is left of them
	AEGIS_SOAK_INVOCATIONS=$${AEGIS_SOAK_INVOCATIONS:-100000} \
		$(CARGO) test --release --locked -p aegis-node --test soak

bench: bench-tools example ## Measure what the node costs compared with Pingora alone, and what its cache costs
	$(CARGO) build --release --locked -p aegis-node --bin aegis \
		--example bench --example bare_respond --example bare_proxy
	$(RELEASE)/examples/bench

build: build-tools ## Build the node
	$(CARGO) build --release --locked -p aegis-node --bin aegis

# The build runs in the example's folder because that is where Cargo looks for its settings, and
# with a fixed target folder because configurations name the module in it.
example: build-tools ## Build the example's module
	cd $(EXAMPLE) && $(CARGO) build --release --locked --target $(WASM) --target-dir target

fmt: ## Format all code
	$(CARGO) fmt --all
	cd $(EXAMPLE) && $(CARGO) fmt

check-fmt:
	$(CARGO) fmt --all --check
	cd $(EXAMPLE) && $(CARGO) fmt --check

lint: build-tools ## Run clippy on everything, for each platform it is for
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p aegis-guest --target $(WASM) --locked -- -D warnings
	$(CARGO) clippy -p aegis-guest --target $(WASM) --no-default-features --locked -- -D warnings
	cd $(EXAMPLE) && $(CARGO) clippy --all-targets --locked --target-dir target -- -D warnings
	cd $(EXAMPLE) && $(CARGO) clippy --target $(WASM) --locked --target-dir target -- -D warnings

unit-test: test-tools example ## Run all tests
	$(CARGO) test --workspace --locked
	cd $(EXAMPLE) && $(CARGO) test --locked --target-dir target

doc: build-tools ## Build the crates' documentation
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps --locked

clean: ## Remove everything that was built
	$(CARGO) clean
	cd $(EXAMPLE) && $(CARGO) clean --target-dir target

build-tools:
	@scripts/install.sh cc cmake wasm

test-tools:
	@scripts/install.sh cc cmake wasm redis-server \
		curl h2load nghttp openssl slowhttptest python3-grpcio python3-websockets

bench-tools:
	@scripts/install.sh cc cmake wasm wrk redis-server
