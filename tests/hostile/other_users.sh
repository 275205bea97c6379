#!/bin/sh
# What belongs to another user: results that are replaced, a cache that somebody else may have filled.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root can be several users'
needs setpriv
mine=54321 theirs=54322
as() {
    user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}
as $mine true 2>err || skip 'no other user can be had'
fixture
# Where another user may run it.
cp "$program" newt-pipe
program=$PWD/newt-pipe
mkdir -m 777 shared mine
export HOME="$PWD/mine"
chmod 644 mine.toml mine.safetensors
as $mine "$program" --version >out 2>err || skip 'other users cannot reach the scratch folder'

# Theirs are replaced where that can be done whole; else it is said before the work, and nothing is touched.
expect 0 as $theirs "$program" run -q mine.toml --cache-dir mine/theirs --out shared/results
cp -r shared/results before
expect 2 as $mine "$program" run -q mine.toml --set probe.c=2 --cache-dir mine/cache --out shared/results
says 'error: ' shared/results 'hint: '
[ ! -d mine/cache/actions/probes ] || fail 'all the work was done first'
same shared/results/summary.json before/summary.json
no_strays shared
chmod 777 shared/results
expect 0 as $mine "$program" run -q mine.toml --set probe.c=2 --cache-dir mine/cache --out shared/results
! cmp -s shared/results/manifest.json before/manifest.json || fail 'the results were not replaced'
no_strays shared

# A cache of somebody else, who is named once.
expect 0 as $theirs "$program" run -q mine.toml --cache-dir shared/cache --out mine/their-results
chmod -R a+rwX shared/cache
expect 0 as $mine "$program" run -q mine.toml --cache-dir shared/cache --out mine/results
n=$(grep -c "^warning: .*shared/cache.*$theirs" err)
[ "$n" -eq 1 ] || fail "$n warnings that the cache is of user $theirs, expected 1"

# Our own, and root's, are trusted.
expect 0 as $mine "$program" run -q mine.toml --cache-dir mine/cache --out mine/results
! grep -q '^warning: ' err || fail 'a warning of our own cache'
