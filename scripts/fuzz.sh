#!/usr/bin/env bash
# Fuzzes everything that a stranger's bytes reach, with libFuzzer, on the stable toolchain.
#
#   scripts/fuzz.sh [SECONDS]                    all targets, SECONDS in total (180)
#   scripts/fuzz.sh --target NAME [SECONDS]      one of: handshake chunk split amf0 amf3 command
#                                                session media url; repeatable
#   scripts/fuzz.sh --target NAME --runs N       N executions instead of a time
#   scripts/fuzz.sh --record                     record the seeds anew from real clients
#
# Ends with a table. Exit code 1: an input broke a law, took more than 100 ms or too much memory;
# it lies in target/fuzz/found, and belongs into tests/fuzz/regressions/TARGET under a name that
# says what it broke. Corpora grow in target/fuzz/corpus. --no-build takes the binary as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

all=(handshake chunk split amf0 amf3 command session media url)
out="$PWD/${CORECAST_FUZZ_DIR:-target/fuzz}"
seconds=180
runs=-1
build=yes
targets=()

say() { printf '%s\n' "fuzz.sh: $*"; }

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

refuse() {
    say "$*"
    exit 2
}

is_number() { [[ $1 =~ ^[1-9][0-9]*$ ]]; }

record() {
    local tool
    for tool in ffmpeg gst-launch-1.0 rtmpdump; do
        command -v "$tool" > /dev/null || refuse "$tool is missing: scripts/test.sh installs it"
    done
    exec cargo test --locked --test fuzz_seeds -- --ignored --nocapture
}

# Sancov's counters are what libFuzzer steers by; dependencies get them too, build scripts do not.
make_binary() {
    local host flags
    host="$(rustc -vV | sed -n 's/^host: //p')"
    flags="--cfg fuzzing -Cpasses=sancov-module"
    flags+=" -Cllvm-args=-sanitizer-coverage-level=4"
    flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    flags+=" -Cllvm-args=-sanitizer-coverage-pc-table"
    flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
    binary="$out/build/$host/release/corecast-fuzz"
    if [ -n "$build" ]; then
        (cd tests/fuzz && RUSTFLAGS="$flags" CARGO_TARGET_DIR="$out/build" \
            cargo build --release --locked --quiet --target "$host")
    fi
    [ -x "$binary" ] || refuse "$binary is not there: build it first"
}

# The number that libFuzzer gives for a statistic at its end.
stat() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }

# Name, seconds.
fuzz() {
    local name=$1 log="$out/$1.log" folders=("$out/corpus/$1") folder code=0 crashes executed rate
    local found="$out/found/$name-"
    mkdir -p "${folders[0]}" "$out/found"
    for folder in seeds regressions; do
        [ ! -d "tests/fuzz/$folder/$name" ] || folders+=("tests/fuzz/$folder/$name")
    done
    local before
    before="$(find "$out/found" -name "$name-*" | wc -l)"
    CORECAST_FUZZ_TARGET="$name" "$binary" -max_total_time="$2" -runs="$runs" -timeout=1 \
        -rss_limit_mb=512 -max_len=8192 -dict=tests/fuzz/rtmp.dict -print_final_stats=1 \
        -artifact_prefix="$found" "${folders[@]}" > "$log" 2>&1 || code=$?
    crashes=$(($(find "$out/found" -name "$name-*" | wc -l) - before))
    executed="$(stat number_of_executed_units "$log")"
    rate="$(stat average_exec_per_sec "$log")"
    printf '%-10s %12s %9s %8s %8s\n' "$name" "${executed:-0}" "${rate:-0}" \
        "$(find "${folders[0]}" -type f | wc -l)" "$crashes"
    if [ "$code" != 0 ] || [ "$crashes" != 0 ]; then
        failed+=("$name")
    fi
}

while [ $# != 0 ]; do
    case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --record) record ;;
        --no-build) build= ;;
        --target)
            [[ " ${all[*]} " == *" ${2:-} "* ]] || refuse "--target: one of ${all[*]}"
            targets+=("$2")
            shift
            ;;
        --runs)
            is_number "${2:-}" || refuse "--runs: a number of executions"
            runs=$2
            seconds=0
            shift
            ;;
        *)
            is_number "$1" || refuse "unknown: $1 (--help shows what there is)"
            seconds=$1
            ;;
    esac
    shift
done
[ "${#targets[@]}" != 0 ] || targets=("${all[@]}")
make_binary

failed=()
each=$((seconds / ${#targets[@]}))
[ "$runs" != -1 ] || [ "$each" != 0 ] || each=1
printf '%-10s %12s %9s %8s %8s\n' target executions exec/s corpus crashes
for name in "${targets[@]}"; do
    fuzz "$name" "$each"
done
if [ "${#failed[@]}" != 0 ]; then
    for name in "${failed[@]}"; do
        say "$name: $(grep -m 1 -A 3 -E 'panicked|ERROR: libFuzzer' "$out/$name.log" || true)"
    done
    say "FAILED: ${failed[*]} (inputs in $out/found, logs in $out)"
    exit 1
fi
