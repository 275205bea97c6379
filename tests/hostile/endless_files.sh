#!/bin/sh
# A device without an end, and a sparse file that would fill the memory, in the place of everything that is read.
. "$(dirname "$0")/lib.sh"
fixture
# Of which the program takes much on its own: it is not what is in use.
ulimit -v 6000000 || skip 'no limit on memory'
expect 0 "$program" run -q mine.toml --out whole

# refused PLACE COMMAND...: it says what it is, whichever of the two is there, and whatever was there comes back.
refused() {
    place=$1
    shift
    [ ! -e "$place" ] || mv "$place" kept
    ln -s /dev/zero "$place"
    "$@" >out 2>err
    code=$?
    case $code in 1 | 2 | 3) ;; *) fail "exit code $code of a device as $place: $*" ;; esac
    says 'is a device, expected a regular file'
    rm "$place"
    truncate -s 8G "$place"
    "$@" >out 2>err
    code=$?
    case $code in 1 | 2 | 3) ;; *) fail "exit code $code of a sparse file as $place: $*" ;; esac
    says 'error: ' "$place"
    rm "$place"
    [ ! -e kept ] || mv kept "$place"
}

refused mine.toml "$program" run -q mine.toml
refused S/newt2021_labels.csv "$program" run -q mine.toml
refused mine.safetensors "$program" run -q mine.toml
refused p.safetensors "$program" predict --probe p.safetensors --features mine.safetensors
mkdir model
: >model/model.safetensors
refused model/config.json "$program" models check timm local-dir:model
image=$(find S/newt2021_images -name '*.jpg' | sort | head -n 1)
for link in /dev/zero sparse; do
    truncate -s 8G sparse
    mv "$image" kept
    ln -s "$(realpath "$link")" "$image"
    "$program" data check S >out 2>err
    code=$?
    [ $code -eq 3 ] || fail "exit code $code of $link as an image"
    rm "$image"
    mv kept "$image"
done

# In the cache they are set aside, and made again.
for link in /dev/zero sparse; do
    for place in $(find "$HOME/.cache/newt-pipe/actions" "$HOME/.cache/newt-pipe/objects" -type f | sort | sed -n '1p;$p'); do
        rm "$place"
        ln -s "$(realpath "$link")" "$place"
        expect 0 "$program" run -q mine.toml --out again
        same again/summary.json whole/summary.json
        [ ! -L "$place" ] || [ "$(stat -Lc %s "$place")" -lt 1000000 ] || fail "still there: $place"
    done
done
