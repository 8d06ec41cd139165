#!/usr/bin/env bash
# Loads a Corecast of its own in many ways and says whether every player got everything.
#
#   scripts/load.sh                   one, many, join, publish and mixed, some two minutes; the
#                                     numbers are this machine's
#   scripts/load.sh one mixed         only these
#   scripts/load.sh pairs hold idle   the big ones: 1,000 streams of one player each, 10,000 players
#                                     for a minute, 5,000 connections that do nothing
#   scripts/load.sh --short           the first five, small and quick: for the verdict, not the
#                                     numbers
#   PLAYERS=2000 WORKERS=2 scripts/load.sh one      other sizes
#
# The server has the first core, the load tool the others. Reports (table, JSON, chart) go to
# target/load. CORECAST_BIN_DIR names binaries that are built already. Exit code 1: something was
# lost. Traffic stays on the loopback address.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

players="${PLAYERS:-1000}"
workers="${WORKERS:-1}"
seconds="${SECONDS_MEASURED:-15}"
target="${CARGO_TARGET_DIR:-target}"
out="${CORECAST_LOAD_DIR:-$target/load}"
port="${PORT:-$((20000 + RANDOM % 10000))}"
short=
scenarios=()
server=

say() { printf '%s\n' "load.sh: $*"; }

finish() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    server=
}
trap finish EXIT

# Runs on these cores if the machine has them.
on() {
    local cores=$1
    shift
    if [ "$(nproc)" -ge 2 ] && command -v taskset > /dev/null; then
        exec taskset -c "$cores" "$@"
    else
        exec "$@"
    fi
}

# `( on ... ) &` makes $! the program itself, so it can be measured and ended.
start_server() {
    local cores=0 waited=0
    [ "$workers" = 1 ] || cores="0-$((workers - 1))"
    (on "$cores" "$bin/corecast" --rtmp "127.0.0.1:$port" --workers "$workers" --pin none \
        --log-level warn) 2> "$out/server.log" &
    server=$!
    until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
        waited=$((waited + 1))
        if [ "$waited" = 100 ] || ! kill -0 "$server" 2> /dev/null; then
            say "the server does not start:"
            cat "$out/server.log"
            exit 2
        fi
        sleep 0.1
    done
}

# Name, description, flags.
scenario() {
    local name=$1 what=$2 code=0
    shift 2
    say "$name: $what"
    [ -n "$short" ] || { finish; start_server; }
    (on "1-$(($(nproc) - 1))" "$bin/corecast-load" "rtmp://127.0.0.1:$port/live/$name" \
        --server-pid "$server" --duration "$seconds" --warmup "$warmup" \
        --json "$out/$name.json" --chart "$out/$name.svg" ${short:+--quiet} "$@") \
        | tee "$out/$name.txt" || code=$?
    if [ "$code" != 0 ]; then
        failed+=("$name")
    fi
}

for word in "$@"; do
    case $word in
        --short) short=yes ;;
        one | many | join | publish | mixed | pairs | hold | idle) scenarios+=("$word") ;;
        *)
            say "unknown: $word (one, many, join, publish, mixed, pairs, hold, idle, --short)"
            exit 2
            ;;
    esac
done
[ "${#scenarios[@]}" != 0 ] || scenarios=(one many join publish mixed)
mkdir -p "$out"
warmup=5s
crowd=10000
minute=60s
rate=$((players * 2))
if [ -n "$short" ]; then
    players=40
    crowd=200
    minute=300ms
    seconds=300ms
    warmup=100ms
    rate=1000
fi
if [ -n "${CORECAST_BIN_DIR:-}" ]; then
    bin="$CORECAST_BIN_DIR"
else
    cargo build --release --locked --bins
    bin="$target/release"
fi
[ "$(nproc)" -ge 2 ] || say "one core: the load tool takes time from the server"

failed=()
tenth=$((players / 10))
[ -z "$short" ] || start_server
for name in "${scenarios[@]}"; do
    case $name in
        one)
            scenario one "one stream, $players players" --players "$players"
            ;;
        many)
            scenario many "$((players / 5)) streams, 10 players each" \
                --publishers "$((players / 5))" --players 10 --bitrate 200
            ;;
        join)
            scenario join "$players players, then $((players * 2)) more, $rate a second" \
                --players "$players" --storm "$((players * 2))" --storm-rate "$rate"
            ;;
        publish)
            scenario publish "$((players / 2)) publishers at once, one player each" \
                --publishers "$((players / 2))" --publish-rate 0 --players 1 --bitrate 200
            ;;
        mixed)
            scenario mixed "$tenth streams, 5 players each, $players more, $rate a second" \
                --publishers "$tenth" --players 5 --storm "$players" --storm-rate "$rate" \
                --bitrate 300
            ;;
        pairs)
            scenario pairs "$players streams, one player each" \
                --publishers "$players" --players 1 --bitrate 100
            ;;
        hold)
            scenario hold "one small stream, $crowd players for $minute" --players "$crowd" \
                --bitrate 64 --fps 10 --gop 20 --duration "$minute"
            ;;
        idle)
            scenario idle "$((players * 5)) connections that do nothing, $tenth players" \
                --idle "$((players * 5))" --players "$tenth"
            ;;
    esac
done

if [ "${#failed[@]}" != 0 ]; then
    say "FAILED: ${failed[*]} (reports in $out)"
    exit 1
fi
say "every player got everything (reports in $out)"
