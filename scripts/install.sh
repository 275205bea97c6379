#!/bin/sh
# Copies program, library and libtorch to where every user of the machine can read them:
# `sh scripts/install.sh PREFIX BUILT` takes the files of the folder BUILT, which `make build` has left.
#
#   PREFIX/bin/newt-pipe
#   PREFIX/libexec/newt-pipe/libnewt_pipe.so
#   PREFIX/libexec/newt-pipe/libtorch/{lib,include}
set -eu
# What is installed is for all users, whatever the one who installs it keeps to themself.
umask 022
cd "$(dirname "$0")/.."

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

[ $# -eq 2 ] || fail "\`install.sh\` got $# arguments, expected two" 'use `make install PREFIX=…`'
prefix=$1 built=$2
libtorch=${LIBTORCH:-.libtorch}
version=include/torch/headeronly/version.h
for file in "$built/newt-pipe" "$built/libnewt_pipe.so" "$libtorch/$version"; do
    [ -e "$file" ] || fail "\`$file\` is not there" 'run `make build` first'
done
home=$prefix/libexec/newt-pipe
mkdir -p "$prefix/bin" "$home" 2>/dev/null && [ -w "$prefix/bin" ] && [ -w "$home" ] ||
    fail "cannot write to \`$prefix\`" 'name another folder with PREFIX=…, or install as a user who may write there'

# All is there, whole, before anything takes its place.
new=$home/.new.$$
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$new/libtorch/lib" "$new/libtorch/$(dirname $version)"
for file in "$libtorch"/lib/*.so*; do
    # Without CUDA, libtorch.so is a link to libtorch_cpu.so, for the linker only.
    [ "$(basename "$file")" = libtorch.so ] && [ ! -e "$libtorch/lib/libtorch_cuda.so" ] && continue
    install -m 755 "$file" "$new/libtorch/lib/"
done
install -m 644 "$libtorch/$version" "$new/libtorch/$version"
# A libtorch of PyTorch's own leans on libraries outside of its folder.
if missing=$(ldd "$new/libtorch/lib/libtorch_cpu.so" | grep 'not found'); then
    fail "$libtorch: its libraries do not stand alone:$(printf '%s' "$missing" | tr -d '\n\t')" \
        'unset LIBTORCH, and `make build` gets a libtorch that does'
fi
install -m 755 -s "$built/libnewt_pipe.so" "$new/libnewt_pipe.so"
install -m 755 -s "$built/newt-pipe" "$new/newt-pipe"

rm -rf "$home/libtorch"
mv "$new/libtorch" "$home/libtorch"
mv -f "$new/libnewt_pipe.so" "$home/libnewt_pipe.so"
mv -f "$new/newt-pipe" "$prefix/bin/newt-pipe"
printf 'installed %s\n' "$prefix/bin/newt-pipe" >&2
