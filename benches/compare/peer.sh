#!/bin/sh
# Makes the Python environment of the comparisons: `sh benches/compare/peer.sh FOLDER`, then FOLDER/bin/python. Nothing
# is done where it is there already. Some two minutes and 5 GB: PyTorch's wheel cannot be imported without its CUDA
# libraries, also where there is no GPU.
set -eu

PACKAGES='torch==2.11.0 torchvision==0.26.0 timm==1.0.31 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6 pillow==13.0.0'

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

[ $# -eq 1 ] || fail "\`peer.sh\` got $# arguments, expected one" 'name the folder of the environment'
folder=$1
if [ "$(cat "$folder/.packages" 2>/dev/null)" = "$PACKAGES" ]; then
    exit 0
fi
# Whatever else lies there stays as it is.
[ ! -e "$folder" ] || [ -e "$folder/pyvenv.cfg" ] ||
    fail "\`$folder\` is there and is no Python environment" 'name another folder, or remove it'
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "\`python3\` is $(python3 --version 2>&1 || :), numpy 2.4.6 needs 3.11 or newer" 'put a newer `python3` first on the PATH'
python3 -m venv "$folder" ||
    fail "python3 cannot make an environment in \`$folder\`" 'install its module venv: `apt-get install python3-venv`'
# shellcheck disable=SC2086 # one word a package
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir $PACKAGES ||
    fail 'pip could not install PyTorch and its libraries' 'see the lines above; behind a proxy set HTTPS_PROXY or PIP_INDEX_URL'
printf '%s\n' "$PACKAGES" >"$folder/.packages"
