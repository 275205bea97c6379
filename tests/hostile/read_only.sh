#!/bin/sh
# Folders on a file system that nobody may write to.
. "$(dirname "$0")/lib.sh"
mounting
fixture

# Data are read only.
read_only S
expect 0 "$program" run -q mine.toml --cache-dir cache --out whole

mkdir results
read_only results
expect 2 "$program" run -q mine.toml --cache-dir cache --out results/mine
says 'error: ' results 'Read-only file system' 'hint: '
expect 2 "$program" data synth -q results/S --images-per-task 8
says 'error: ' results 'hint: '

# Found before the work: nothing is made in the cache.
expect 2 "$program" run -q mine.toml --cache-dir other --out results/mine
[ ! -d other/actions/probes ] || fail 'all the work was done first'

read_only cache
expect 1 "$program" run -q mine.toml --set probe.c=2 --cache-dir cache --out again
says 'error: ' cache 'hint: '
[ ! -e again ] || fail 'results of a run that failed'
