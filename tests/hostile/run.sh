#!/bin/sh
# run.sh PROGRAM [SCRIPT...]: what needs a mount, a limit, a signal or another user.
#
# Runs the scripts of this folder, each with the program's absolute path in an empty folder that is removed afterwards.
# A script that ends with 0 passed, one that ends with 77 is skipped for the reason in its last line. Fails if any failed.
set -u

# absolute FILE: its path from the root, since the scripts run elsewhere.
absolute() {
    folder=$(cd "$(dirname "$1")" && pwd) || exit 1
    printf '%s\n' "$folder/$(basename "$1")"
}

[ $# -gt 0 ] || {
    printf 'usage: run.sh PROGRAM [SCRIPT...]\n' >&2
    exit 2
}
program=$(absolute "$1") || exit 1
[ -x "$program" ] || {
    printf 'error: %s: no program, expected the one to test\n' "$program" >&2
    exit 2
}
shift
[ $# -gt 0 ] || set -- "$(dirname "$0")"/*.sh

# Nothing of the caller's may change what happens; no script may need a network, nor a GPU.
unset HF_HOME HF_HUB_CACHE HF_TOKEN XDG_CACHE_HOME NEWT_PIPE_CACHE RAYON_NUM_THREADS
export HF_ENDPOINT=http://127.0.0.1:1 HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES=
failed=0
job='' scratch=
# What runs is ended with its group, of which `timeout` is the leader, and what it has made goes with it.
end() {
    [ -z "$job" ] || { kill "$job" && wait "$job"; } 2>/dev/null
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for script; do
    name=$(basename "$script" .sh)
    case $name in run | lib) continue ;; esac
    script=$(absolute "$script") || exit 1
    scratch=$(mktemp -d) || exit 1
    mkdir "$scratch/work" "$scratch/home"
    # Other users take part.
    chmod 755 "$scratch" "$scratch/work"
    started=$(date +%s)
    (cd "$scratch/work" && HOME=$scratch/home TMPDIR=$scratch exec timeout -k 10 600 sh "$script" "$program") \
        >"$scratch/log" 2>&1 </dev/null &
    job=$!
    wait "$job"
    code=$?
    job=
    took="$(($(date +%s) - started)) s"
    case $code in
        0) printf 'ok       %-18s %s\n' "$name" "$took" ;;
        77) printf 'skipped  %-18s %s\n' "$name" "$(tail -n 1 "$scratch/log")" ;;
        *)
            [ "$code" -ne 124 ] || printf 'did not end in ten minutes\n' >>"$scratch/log"
            printf 'FAILED   %-18s %s, exit code %s\n' "$name" "$took" "$code"
            sed 's/^/    /' "$scratch/log"
            failed=1
            ;;
    esac
    rm -rf "$scratch"
done
exit $failed
