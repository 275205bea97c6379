#!/bin/sh
# Copies program, library and libtorch to where every user of the machine can read them:
# `sh scripts/install.sh PREFIX BUILT` takes the files of the folder BUILT.
#
#   PREFIX/bin/newt-pipe
#   PREFIX/lib/newt-pipe/libnewt_pipe.so
#   PREFIX/lib/newt-pipe/libtorch/{lib,include}
set -eu
# What is installed is for all users, whatever the one who installs it keeps to themself.
umask 022
cd "$(dirname "$0")/.."

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

[ $# -eq 2 ] || fail "\`install.sh\` got $# arguments, expected two" 'use `make install PREFIX=…`'
prefix=$1 built=$2
libtorch=${LIBTORCH:-.libtorch}
[ -d "$libtorch/lib" ] || fail "\`$libtorch\` has no folder \`lib\`" '`make install` gets libtorch first'
lib=$prefix/lib/newt-pipe
mkdir -p "$prefix/bin" "$lib" 2>/dev/null && [ -w "$lib" ] ||
    fail "cannot write to \`$prefix\`" 'name another folder with PREFIX=…, or install as a user who may write there'

# The new libtorch is whole before the old one goes.
new=$lib/.libtorch.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/lib" "$new/include/torch/headeronly"
for file in "$libtorch"/lib/*.so*; do
    # Without CUDA, libtorch.so is a link to libtorch_cpu.so, for the linker only.
    [ "$(basename "$file")" = libtorch.so ] && [ ! -e "$libtorch/lib/libtorch_cuda.so" ] && continue
    install -m 755 "$file" "$new/lib/"
done
# It says which version this is.
install -m 644 "$libtorch/include/torch/headeronly/version.h" "$new/include/torch/headeronly/"
chmod 755 "$new" "$new/lib" "$new/include" "$new/include/torch" "$new/include/torch/headeronly"
rm -rf "$lib/libtorch"
mv "$new" "$lib/libtorch"

install -m 755 -s "$built/libnewt_pipe.so" "$lib/libnewt_pipe.so"
install -m 755 -s "$built/newt-pipe" "$prefix/bin/newt-pipe"
printf 'installed %s\n' "$prefix/bin/newt-pipe" >&2
