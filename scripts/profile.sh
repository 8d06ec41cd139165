#!/usr/bin/env bash
# Where the server's time goes while one stream has many players: perf, and system calls.
#
#   scripts/profile.sh                       1,000 players
#   PLAYERS=500 scripts/profile.sh --max-lag 5s     flags go to the server
#
# With perf: hot functions in target/profile/perf.txt (kernel included where allowed). With strace:
# system calls per player-second in target/profile/syscalls.txt; counting them slows the server
# down, so that part measures no time. Traffic stays on the loopback address.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

players="${PLAYERS:-1000}"
seconds="${SECONDS_MEASURED:-8}"
target="${CARGO_TARGET_DIR:-target}"
out="$target/profile"
bin="${CORECAST_BIN_DIR:-$target/release}"
port="${PORT:-$((20000 + RANDOM % 10000))}"
children=()

say() { printf '%s\n' "profile.sh: $*"; }

finish() {
    local id
    for id in "${children[@]}"; do kill "$id" 2> /dev/null || true; done
    for id in "${children[@]}"; do wait "$id" 2> /dev/null || true; done
    children=()
}
trap finish EXIT

on() {
    local cores=$1
    shift
    if [ "$(nproc)" -ge 2 ]; then exec taskset -c "$cores" "$@"; else exec "$@"; fi
}

# Starts a load and returns when all its players are up.
start_load() {
    (on "1-$(($(nproc) - 1))" "$bin/corecast-load" "rtmp://127.0.0.1:$port/live/profile" \
        --players "$players" --warmup 0s --duration "$1" --server-pid "$server" \
        --json "$out/load.json") > "$out/load.txt" 2> "$out/progress.txt" &
    load=$!
    children+=("$load")
    until grep -q ' [0-9.]*s\*' "$out/progress.txt"; do
        kill -0 "$load" 2> /dev/null || { cat "$out/load.txt" "$out/progress.txt" && exit 2; }
        sleep 0.1
    done
}

mkdir -p "$out"
[ -n "${CORECAST_BIN_DIR:-}" ] || cargo build --release --locked --bins
(on 0 "$bin/corecast" --rtmp "127.0.0.1:$port" --workers 1 --pin none --log-level warn "$@") \
    2> "$out/server.log" &
server=$!
children+=("$server")
waited=0
until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
    waited=$((waited + 1))
    [ "$waited" != 100 ] || { cat "$out/server.log" && exit 2; }
    sleep 0.1
done

say "$players players; the server's own cost first"
start_load "$((seconds + 4))s"
rm -f "$out/perf.data"
if command -v perf > /dev/null \
    && perf record -q -g -F 499 -p "$server" -o "$out/perf.data" -- sleep "$seconds" \
        2> "$out/perf.log"; then
    perf report -i "$out/perf.data" --stdio --no-children -g none --percent-limit 0.5 \
        2> /dev/null | grep -v '^#' | grep -v '^$' > "$out/perf.txt" || true
    head -n 25 "$out/perf.txt"
    say "all of it: $out/perf.txt"
else
    say "perf is missing or not allowed here (kernel.perf_event_paranoid): no profile"
fi
wait "$load" || say "the load tool is not content:"
grep -E 'CPU|delay|switches|verdict' "$out/load.txt" || true

if command -v strace > /dev/null; then
    start_load "$((seconds + 4))s"
    begun=$(date +%s%N)
    timeout --signal=INT "$seconds" strace -q -c -f -p "$server" -o "$out/strace.txt" || true
    ended=$(date +%s%N)
    wait "$load" || true
    awk -v players="$players" -v ms="$(((ended - begun) / 1000000))" '
        # % time, seconds, usecs/call, calls, [errors,] syscall
        $4 ~ /^[0-9]+$/ && $NF != "total" {
            printf "%-16s %10.3f per player-second %12d calls\n", $NF, $4 / players / ms * 1000, $4
        }' "$out/strace.txt" | sort -k2,2nr > "$out/syscalls.txt"
    cat "$out/syscalls.txt"
    say "system calls: $out/syscalls.txt"
else
    say "strace is missing: no count of system calls"
fi
