#!/bin/sh
# Provides libtorch for the build and leaves a link `.libtorch` to it in the project's root.
#
# Nothing is done where LIBTORCH is set or the pinned libtorch is in its place. Otherwise the PyTorch
# wheels pinned below are unpacked (no Python package is installed; Python only fetches and unzips).
#
#   NEWT_PIPE_LIBTORCH_DIR      where to unpack (default: $XDG_DATA_HOME/newt-pipe)
#   NEWT_PIPE_LIBTORCH_VARIANT  auto | cpu | cuda (auto: cuda where an NVIDIA GPU is found)
set -eu

TORCH=2.11.0
CUDA_RUNTIME=13.0.96
CUPTI=13.0.85

root=$(cd "$(dirname "$0")/.." && pwd)
link=$root/.libtorch

say() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

command -v c++ >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1 ||
    fail 'no C++ compiler found (c++, g++ or clang++)' \
         'install one: `apt-get install g++`, `dnf install gcc-c++`, or on a cluster `module load gcc`'
command -v cargo >/dev/null 2>&1 ||
    fail 'no cargo found' 'install Rust from https://rustup.rs'

if [ -n "${LIBTORCH:-}" ]; then
    [ -d "$LIBTORCH/lib" ] || fail "LIBTORCH is \`$LIBTORCH\`, which has no folder \`lib\`" \
        'point LIBTORCH at a libtorch 2.11 folder, or unset it'
    say "libtorch: using LIBTORCH=$LIBTORCH"
    exit 0
fi

variant=${NEWT_PIPE_LIBTORCH_VARIANT:-auto}
without_gpu=
if [ "$variant" = auto ]; then
    variant=cpu without_gpu=yes
    if [ -e /proc/driver/nvidia/version ] || { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; }; then
        variant=cuda without_gpu=
    fi
fi
case $variant in cpu | cuda) ;; *)
    fail "NEWT_PIPE_LIBTORCH_VARIANT is \`$variant\`" 'set it to auto, cpu or cuda' ;;
esac

machine=$(uname -s)-$(uname -m)
case $machine in
Linux-x86_64) platform=x86_64 ;;
Linux-aarch64) platform=aarch64 ;;
*) fail "no pinned libtorch for $machine" \
    'unpack libtorch 2.11 yourself and set LIBTORCH to its folder, or build what runs no network with `cargo build --release`' ;;
esac

home=${NEWT_PIPE_LIBTORCH_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/newt-pipe}
# One for CUDA that was asked for stays until another is asked for.
if [ -n "$without_gpu" ] && [ "$(readlink "$link" 2>/dev/null)" = "$home/libtorch-$TORCH-cuda" ]; then
    variant=cuda without_gpu=
fi
dest=$home/libtorch-$TORCH-$variant

if [ ! -e "$dest/.complete" ]; then
    command -v python3 >/dev/null 2>&1 ||
        fail 'libtorch is needed, and python3, which fetches it, is not found' \
             'install python3 with pip, or set LIBTORCH to a libtorch 2.11 folder'
    python3 -m pip --version >/dev/null 2>&1 ||
        fail 'libtorch is needed, and python3 has no pip to fetch it' \
             'install pip (`apt-get install python3-pip`), or set LIBTORCH to a libtorch 2.11 folder'
    mkdir -p "$home"
    work=$(mktemp -d "$home/.libtorch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "libtorch: fetching PyTorch $TORCH ($variant) into $dest; some minutes on a slow line"
    # pip takes only what is named, and each of the wheels names another glibc.
    platforms="--platform manylinux2014_$platform"
    for minor in $(seq 17 28); do
        platforms="$platforms --platform manylinux_2_${minor}_$platform"
    done
    fetch() {
        # shellcheck disable=SC2086 # one word an option
        python3 -m pip download --quiet --disable-pip-version-check --dest "$work/wheels" \
            --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none \
            $platforms "$@" ||
            fail 'pip could not fetch PyTorch' \
                 'see the lines above; behind a proxy set HTTPS_PROXY or PIP_INDEX_URL, or set LIBTORCH to a libtorch 2.11 folder'
    }
    if [ "$variant" = cuda ]; then
        fetch "torch==$TORCH"
    else
        fetch --no-deps "torch==$TORCH" "nvidia-cuda-runtime==$CUDA_RUNTIME" "nvidia-cuda-cupti==$CUPTI"
    fi
    python3 - "$work" "$variant" <<'PY'
import glob, os, sys, zipfile

work, variant = sys.argv[1:]
# The CPU program needs these of the wheels; the rest of them is 500 MB of CUDA and Python.
cpu = ("torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp", "libcudart.so", "libcupti.so")
for wheel in sorted(glob.glob(os.path.join(work, "wheels", "*.whl"))):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            header = name.startswith("torch/include/")
            library = ".so" in name and (variant == "cuda" or any(part in name for part in cpu))
            bundled = name.startswith("torch.libs/")
            if header or library or bundled:
                z.extract(name, os.path.join(work, "site"))
PY
    # One folder `lib` of links, beside the unpacked wheels whose own search paths stay valid.
    mkdir "$work/lib"
    ln -s site/torch/include "$work/include"
    find "$work/site" -name '*.so*' -type f | while read -r file; do
        case $file in */torch/lib/* | */torch.libs/* | */libcudart.so* | */libcupti.so* | */nvidia/*)
            ln -sf "..${file#"$work"}" "$work/lib/$(basename "$file")" ;;
        esac
    done
    # Without the CUDA half, libtorch.so would ask for it: the CPU half answers to its name.
    [ "$variant" = cuda ] || ln -sf ../site/torch/lib/libtorch_cpu.so "$work/lib/libtorch.so"
    rm -rf "$work/wheels"
    : >"$work/.complete"
    rm -rf "$dest"
    chmod 755 "$work"
    mv "$work" "$dest" 2>/dev/null || [ -e "$dest/.complete" ] || fail "cannot write $dest" 'set NEWT_PIPE_LIBTORCH_DIR to a writable folder'
fi
if [ "$(readlink "$link" 2>/dev/null)" != "$dest" ]; then
    rm -f "$link"
    ln -s "$dest" "$link"
    say "libtorch: $link -> $dest"
    [ -z "$without_gpu" ] || say 'libtorch: for CPUs, as no NVIDIA GPU is found here;' \
        '`NEWT_PIPE_LIBTORCH_VARIANT=cuda make build` gets the one for machines with a GPU'
fi
