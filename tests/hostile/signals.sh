#!/bin/sh
# Signals as `timeout` sends them, to the process and then to its group: one stop, and what is in flight is kept.
. "$(dirname "$0")/lib.sh"
needs setsid
fixture 40

# stop SIGNAL PAUSE PIPELINE CACHE SIGN: starts a run and stops it once there is a SIGN of its work, a pattern of files, in
# its cache. Fails unless it ends as one that was stopped; then it may be told so by two signals, some time apart.
stop() {
    setsid "$program" run "$3" --set 'probe.search={n_iter=100000}' --cache-dir "$4" --out results >out 2>err &
    run=$!
    # shellcheck disable=SC2086
    while ! is_there "$4"/$5 && kill -0 $run 2>/dev/null; do sleep 0.02; done
    before=$(date +%s%N)
    kill -s "$1" $run
    sleep "$2"
    kill -s "$1" -- -$run 2>/dev/null
    after=$(date +%s%N)
    wait $run 2>/dev/null
    code=$?
    # On a busy machine the second may come so late that it is another wish: to end at once.
    [ $(((after - before) / 1000000)) -lt 900 ] || [ $code -le 128 ] || return 0
    [ $code -eq 75 ] || fail "exit code $code after two SIG$1, $2 s apart, expected 75"
    [ ! -e results ] || fail 'results of a run that was stopped'
}

# is_there FILE...: whether there is the first of these.
is_there() {
    [ -e "$1" ]
}

# In the search of a probe.
for round in 1 2 3 4; do
    for pause in 0 0.01 0.1 0.3; do
        stop TERM $pause mine.toml "cache$round$pause" actions/features
    done
done
stop HUP 0 mine.toml cache-hup actions/features

# While a network runs, where there is libtorch: what it had written when the signal came is kept.
sed -e 's/precomputed/random/' -e 's/mine.safetensors/vit_tiny_patch16_224/' mine.toml >random.toml
if "$program" models check random vit_tiny_patch16_224 >out 2>err; then
    for pause in 0 0.1; do
        stop TERM $pause random.toml cache$pause 'features/*/*.safetensors'
        expect 0 "$program" run random.toml --dry-run --json --cache-dir cache$pause
        ! grep -q '"images_extracted": 480\b' out || fail 'nothing was kept of what was extracted'
    done
else
    printf 'no network runs here: %s\n' "$(tail -n 1 err)"
fi

# As it is done.
timeout --preserve-status -s TERM 3 "$program" run mine.toml --set 'probe.search={n_iter=100000}' --cache-dir cache --out results >out 2>err
code=$?
[ $code -eq 75 ] || fail "exit code $code under timeout, expected 75"
