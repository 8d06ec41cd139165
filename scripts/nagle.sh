#!/usr/bin/env bash
# What Nagle's algorithm costs a viewer behind a slow link, and what it saves the server.
#
#   scripts/nagle.sh                            all of it, 3 runs each: some 35 minutes
#   scripts/nagle.sh --delays 25ms --congestion cubic --loads 100x1000 --runs 1     a part
#   --delays "5ms 25ms 50ms"      one way      --congestion "cubic bbr"
#   --loads "100x1000 30x5000"    players x kbit/s of the stream
#   --servers "off on nginx-rtmp" what corecast --nagle takes, or nginx-rtmp (Nagle on, always)
#   --variant merge40:"--merge-ms 40"   one more Corecast with these flags; repeatable
#   --runs 3  --seconds 8         of each, in turns
#   --add                         to what earlier calls have measured: the table is of all runs
#
# Server and publisher are at one end of scripts/slow-link.sh, the players at the other. The server
# has the first core to itself and gets its acknowledgements there, as from a network card whose
# interrupts go to that core; the link, the players and the publisher have the others. Every player
# reads and checks everything. Runs and table are in target/nagle. Needs what slow-link.sh needs,
# nginx-rtmp if it is to be measured, and perf for system calls and the kernel's share.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

delays="5ms 25ms 50ms"
congestions="cubic bbr"
loads="100x1000 30x5000"
servers="off on nginx-rtmp"
variants=()
runs=3
seconds=8
add=
target="${CARGO_TARGET_DIR:-target}"
out="${CORECAST_NAGLE_DIR:-$target/nagle}"
bin="${CORECAST_BIN_DIR:-$target/release}"
port=1935 # in a namespace of its own

say() { printf '%s\n' "nagle.sh: $*"; }

on() {
    local cores=$1
    shift
    if [ "$(nproc)" -ge 2 ]; then exec taskset -c "$cores" "$@"; else exec "$@"; fi
}

others() { printf '%s' "1-$(($(nproc) - 1))"; }

# The server's end: core of its acknowledgements, server, publisher. Kind, kbit/s, flags.
serve() {
    local waited=0
    echo 1 > /sys/class/net/link0/queues/rx-0/rps_cpus
    if [ "$1" = nginx-rtmp ]; then
        (on 0 scripts/nginx-rtmp.sh "$SLOW_LINK_SERVER:$port" "$out/nginx") &
    else
        # shellcheck disable=SC2086 # several flags
        (on 0 "$bin/corecast" --rtmp "$SLOW_LINK_SERVER:$port" --workers 1 --pin none \
            --log-level warn $3) &
    fi
    echo $! > "$out/server.pid"
    until [ -n "$(ss -Hltn "sport = :$port")" ]; do
        waited=$((waited + 1))
        [ "$waited" -le 100 ] && kill -0 $! || exit 2
        sleep 0.1
    done
    (on "$(others)" "$bin/corecast-load" "rtmp://$SLOW_LINK_SERVER:$port/live/load" --players 0 \
        --bitrate "$2" --duration 1h --allow-remote --quiet) > "$out/publisher.log" 2>&1 || true
    wait
}

# What a kind of server means.
flags_of() {
    local variant
    for variant in "${variants[@]}"; do
        if [ "${variant%%:*}" = "$1" ]; then printf '%s' "${variant#*:}" && return; fi
    done
    printf '%s' "--nagle $1"
}

# Congestion control, delay, load, kind, run.
measure() {
    local players=${3%x*} kbit=${3#*x} file="$out/runs/$1,$2,$3,$4,$5.json" code=0
    (on "$(others)" scripts/slow-link.sh --delay "$2" --congestion "$1" --port "$port" --quiet \
        --stats "$out/link.json" -- scripts/nagle.sh serve "$4" "$kbit" "$(flags_of "$4")" \
        ::: python3 scripts/nagle.py watch --pid-file "$out/server.pid" --seconds "$seconds" \
        --players "$players" --report "$file" -- "$bin/corecast-load" \
        "rtmp://10.99.0.1:$port/live/load" --allow-remote) > "$out/last.txt" 2>&1 || code=$?
    [ -s "$file" ] || { say "no report of $1 $2 $3 $4:" && cat "$out/last.txt" && exit 2; }
    [ "$code" = 0 ] || say "$1 $2 $3 $4, run $5: $(tail -n 1 "$out/last.txt")"
    python3 scripts/nagle.py join "$file" "$out/link.json"
}

if [ "${1:-}" = serve ] && [ -n "${SLOW_LINK_SERVER:-}" ]; then
    serve "$2" "$3" "$4"
    exit
fi
while [ $# != 0 ]; do
    case $1 in
        --delays) delays=$2 && shift ;;
        --congestion) congestions=$2 && shift ;;
        --loads) loads=$2 && shift ;;
        --servers) servers=$2 && shift ;;
        --variant) variants+=("$2") && shift ;;
        --runs) runs=$2 && shift ;;
        --seconds) seconds=$2 && shift ;;
        --add) add=yes ;;
        --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/nagle.sh && exit ;;
        *) say "unknown: $1 (see --help)" && exit 2 ;;
    esac
    shift
done
if ! scripts/nginx-rtmp.sh --installed; then
    say "nginx-rtmp is not installed (Debian: apt-get install libnginx-mod-rtmp): left out"
    servers=${servers//nginx-rtmp/}
fi
[ -n "${CORECAST_BIN_DIR:-}" ] || cargo build --release --locked --bins
[ -n "$add" ] || rm -rf "$out/runs"
mkdir -p "$out/runs"
for run in $(seq "$runs"); do
    for congestion in $congestions; do
        for delay in $delays; do
            for load in $loads; do
                # A run that exists is an earlier call's.
                number=$run
                for server in $servers "${variants[@]%%:*}"; do
                    while [ -e "$out/runs/$congestion,$delay,$load,$server,$number.json" ]; do
                        number=$((number + 1))
                    done
                    measure "$congestion" "$delay" "$load" "$server" "$number"
                done
            done
        done
    done
done
python3 scripts/nagle.py table "$out/runs" | tee "$out/table.txt"
