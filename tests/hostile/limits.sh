#!/bin/sh
# Limits of a shell or of a cluster: on the size of files, and on their number.
. "$(dirname "$0")/lib.sh"
fixture
expect 0 "$program" run -q mine.toml --cache-dir whole-cache --out whole

# Blocks of 512 bytes or of a kilobyte, as the shell counts: less than some file has.
(
    ulimit -f 4 || skip 'no limit on the size of files'
    expect 1 "$program" run -q mine.toml --cache-dir small-cache --out small
    says 'error: ' 'File too large'
) || exit $?
[ ! -e small ] || fail 'half of the results are there'
no_strays .

(
    ulimit -n 20 || skip 'no limit on the number of files'
    expect 0 "$program" run -q mine.toml --cache-dir few-cache --out few
    expect 0 "$program" data check S
) || exit $?
same few/summary.json whole/summary.json
