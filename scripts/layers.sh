#!/bin/sh
# Holds the direction of the modules: what computes does not know what calls it.
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

forbid 'the modules that compute name none of cli, pipeline, stage, cache, artifact' \
    'crate::(cli|pipeline|stage|cache|artifact)\b' \
    src/newt src/image src/backbone src/probe src/random src/stats src/render \
    src/files.rs src/text.rs src/interrupt.rs src/progress.rs
forbid 'imports from this crate stand one module to a line, where the rules above see them' 'use crate::\{' src
forbid 'cache and artifact name neither stages nor the pipeline' \
    'crate::(cli|pipeline|stage)\b' src/cache src/artifact
forbid 'stages name neither the pipeline nor the command line' 'crate::(cli|pipeline)\b' src/stage
forbid 'files and text name no other module' 'crate::' src/files.rs src/files src/text.rs
forbid 'only cli names clap and indicatif' '\b(clap|indicatif)::' \
    src/artifact src/backbone src/cache src/image src/newt src/pipeline src/probe src/random src/render src/stage src/stats
forbid 'only backbone names tch' '\btch::' \
    src/artifact src/cache src/cli src/image src/newt src/pipeline src/probe src/random src/render src/stage src/stats
forbid 'only artifact names polars' '\bpolars::' \
    src/backbone src/cache src/cli src/image src/newt src/pipeline src/probe src/random src/render src/stage src/stats
exit $status
