#!/bin/sh
# Many runs at once on one results folder and one cache, every third killed: the next finds nothing broken.
. "$(dirname "$0")/lib.sh"
fixture 20
set -- run -q mine.toml --set sample.n_train=10 --set 'probe.search={n_iter=20}' --save-probes
expect 0 "$program" run -q mine.toml --set sample.n_train=10 --save-probes --cache-dir whole-cache --out whole

for storm in 1 2; do
    runs=
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
        "$program" run -q mine.toml --set sample.n_train=10 --save-probes --cache-dir cache --out results \
            >"out$n" 2>"err$n" &
        run=$!
        if [ $((n % 3)) -eq 0 ]; then
            # At another moment each.
            (sleep 0.0$n; kill -KILL $run 2>/dev/null) &
        else
            runs="$runs $n:$run"
        fi
    done
    for run in $runs; do
        wait "${run#*:}"
        code=$?
        cp "err${run%%:*}" err
        [ $code -eq 0 ] || fail "exit code $code of a run beside others in storm $storm"
        ! grep -q '^warning: ' err || fail 'a warning of a run beside others'
    done
    wait
    # What was half done is done by another, once.
    [ $storm -eq 2 ] || rm -rf cache/actions
done

expect 0 "$program" run -q mine.toml --set sample.n_train=10 --save-probes --cache-dir cache --out results
for file in summary.json predictions.parquet probes.safetensors; do
    same "results/$file" "whole/$file"
done
no_strays .
[ -z "$(ls -A cache/tmp)" ] || fail "left in the cache: $(ls -A cache/tmp)"
