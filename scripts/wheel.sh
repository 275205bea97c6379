#!/bin/sh
# Packs what `make build` has built into a wheel: `sh scripts/wheel.sh FOLDER` leaves FOLDER/newt_pipe-*.whl.
#
# maturin packs it; it comes from PyPI into an environment of its own below target/wheel.
set -eu
cd "$(dirname "$0")/.."

MATURIN=1.16.0

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

[ $# -eq 1 ] || fail "\`wheel.sh\` got $# arguments, expected one" 'name the folder for the wheel'
out=$1
built=${CARGO_TARGET_DIR:-target}/release
for file in "$built/newt-pipe" "$built/libnewt_pipe.so"; do
    [ -e "$file" ] || fail "\`$file\` is not there" 'run `make wheel`, which builds it'
done
command -v python3 >/dev/null 2>&1 || fail 'no python3 found, which runs maturin' 'install python3 with pip'
for tool in strip objdump; do
    command -v "$tool" >/dev/null 2>&1 || fail "no $tool found" 'install binutils'
done

stage=target/wheel
# What pyproject.toml calls `data`. Not below `lib`, which `pip install --target` would leave out.
data=$stage/newt_pipe.data
rm -rf "$data"
mkdir -p "$data/data/libexec/newt-pipe"
library=$data/data/libexec/newt-pipe/libnewt_pipe.so
cp "$built/libnewt_pipe.so" "$library"
strip --strip-unneeded "$library"
chmod 755 "$library"

venv=$stage/maturin-$MATURIN
if [ ! -x "$venv/bin/maturin" ]; then
    python3 -m venv "$venv" || fail "python3 cannot make an environment in \`$venv\`" \
        'install its module venv: `apt-get install python3-venv`'
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "maturin==$MATURIN" ||
        fail 'pip could not install maturin' 'see the lines above; behind a proxy set HTTPS_PROXY or PIP_INDEX_URL'
fi
# The oldest glibc that both files can do with is in the wheel's name.
symbols=$(objdump -T "$library" "$built/newt-pipe")
glibc=$(printf '%s\n' "$symbols" | sed -n 's/.*GLIBC_2\.\([0-9]*\).*/\1/p' | sort -n | tail -n 1)
[ -n "$glibc" ] || fail 'objdump names no version of glibc' 'look at `objdump -T` of the files that are packed'
"$venv/bin/maturin" build --quiet --release --locked --compatibility "manylinux_2_$glibc" --out "$out"
