#!/bin/sh
# Without a home folder there is no cache that another user could have foreseen.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root can be a user who is not in the list of users'
needs setpriv
fixture
cp "$program" newt-pipe
program=$PWD/newt-pipe
chmod 644 mine.toml mine.safetensors
mkdir -m 1777 tmp out_dir
nobody() {
    env -i PATH="$PATH" TMPDIR="$PWD/tmp" setpriv --reuid 54321 --regid 54321 --clear-groups "$@"
}
nobody "$program" --version >out 2>err || skip 'other users cannot reach the scratch folder'

before=$(find /tmp -maxdepth 1 -name '*newt*' | sort)
expect 2 nobody "$program" run -q mine.toml --out out_dir/results
says 'error: ' 'hint: ' '--cache-dir'
[ -z "$(ls -A tmp)" ] || fail "made in the folder for temporary files: $(ls -A tmp)"
[ "$before" = "$(find /tmp -maxdepth 1 -name '*newt*' | sort)" ] || fail 'made in /tmp'

mkdir -m 777 cache
expect 0 nobody "$program" run -q mine.toml --cache-dir cache/c --out out_dir/results
