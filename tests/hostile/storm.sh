#!/bin/sh
# Many runs at once on one results folder and one cache, every third killed: the next finds nothing broken.
. "$(dirname "$0")/lib.sh"
fixture 20
set -- run -q mine.toml --set sample.n_train=10 --set bootstrap.resamples=20000 --save-probes
expect 0 "$program" "$@" --cache-dir whole-cache --out whole

n_killed=0
for storm in 1 2 3; do
    runs=
    n=0
    while [ $n -lt 24 ]; do
        n=$((n + 1))
        "$program" "$@" --cache-dir cache --out results >"out$n" 2>"err$n" &
        runs="$runs $n:$!"
    done
    for run in $runs; do
        [ $((${run%%:*} % 3)) -ne 0 ] || {
            sleep 0.05
            kill -KILL "${run#*:}" 2>/dev/null
        }
    done
    for run in $runs; do
        wait "${run#*:}" 2>/dev/null
        code=$?
        cp "err${run%%:*}" err
        if [ $((${run%%:*} % 3)) -eq 0 ]; then
            [ $code -eq 0 ] || n_killed=$((n_killed + 1))
        else
            [ $code -eq 0 ] || fail "exit code $code of a run beside others in storm $storm"
            ! grep -q '^warning: ' err || fail 'a warning of a run beside others'
        fi
    done
    # The next storm computes again.
    [ $storm -eq 3 ] || rm -rf cache/actions
done
[ $n_killed -gt 0 ] || fail "no run was killed in time"

expect 0 "$program" "$@" --cache-dir cache --out results
for file in summary.json predictions.parquet probes.safetensors; do
    same "results/$file" "whole/$file"
done
no_strays .
[ -z "$(ls -A cache/tmp)" ] || fail "left in the cache: $(ls -A cache/tmp)"
