#!/bin/sh
# A device without an end, and a sparse file that would fill the memory, in the place of everything that is read.
. "$(dirname "$0")/lib.sh"
fixture
# Of which the program takes much on its own, for each thread: it is not what is in use.
export RAYON_NUM_THREADS=2
ulimit -v 6000000 || skip 'no limit on memory'
expect 0 "$program" run -q mine.toml --out whole
truncate -s 8G sparse

# refused PLACE COMMAND...: with either in that place it ends with an error that says what is there; what was there comes
# back.
refused() {
    place=$1
    shift
    [ ! -e "$place" ] || mv "$place" kept
    for link in /dev/zero "$PWD/sparse"; do
        ln -s "$link" "$place"
        "$@" >err 2>&1
        code=$?
        case $code in 1 | 2 | 3) ;; *) fail "exit code $code with $link as $place: $*" ;; esac
        says "$(basename "$place")"
        grep -Eq 'is a device, expected a regular file|bytes, expected .* at most|at most .* are read|bytes after|safetensors' err ||
            fail "not said what is there: $link as $place"
        rm "$place"
    done
    [ ! -e kept ] || mv kept "$place"
}

refused mine.toml "$program" run -q mine.toml
refused S/newt2021_labels.csv "$program" run -q mine.toml
refused mine.safetensors "$program" run -q mine.toml
refused p.safetensors "$program" predict --probe p.safetensors --features mine.safetensors
mkdir model
: >model/model.safetensors
refused model/config.json "$program" models check timm local-dir:model
refused "$(find S/newt2021_images -name '*.jpg' | sort | head -n 1)" "$program" data check S

# In the cache they are set aside, and made again.
for link in /dev/zero "$PWD/sparse"; do
    for place in $(find "$HOME/.cache/newt-pipe/actions" "$HOME/.cache/newt-pipe/objects" -type f | sort | sed -n '1p;$p'); do
        rm "$place"
        ln -s "$link" "$place"
        expect 0 "$program" run -q mine.toml --out again
        same again/summary.json whole/summary.json
        [ ! -L "$place" ] || [ "$(stat -Lc %s "$place")" -lt 1000000 ] || fail "still there: $place"
    done
done
