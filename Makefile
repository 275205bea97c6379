# Two commands on a fresh machine: `make demo` and `make test`. Both get libtorch if it is needed.

CARGO ?= cargo

# The part of newt-pipe that runs networks, as a shared library beside the program, which opens it at run time.
LIBRARY = --lib --features torch --crate-type cdylib
# Where unit tests that are linked against libtorch find it.
LIBTORCH_LIB = $${LIBTORCH:-$(CURDIR)/.libtorch}/lib

# Where `make install` puts newt-pipe, for every user of the machine.
PREFIX ?= /usr/local
# Where cargo builds.
TARGET = $${CARGO_TARGET_DIR:-target}

.PHONY: demo test hostile build wheel install libtorch lint bench

# Builds with optimisation and runs the built-in quickstart.
demo: build
	$(CARGO) run --release -- run

# Builds and runs every test: first as the program is, without libtorch, then the networks' own.
test: build
	$(CARGO) test --release
	LD_LIBRARY_PATH="$(LIBTORCH_LIB):$$LD_LIBRARY_PATH" $(CARGO) test --release --features torch --lib backbone::

# Runs what needs a mount, a limit, a signal or another user, as far as this machine and this user allow it.
hostile: build
	sh tests/hostile/run.sh "$(TARGET)/release/newt-pipe"

# Leaves newt-pipe and libnewt_pipe.so in target/release; together they run from any folder.
build: libtorch
	$(CARGO) build --release
	$(CARGO) rustc --release $(LIBRARY)

# Leaves dist/newt_pipe-*.whl: program and library, without libtorch.
wheel: build
	CARGO="$(CARGO)" sh scripts/wheel.sh dist

# Installs what `make build` has built, and libtorch, under PREFIX; DESTDIR stands before it for packagers.
install:
	sh scripts/install.sh "$(DESTDIR)$(PREFIX)" "$(TARGET)/release"

# What CI asks of the code besides its tests.
lint: libtorch
	sh scripts/layers.sh
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	$(CARGO) clippy --release --all-targets --features torch -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' $(CARGO) doc --release --no-deps --lib --document-private-items

bench: build
	$(CARGO) bench

libtorch:
	@sh scripts/libtorch.sh
