#!/bin/sh
# A file system that fills up under the results, under the cache, under the data: an error that names it, nothing lost.
. "$(dirname "$0")/lib.sh"
mounting
fixture

small results 40
expect 0 "$program" run -q mine.toml --out whole
for kilobytes in 4 8 16 24; do
    head -c "$((40 - kilobytes))k" /dev/zero >results/filler
    expect 1 "$program" run -q mine.toml --out results/mine
    says 'error: ' results/mine ' space '
    [ ! -e results/mine ] || fail 'half of the results are there'
    no_strays results
done
rm results/filler

# Results that were there stay.
cp -r whole results/mine
head -c 40k /dev/zero >results/filler 2>head_err
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
