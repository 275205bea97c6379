#!/bin/sh
# run.sh PROGRAM [SCRIPT...]: what needs a mount, a limit, a signal or another user.
#
# Runs the scripts of this folder, each with the program's absolute path in an empty folder that is removed afterwards.
# A script that ends with 0 passed, one that ends with 77 is skipped for the reason in its last line. Fails if any failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
[ $# -gt 0 ] || set -- "$here"/*.sh

# Nothing of the caller's may change what happens; no script may need a network, nor a GPU.
unset HF_HOME HF_HUB_CACHE HF_TOKEN XDG_CACHE_HOME NEWT_PIPE_CACHE RAYON_NUM_THREADS
export HF_ENDPOINT=http://127.0.0.1:1 HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES=
failed=0
for script; do
    name=$(basename "$script" .sh)
    case $name in run | lib) continue ;; esac
    scratch=$(mktemp -d) || exit 1
    mkdir "$scratch/work" "$scratch/home"
    # Other users take part.
    chmod 755 "$scratch" "$scratch/work"
    started=$(date +%s)
    (cd "$scratch/work" && HOME=$scratch/home TMPDIR=$scratch exec timeout -k 10 120 sh "$script" "$program") \
        >"$scratch/log" 2>&1 </dev/null
    code=$?
    took="$(($(date +%s) - started)) s"
    case $code in
        0) printf 'ok       %-18s %s\n' "$name" "$took" ;;
        77) printf 'skipped  %-18s %s\n' "$name" "$(tail -n 1 "$scratch/log")" ;;
        *)
            [ "$code" -ne 124 ] || printf 'did not end in two minutes\n' >>"$scratch/log"
            printf 'FAILED   %-18s %s, exit code %s\n' "$name" "$took" "$code"
            sed 's/^/    /' "$scratch/log"
            failed=1
            ;;
    esac
    rm -rf "$scratch"
done
exit $failed
