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
library=${CARGO_TARGET_DIR:-target}/release/libnewt_pipe.so
[ -e "$library" ] || fail "\`$library\` is not there" '`make wheel` builds it first'
command -v python3 >/dev/null 2>&1 || fail 'no python3 found, which runs maturin' 'install python3 with pip'

stage=target/wheel
data=$stage/newt_pipe.data/data/lib/newt-pipe
mkdir -p "$data"
cp "$library" "$data/libnewt_pipe.so"
strip --strip-unneeded "$data/libnewt_pipe.so"
chmod 755 "$data/libnewt_pipe.so"

venv=$stage/maturin-$MATURIN
if [ ! -x "$venv/bin/maturin" ]; then
    python3 -m venv "$venv" || fail "python3 cannot make an environment in \`$venv\`" \
        'install its module venv: `apt-get install python3-venv`'
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "maturin==$MATURIN" ||
        fail 'pip could not install maturin' 'see the lines above; behind a proxy set HTTPS_PROXY or PIP_INDEX_URL'
fi
# The oldest glibc that both files can do with is in the wheel's name.
glibc=$(for file in "$data/libnewt_pipe.so" "${CARGO_TARGET_DIR:-target}/release/newt-pipe"; do
    objdump -T "$file"
done | sed -n 's/.*GLIBC_2\.\([0-9]*\).*/\1/p' | sort -n | tail -n 1)
"$venv/bin/maturin" build --quiet --release --locked --compatibility "manylinux_2_$glibc" --out "$out"
