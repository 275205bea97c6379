# Two commands on a fresh machine: `make demo` and `make test`. Both get libtorch if it is needed.

CARGO ?= cargo

.PHONY: demo test build libtorch lint bench

# Builds with optimisation and runs the built-in quickstart.
demo: libtorch
	$(CARGO) run --release -- run

# Builds and runs every test.
test: libtorch
	$(CARGO) test --release

# Leaves target/release/newt-pipe, which runs from any folder.
build: libtorch
	$(CARGO) build --release

# What CI asks of the code besides its tests.
lint: libtorch
	sh scripts/layers.sh
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --no-deps --lib

bench: libtorch
	$(CARGO) bench

libtorch:
	@sh scripts/libtorch.sh
