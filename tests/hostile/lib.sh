# What the scripts of this folder share; each begins with `. "$(dirname "$0")/lib.sh"`.
# shellcheck shell=sh

set -u
program=$1

# fail WHAT: ends the script, with what the program said last.
fail() {
    printf '%s\n' "$1"
    [ ! -f err ] || sed 's/^/  stderr: /' err
    exit 1
}

skip() {
    printf '%s\n' "$1"
    exit 77
}

# needs COMMAND...: skips the script where one of these programs is missing.
needs() {
    for command; do
        command -v "$command" >/dev/null || skip "there is no \`$command\`"
    done
}

# expect CODE COMMAND...: runs it, with its streams in the files `out` and `err`.
expect() {
    code=$1
    shift
    "$@" >out 2>err
    found=$?
    [ "$found" -eq "$code" ] || fail "exit code $found, expected $code: $*"
}

# says TEXT...: whether the last command's standard error has all of them, in any case, and no panic.
says() {
    for text; do
        grep -qiF -- "$text" err || fail "standard error lacks: $text"
    done
    ! grep -q 'panicked at' err || fail 'a panic'
}

# same FILE FILE: whether they have the same bytes.
same() {
    cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

# no_strays FOLDER...: nothing hidden that was to become results, or was some.
no_strays() {
    found=$(find "$@" \( -name '.*.draft-*' -o -name '.*.old-*' \) -print)
    [ -z "$found" ] || fail "left behind: $found"
}

# fixture [IMAGES]: the data set `S`, features `mine.safetensors` of its images, and the pipeline `mine.toml` that takes
# them: it needs no libtorch.
fixture() {
    "$program" data synth -q S --images-per-task "${1:-8}" >fixture 2>&1 || fail "$(cat fixture)"
    rm fixture
    features S/newt2021_labels.csv >mine.safetensors
    cat >mine.toml <<'END'
[data]
root = "S"
[model]
org = "precomputed"
ckpt = "mine.safetensors"
END
}

# features LABELS: sixteen features for each image of a labels file, all of them 0.25 or -0.25, so that rows have norm 1;
# the last is the label's, the others seem random.
features() {
    ids=$(sed 1d "$1" | cut -d , -f 1 | sed 's/.*/\\"&\\"/' | paste -s -d , -)
    n=$(sed 1d "$1" | wc -l)
    header='{"__metadata__":{"ids":"['$ids']"},"features":{"dtype":"F32","shape":['$n',16],"data_offsets":[0,'$((n * 64))']}}'
    length=${#header}
    for _ in 1 2 3 4 5 6 7 8; do
        # shellcheck disable=SC2059
        printf "\\$(printf '%03o' $((length % 256)))"
        length=$((length / 256))
    done
    printf '%s' "$header"
    values=$(sed 1d "$1" | awk -F , '{
        for (k = 1; k < 16; k++) {
            state = (state * 1103 + 12345 + NR) % 65536
            printf "\\0\\0\\200\\%s", state % 256 < 128 ? "076" : "276"
        }
        printf "\\0\\0\\200\\%s", $5 ? "076" : "276"
    }')
    # shellcheck disable=SC2059
    printf "$values"
}

# mounting: starts the script again where it may mount, as root or as a user who is root in a namespace.
mounting() {
    [ -z "${MAY_MOUNT:-}" ] || return 0
    needs unshare mount
    mkdir mounted
    for options in -m -rm; do
        if unshare $options mount -t tmpfs none mounted 2>/dev/null; then
            rmdir mounted
            MAY_MOUNT=1 exec unshare $options sh "$0" "$program"
        fi
    done
    skip 'nothing can be mounted here'
}

# small FOLDER KILOBYTES [FILES]: makes it a file system of that size, and of so many files and folders with its own.
small() {
    mkdir -p "$1" && mount -t tmpfs -o "size=${2}k${3:+,nr_inodes=$3}" none "$1" || fail "cannot mount $1"
}

# read_only FOLDER: so that not even root writes there.
read_only() {
    mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || fail "cannot mount $1"
}
