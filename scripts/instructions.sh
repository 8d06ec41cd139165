#!/usr/bin/env bash
# Counts the instructions of the hot paths under callgrind, each case twice: unlike time they are
# the same, however busy the machine is.
#
#   scripts/instructions.sh                    all cases, some 20 s after the build
#   scripts/instructions.sh --short            three of them
#   scripts/instructions.sh gather-tail        only these; --list names them all
#   scripts/instructions.sh --against FILE     says what became of a table printed earlier
#
# The table goes to standard output: `scripts/instructions.sh > before.txt`, change the code,
# `scripts/instructions.sh --against before.txt`. Counts depend on the compiler and the C library, so
# tables are compared on one machine. Profiles are left in target/tmp/instructions:
# `callgrind_annotate --auto=yes target/tmp/instructions/gather-tail.1.out`.
#
# Exit code 1: a case grew by more than 3 %. 2: two runs differ, or nothing could be counted.
# Needs valgrind.
set -euo pipefail

args=()
while [ $# != 0 ]; do
    case $1 in
        -h | --help)
            sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "$0"
            exit
            ;;
        # Cargo runs it in the root of the tree.
        --against) args+=("$1" "$(realpath -e "${2:?--against: which file?}")") && shift ;;
        --against=*) args+=(--against "$(realpath -e "${1#*=}")") ;;
        *) args+=("$1") ;;
    esac
    shift
done
cd "$(dirname "$0")/.."
exec < /dev/null

if ! command -v valgrind > /dev/null; then
    printf '%s\n' "instructions.sh: valgrind is missing (Debian, Ubuntu: apt-get install valgrind)" >&2
    exit 2
fi
exec cargo bench --quiet --locked --bench counted -- "${args[@]}"
