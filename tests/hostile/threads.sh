#!/bin/sh
# threads.sh PROGRAM: runs the program as a user who may start no thread, or one, and holds what it makes against what it
# makes without a limit. Needs root on Linux, which the limit does not bind: it becomes another user.
set -eu
program=$1
uid=64321

skip() {
    echo "skipped: $1"
    exit 77
}
[ "$(id -u)" = 0 ] || skip 'only root can become another user'
command -v prlimit >/dev/null && command -v setpriv >/dev/null || skip 'there is no prlimit or setpriv (util-linux)'

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
if limited 1 sh -c 'true & wait' 2>/dev/null; then
    skip 'the limit of processes does not bind here'
fi

export HOME="$PWD/home"
mkdir home
chmod 777 . home
"$program" data synth data --images-per-task 8 --task synth_flower_blue_vs_red >drawn.txt
cat >mine.toml <<'END'
[data]
root = "data"

[model]
org = "random"
ckpt = "vit_tiny_patch16_224"
END
"$program" run mine.toml --cache-dir cache --out free >free.txt 2>free.err

status=0
fail() {
    echo "with $n allowed: $1" >&2
    status=1
}
for n in 1 2 3 4; do
    for solver in smo linfa; do
        out="$solver-$n"
        limited "$n" "$program" run mine.toml --set "probe.solver=\"$solver\"" --set 'probe.kernel="linear"' \
            --cache-dir "cache-$out" --out "$out" >"$out.txt" 2>"$out.err" || fail "solver $solver: exit code $?"
        if grep -n 'panicked\|libgomp' "$out.err"; then
            fail "solver $solver: a panic"
        fi
    done
    limited "$n" "$program" run mine.toml --cache-dir "cache-$n" --out "few-$n" >"few-$n.txt" 2>"few-$n.err" ||
        fail "exit code $?"
    cmp "few-$n/predictions.parquet" free/predictions.parquet || fail 'other predictions'
done
grep -q 'asked for, the system allows 0' few-1.err || { n=1 && fail 'no warning'; }
exit "$status"
