#!/bin/sh
# A standard output that takes nothing, and one that is closed: it is said, and the program fails.
. "$(dirname "$0")/lib.sh"
fixture
expect 0 "$program" run -q mine.toml

for command in 'run -q mine.toml' 'run -q mine.toml --json' 'run -q mine.toml --dry-run' 'plan mine.toml' \
    'plan mine.toml --full' 'config' 'cache path' 'models ls' 'models ls --architectures' 'data check S --json' \
    'completions bash' '--help' '--version' 'run --help'; do
    # shellcheck disable=SC2086
    "$program" $command >/dev/full 2>err
    code=$?
    [ $code -eq 1 ] || fail "exit code $code, expected 1: $command >/dev/full"
    says 'standard output' 'No space left on device'
    # shellcheck disable=SC2086
    "$program" $command >&- 2>err
    code=$?
    [ $code -eq 1 ] || fail "exit code $code, expected 1: $command >&-"
    says 'standard output'
done

# A reader that has seen enough is no error.
"$program" models ls --architectures 2>err | head -n 1 >out
says

# Nobody hears an error that cannot be written: its code remains.
"$program" run nowhere.toml 2>/dev/full
[ $? -eq 2 ] || fail 'another exit code where standard error is full'
"$program" run nowhere.toml 2>&-
[ $? -eq 2 ] || fail 'another exit code where standard error is closed'
