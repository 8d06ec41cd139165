#!/usr/bin/env bash
# The same loads against Corecast and the nginx-rtmp that the distribution packages, in turns.
#
#   scripts/compare.sh                          500 and 1,000 players, 3 runs each, 15 s
#   scripts/compare.sh --mtu 1500               the same again where loopback has a real card's
#                                               segments: own network namespace, cubic (needs
#                                               root and iproute2)
#   scripts/compare.sh other=rtmp://127.0.0.1:1936/live/load,4711      and any other server that
#                                               runs already: NAME=URL,PID
#   --late 20ms                                 the same again with players that look for their
#                                               bytes only so often, and so acknowledge them late,
#                                               as viewers at the end of a real path do
#   --variant small:"--chunk-size 4096"           a second Corecast with other flags; repeatable
#   --bare "0s 350ms"                           the bare loop (corecast-load --bare-loop) as a
#                                               yardstick, merging for so long
#   --players "500 1000"  --runs 3  --seconds 15  --corecast "--max-lag 5s"  --load "--gop 25"
#
# Each server has the first core, one worker, and one publisher; the load tool has the other cores.
# Writes medians and ratios to target/compare/table.txt and target/compare/chart.svg.
# Needs nginx with its RTMP module (Debian: libnginx-mod-rtmp) and python3. Traffic stays on the
# loopback address.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

players="500 1000"
runs=3
seconds=15
mtu=
late=
corecast_flags=
load_flags=
others=()
variants=()
bare=
target="${CARGO_TARGET_DIR:-target}"
out="${CORECAST_COMPARE_DIR:-$PWD/$target/compare}"
bin="${CORECAST_BIN_DIR:-$target/release}"
port="${PORT:-$((20000 + RANDOM % 10000))}" # two comparisons at once must not meet
column="${CORECAST_COMPARE_COLUMN:-loopback}"
children=()
given=("$@")

say() { printf '%s\n' "compare.sh: $*"; }

finish() {
    local id
    for id in "${children[@]}"; do kill "$id" 2> /dev/null || true; done
    for id in "${children[@]}"; do wait "$id" 2> /dev/null || true; done
    children=()
}
trap finish EXIT

while [ $# != 0 ]; do
    case $1 in
        --players) players=$2 && shift ;;
        --runs) runs=$2 && shift ;;
        --seconds) seconds=$2 && shift ;;
        --mtu) mtu=$2 && shift ;;
        --late) late=$2 && shift ;;
        --corecast) corecast_flags=$2 && shift ;;
        --load) load_flags=$2 && shift ;;
        --variant) variants+=("$2") && shift ;;
        --bare) bare=$2 && shift ;;
        *=rtmp://*,*) others+=("$1") ;;
        *)
            say "unknown: $1"
            exit 2
            ;;
    esac
    shift
done

on() {
    local cores=$1
    shift
    if [ "$(nproc)" -ge 2 ]; then exec taskset -c "$cores" "$@"; else exec "$@"; fi
}

# Waits until the newest child listens.
await() {
    local waited=0
    sleep 0.2
    until (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null && kill -0 "$!" 2> /dev/null; do
        waited=$((waited + 1))
        if [ "$waited" = 100 ] || ! kill -0 "$!" 2> /dev/null; then
            say "no server on port $1; end of $2:"
            tail -n 15 "$2"
            exit 2
        fi
        sleep 0.1
    done
}

start_nginx() {
    local work="$out/nginx" at=$((port + 2 + ${#servers[@]}))
    if ! scripts/nginx-rtmp.sh --installed; then
        say "nginx-rtmp is not installed (Debian: apt-get install libnginx-mod-rtmp): left out"
        return
    fi
    (on 0 scripts/nginx-rtmp.sh "127.0.0.1:$at" "$work") &
    children+=($!)
    await "$at" "$work/error.log"
    servers+=("nginx-rtmp=rtmp://127.0.0.1:$at/live/load,$!")
}

# Name and flags.
start_corecast() {
    local name=$1 at=$((port + 2 + ${#servers[@]}))
    # shellcheck disable=SC2086 # several flags
    (on 0 "$bin/corecast" --rtmp "127.0.0.1:$at" --workers 1 --pin none --log-level warn $2) \
        2> "$out/$name.log" &
    children+=($!)
    await "$at" "$out/$name.log"
    servers+=("$name=rtmp://127.0.0.1:$at/live/load,$!")
}

# How long it merges.
start_bare() {
    local name="bare-$1" at=$((port + 2 + ${#servers[@]}))
    (on 0 "$bin/corecast-load" --bare-loop "127.0.0.1:$at" --merge "$1") 2> "$out/$name.log" &
    children+=($!)
    await "$at" "$out/$name.log"
    servers+=("$name=rtmp://127.0.0.1:$at/live/load,$!")
}

# What a server occupies before its first player.
note_memory() {
    local pid=${1##*,} name=${1%%=*}
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" > "$out/runs/$column,$name.rss"
}

# Name, URL and pid, players, run, column, more flags.
measure() {
    local name=${1%%=*} rest=${1#*=} count=$2 run=$3 column=$4 more=${5:-}
    local file="$out/runs/$column,$count,$name,$run.json"
    # shellcheck disable=SC2086 # several flags
    (on "1-$(($(nproc) - 1))" "$bin/corecast-load" "${rest%,*}" --server-pid "${rest##*,}" \
        --players "$count" --duration "$seconds" --quiet --json "$file" $load_flags $more) \
        > "$out/last.txt" 2>&1 || say "$name, $count players, run $run: $(tail -n 1 "$out/last.txt")"
    [ -s "$file" ] || { say "no report of $name:" && cat "$out/last.txt" && exit 2; }
    say "$column, $count players, run $run, $name: $(grep -h 'per player-second' "$out/last.txt" || true)"
}

summary() {
    python3 - "$out" <<'EOF'
import glob, json, os, platform, statistics, sys
out = sys.argv[1]
found = {}
for path in glob.glob(os.path.join(out, "runs", "*.json")):
    column, count, name, run = os.path.basename(path)[:-5].split(",")
    found.setdefault((column, int(count), name), {})[int(run)] = json.load(open(path))

def pick(report, *keys):
    for key in keys:
        report = report.get(key) if isinstance(report, dict) else None
    return report

def median(runs, *keys):
    values = [pick(report, *keys) for report in runs.values()]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None

def show(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"

cpu = ("steady", "server", "cpu_ms_per_player_second")
rows = []
for (column, count, name), runs in sorted(found.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] != "corecast", item[0][2])):
    own = found.get((column, count, "corecast"), {})
    # A ratio of interleaved runs: run by run, then the median.
    ratios = [pick(own[n], *cpu) / pick(runs[n], *cpu) for n in runs
              if n in own and pick(own[n], *cpu) is not None and pick(runs[n], *cpu)]
    # Memory is what came on top of the idle server; later runs find some of it allocated already.
    where = "loopback" if column.startswith("late") else column
    idle = int(open(os.path.join(out, "runs", f"{where},{name}.rss")).read() or 0)
    rss = [pick(report, "steady", "server", "rss_bytes") for report in runs.values()]
    rss = [(value / 1024 - idle) / count for value in rss if value]
    rows.append((column, count, name, median(runs, *cpu), statistics.median(ratios) if ratios else None,
                 median(runs, "steady", "delay_ms", "p50"), median(runs, "steady", "delay_ms", "p99"),
                 median(runs, "key_ms", "p50"), median(runs, "key_ms", "p99"), statistics.median(rss) if rss else None,
                 sum(not report["passed"] for report in runs.values()), len(runs)))
control = open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()
lines = [f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, loopback with {control}; medians", "",
         f"{'network':<10} {'players':>7} {'server':<14} {'CPU ms per':>11} {'Corecast /':>10} {'delay ms':>13} {'key frame ms':>13} {'RSS kB per':>10} {'runs with':>9}",
         f"{'':<10} {'':>7} {'':<14} {'player-sec':>11} {'this':>10} {'p50 / p99':>13} {'p50 / p99':>13} {'player':>10} {'losses':>9}"]
for column, count, name, cost, ratio, d50, d99, k50, k99, rss, failed, runs in rows:
    lines.append(f"{column:<10} {count:>7} {name:<14} {show(cost, 3):>11} {show(ratio, 2):>10} "
                 f"{show(d50, 1) + ' / ' + show(d99, 0):>13} {show(k50, 0) + ' / ' + show(k99, 0):>13} {show(rss, 0):>10} {f'{failed} of {runs}':>9}")
table = "\n".join(lines) + "\n"
open(os.path.join(out, "table.txt"), "w").write(table)
print(table, end="")

groups = sorted({(row[0], row[1]) for row in rows})
names = sorted({row[2] for row in rows}, key=lambda name: (name != "corecast", name))
colours = ["#2b7bba", "#c0392b", "#27843b", "#e08a1e", "#7d3c98", "#777777"]
most = max([row[3] or 0 for row in rows] + [0.1]) * 1.1
width, height, left, top, tall = 160 * len(groups) + 240, 330, 60, 40, 220
svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
       f'<rect width="{width}" height="{height}" fill="white"/>',
       f'<text x="{left}" y="22" font-size="15">CPU ms per player-second, median (least and most)</text>']
for share in (0, 0.5, 1):
    y = top + tall * (1 - share)
    svg.append(f'<line x1="{left}" x2="{width - 140}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>'
               f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:.2f}</text>')
for at, (column, count) in enumerate(groups):
    x0, wide = left + 20 + 160 * at, 130 / max(len(names), 1)
    for place, name in enumerate(names):
        runs = found.get((column, count, name))
        values = [pick(report, *cpu) for report in (runs or {}).values()]
        values = [value for value in values if value is not None]
        if not values:
            continue
        x, y = x0 + wide * place, lambda value: top + tall * (1 - value / most)
        middle = statistics.median(values)
        svg.append(f'<rect x="{x:.1f}" y="{y(middle):.1f}" width="{wide * 0.85:.1f}" height="{tall * middle / most:.1f}" fill="{colours[place % len(colours)]}"/>'
                   f'<line x1="{x + wide * 0.42:.1f}" x2="{x + wide * 0.42:.1f}" y1="{y(min(values)):.1f}" y2="{y(max(values)):.1f}" stroke="black"/>')
    svg.append(f'<text x="{x0 + 65}" y="{top + tall + 18}" text-anchor="middle">{count} players</text>'
               f'<text x="{x0 + 65}" y="{top + tall + 34}" text-anchor="middle">{column}</text>')
for place, name in enumerate(names):
    svg.append(f'<text x="{width - 130}" y="{top + 16 * place + 10}" fill="{colours[place % len(colours)]}">{name}</text>')
open(os.path.join(out, "chart.svg"), "w").write("\n".join(svg + ["</svg>", ""]))
EOF
}

if [ "$column" = loopback ]; then
    rm -rf "$out/runs"
    [ -n "${CORECAST_BIN_DIR:-}" ] || cargo build --release --locked --bins
fi
mkdir -p "$out/runs"
servers=()
start_corecast corecast "$corecast_flags"
for variant in "${variants[@]}"; do start_corecast "${variant%%:*}" "${variant#*:}"; done
start_nginx
for merge in $bare; do start_bare "$merge"; done
for other in "${others[@]}"; do
    # What runs outside cannot be reached from the namespace.
    if [ "$column" = loopback ]; then servers+=("$other"); else say "left out here: ${other%%=*}"; fi
done
for server in "${servers[@]}"; do note_memory "$server"; done
for count in $players; do
    for run in $(seq "$runs"); do
        for server in "${servers[@]}"; do measure "$server" "$count" "$run" "$column"; done
        [ -z "$late" ] || [ "$column" != loopback ] || for server in "${servers[@]}"; do
            measure "$server" "$count" "$run" "late-$late" "--read-every $late"
        done
    done
done
finish
[ "$column" = loopback ] || exit 0

if [ -n "$mtu" ]; then
    say "once more with segments of MTU $mtu, in a network namespace of its own"
    # shellcheck disable=SC2016 # expanded inside
    # A namespace may not change its default congestion control, but its routes may name one.
    inside='ip link set lo mtu "$1" up && shift && for net in 127.0.0.0/8 127.0.0.1; do
            ip route replace local $net dev lo proto kernel scope host src 127.0.0.1 \
                table local congctl cubic || exit 1
        done && exec "$@"'
    CORECAST_COMPARE_COLUMN="mtu-$mtu" CORECAST_COMPARE_DIR="$out" CORECAST_BIN_DIR="$bin" \
        unshare --net bash -c "$inside" inside "$mtu" "$0" "${given[@]}" \
        || say "the namespace is not allowed here (it needs root): no column for MTU $mtu"
fi
summary
say "table and chart: $out/table.txt, $out/chart.svg"
