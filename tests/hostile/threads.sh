#!/bin/sh
# A user who may start no thread, or one: what the program makes is what it makes without a limit.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root, which the limit does not bind, can become another user'
needs prlimit setpriv
uid=64321

# limited N COMMAND...: with N processes and threads at most, the command's first among them. The program may lie where
# only root can read.
limited() {
    n=$1
    shift
    prlimit --nproc="$n" setpriv --reuid="$uid" --regid="$uid" --clear-groups \
        --inh-caps=-all,+dac_override,+dac_read_search \
        --ambient-caps=-all,+dac_override,+dac_read_search "$@"
}
limited 9 true 2>/dev/null || skip 'this container does not let root become another user'
! limited 1 sh -c 'true & wait' 2>/dev/null || skip 'the limit of processes does not bind here'

export HOME="$PWD/home"
mkdir home
chmod 777 . home
expect 0 "$program" data synth -q data --images-per-task 8 --task synth_flower_blue_vs_red
cat >mine.toml <<'END'
[data]
root = "data"
[model]
org = "random"
ckpt = "vit_tiny_patch16_224"
END
"$program" models check random vit_tiny_patch16_224 >out 2>err || skip "no network runs here: $(tail -n 1 err)"
expect 0 "$program" run mine.toml --cache-dir cache --out free

for n in 1 2 3 4; do
    for solver in smo linfa; do
        out="$solver-$n"
        expect 0 limited $n "$program" run mine.toml --set "probe.solver=\"$solver\"" --set 'probe.kernel="linear"' \
            --cache-dir "cache-$out" --out "$out"
        says
        ! grep -q libgomp err || fail "with $n allowed, libgomp complains"
    done
    expect 0 limited $n "$program" run mine.toml --cache-dir "cache-$n" --out "few-$n"
    says
    same "few-$n/predictions.parquet" free/predictions.parquet
    [ $n -ne 1 ] || says 'asked for, the system allows 0'
done
