#!/bin/sh
# A full disk where results, exported features or a drawn data set should go. Needs file systems of its own, and so a
# kernel that lets this user mount some; elsewhere it says so and passes.
#
# sh tests/full_disk.sh target/release/newt-pipe
set -eu

program=$(realpath "${1:?the program to test}")
if [ -z "${FULL_DISK_MOUNTED:-}" ]; then
    if ! unshare -rm true 2>/dev/null; then
        echo 'full_disk: skipped, nothing can be mounted here'
        exit 0
    fi
    exec env FULL_DISK_MOUNTED=1 unshare -rm sh "$0" "$program"
fi

folder=$(mktemp -d)
trap 'umount "$folder/disk" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
mkdir disk
export HOME="$folder/home" NEWT_PIPE_CACHE="$folder/cache" HF_HUB_OFFLINE=1

# fails WHAT EXPECTED COMMAND...: it ends with exit code 1, says what is expected, names no draft and leaves none.
fails() {
    what=$1 expected=$2
    shift 2
    code=0
    "$@" >out 2>err || code=$?
    if [ "$code" != 1 ] || ! grep -qF "$expected" err || grep -q 'draft-' err; then
        printf 'error: %s: exit code %s, expected 1 and `%s`\n' "$what" "$code" "$expected"
        cat err
        exit 1
    fi
    if find disk -name '*draft-*' | grep -q .; then
        printf 'error: %s: a draft is left\n' "$what"
        exit 1
    fi
}

"$program" --quiet data synth set --images-per-task 8 --task synth_flower_blue_vs_red >out
python3 - <<'PYTHON'
import csv, json, struct
ids = [row["id"] for row in csv.DictReader(open("set/newt2021_labels.csv"))]
rows = [[(i * 7 + j) % 5 - 2.0 for j in range(4096)] for i in range(len(ids))]
values = b"".join(struct.pack("<4096f", *row) for row in rows)
header = json.dumps({
    "__metadata__": {"ids": json.dumps(ids)},
    "features": {"dtype": "F32", "shape": [len(ids), 4096], "data_offsets": [0, len(values)]},
}).encode()
open("features.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + values)
PYTHON
cat >mine.toml <<'TOML'
data.root = "set"
[model]
org = "precomputed"
ckpt = "features.safetensors"
TOML

mount -t tmpfs -o size=16k none disk
full="no storage space on the file system at \`$folder/disk\`"
fails 'run' "error: disk/results: not written: $full" "$program" run mine.toml --out disk/results --save-probes
fails 'features export' "error: disk/f.st: not written: $full" "$program" features export mine.toml -o disk/f.st
fails 'data synth' "error: disk/set: not written: $full" "$program" data synth disk/set --images-per-task 8
umount disk

# Not even a folder can be made.
mount -t tmpfs -o size=16k,nr_inodes=1 none disk
fails 'run without inodes' "error: disk/results: not written: $full" "$program" run mine.toml --out disk/results
umount disk
echo 'full_disk: ok'
