#!/bin/sh
# Holds the direction of the modules: what computes does not know what calls it, and no two modules know each other.
set -eu
cd "$(dirname "$0")/.."
status=0

# forbid WHAT PATTERN PATH...: no line below the paths may match.
forbid() {
    what=$1 pattern=$2
    shift 2
    if grep -rnE --include='*.rs' "$pattern" "$@" >&2; then
        printf 'error: %s\n' "$what" >&2
        status=1
    fi
}

# only WHAT NAMES PATH...: what the paths name of this crate is among NAMES.
only() {
    what=$1 names=$2
    shift 2
    if grep -rnoE --include='*.rs' --exclude=fuzz.rs '\bcrate::[a-z_]+' "$@" | grep -vE "crate::($names)\$" >&2; then
        printf 'error: %s\n' "$what" >&2
        status=1
    fi
}

# code FILE: its lines without comments and without the tests at its end.
code() {
    awk '
        /^#\[cfg\(test\)\]$/ { held = $0; next }
        held != "" { if (/^(pub )?mod [a-z_]+ \{$/) exit; if (/^(pub )?mod [a-z_]+;$/) { held = ""; next } held = "" }
        !/^[[:space:]]*\/\// { print }
    ' "$1"
}

# circles DIR PREFIX: fails where what lies in DIR, by `PREFIX::name`, leads from one name to another and back.
circles() {
    dir=$1 prefix=$2
    names=$(for path in "$dir"/*; do basename "$path" .rs; done | grep -vxE 'lib|main|mod|tests|fuzz|.*\.[a-z]+' | sort -u)
    for name in $names; do
        find "$dir/$name.rs" "$dir/$name" -name '*.rs' 2>/dev/null | grep -vE '/(tests?|fuzz|pins)(\.rs|/)' |
            while read -r file; do code "$file"; done | tr -d ' \n' |
            grep -oE "$prefix::([a-z_]+|\{[^}]*\})" | grep -oE '[a-z_]+' | sort -u |
            while read -r other; do
                case $name in "$other") continue ;; esac
                printf '%s\n' "$names" | grep -qx "$other" && printf '%s %s\n' "$name" "$other"
            done || true
    done >"$edges"
    if ! tsort <"$edges" >/dev/null 2>"$loops"; then
        sed -n 's/^tsort: \([a-z_]*\)$/  \1/p' "$loops" | sort -u >&2
        printf 'error: these modules of %s know each other in a circle\n' "$dir" >&2
        status=1
    fi
}
edges=$(mktemp)
loops=$(mktemp)
trap 'rm -f "$edges" "$loops"' EXIT

only 'error names no other module' none src/error.rs
only 'text names no other module' none src/text.rs
only 'files name error and text' 'error|files|text' src/files.rs src/files
only 'published scores name the data set that they are of' 'newt|published' src/published
only 'hub names the ground floor' 'context|error|files|hub|interrupt|progress|text' src/hub.rs src/hub
forbid 'the modules that compute name none of cli, pipeline, stage, cache, artifact' \
    'crate::(cli|pipeline|stage|cache|artifact)\b' \
    src/newt src/published src/image src/backbone src/probe src/random src/stats src/render src/hub src/hub.rs \
    src/files src/files.rs src/text.rs src/interrupt.rs src/progress.rs src/context.rs src/setting.rs \
    src/tensorfile src/tensorfile.rs
forbid 'imports from this crate stand one module to a line, where the rules above see them' 'use crate::\{' src
forbid 'cache and artifact name neither stages nor the pipeline' \
    'crate::(cli|pipeline|stage)\b' src/cache src/artifact
forbid 'stages name neither the pipeline nor the command line' 'crate::(cli|pipeline)\b' src/stage
forbid 'only cli names clap and indicatif' '\b(clap|indicatif)::' \
    src/artifact src/backbone src/cache src/image src/newt src/pipeline src/probe src/published src/random src/render src/stage src/stats
forbid 'only backbone names tch' '\btch::' \
    src/artifact src/cache src/cli src/image src/newt src/pipeline src/probe src/random src/render src/stage src/stats
forbid 'only artifact names polars' '\bpolars::' \
    src/backbone src/cache src/cli src/image src/newt src/pipeline src/probe src/random src/render src/stage src/stats
forbid 'the rooms of backbone are named by the room, where the next rule sees it' \
    'crate::backbone::(\{|[AC-Z]|B[^a])' src/backbone/resolve src/backbone/orgs src/backbone/spec.rs \
    src/backbone/families src/backbone/checkpoint src/backbone/run
circles src crate
circles src/backbone crate::backbone
exit $status
