#!/bin/sh
# A file system that fills up under the results, under the cache, under the data: an error that names it, nothing lost.
. "$(dirname "$0")/lib.sh"
mounting
fixture

small results 64
expect 0 "$program" run -q mine.toml --out whole
for kilobytes in 4 8 16 24; do
    head -c "$((64 - kilobytes))k" /dev/zero >results/filler
    expect 1 "$program" run -q mine.toml --out results/mine
    says 'error: ' results/mine ' space '
    [ ! -e results/mine ] || fail 'half of the results are there'
    no_strays results
done
rm results/filler

# Results that were there stay.
cp -r whole results/mine || fail "the file system is too small for the results"
head -c 64k /dev/zero >results/filler 2>head_err
expect 1 "$program" run -q mine.toml --set probe.c=2 --out results/mine
same results/mine/summary.json whole/summary.json
no_strays results

small cache 64
for kilobytes in 0 4 12 32; do
    rm -rf cache/filler
    head -c "$((64 - kilobytes))k" /dev/zero >cache/filler 2>head_err
    expect 1 "$program" run -q mine.toml --cache-dir cache/c --out never
    says 'error: ' cache/c
    [ ! -e never ] || fail 'results of a run that failed'
done
rm cache/filler
small cache 4096
expect 0 "$program" run -q mine.toml --cache-dir cache/c --out again
same again/summary.json whole/summary.json

small data 64
expect 1 "$program" data synth -q data/S --images-per-task 8
says 'error: ' data/S ' space '
[ ! -e data/S ] || fail 'half of a data set is there'
no_strays data

# On a disk without room for anything it is said which file system is full, and no draft is named that is gone.
full() {
    expect 1 "$@"
    says "not written: no storage space on the file system at \`$PWD/disk\`"
    ! grep -q 'draft-' err || fail 'a draft is named'
    no_strays disk
}
small disk 4
full "$program" run -q mine.toml --save-probes --out disk/results
full "$program" features export mine.toml -o disk/mine.safetensors
full "$program" data synth -q disk/S --images-per-task 8

# Not even a folder can be made.
small disk 64 1
full "$program" run -q mine.toml --out disk/results
