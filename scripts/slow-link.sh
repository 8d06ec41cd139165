#!/usr/bin/env bash
# Runs a server and a client at the two ends of a slow link, on a kernel without netem.
#
#   scripts/slow-link.sh [OPTIONS] -- SERVER ARGUMENT... ::: CLIENT ARGUMENT...
#   scripts/slow-link.sh --delay 25ms -- iperf3 -s ::: iperf3 -c 10.99.0.1
#   scripts/slow-link.sh --delay 25ms --rate 20M --loss 0.1 --port 1935 -- \
#       target/release/corecast ::: \
#       target/release/corecast-load rtmp://10.99.0.1/live/load --allow-remote
#
#   --delay TIME        one way, for every IP packet: 25ms is a round trip of 50 ms (default 0)
#   --rate BITS         bits a second, each way: 500k, 20M (default: none)
#   --queue PACKETS     packets that may wait for --rate, the next is dropped (default 1000)
#   --loss PERCENT      of the packets, each way, by chance (default 0)
#   --seed NUMBER       the same seed loses the same packets of a direction (default 1)
#   --congestion NAME   congestion control of both ends: cubic, bbr, ... (default: this machine's)
#   --mtu BYTES         (default 1500)
#   --port PORT         start the client only when the server listens on this TCP port
#   --stats FILE        what the link carried, lost and delivered late, as JSON
#   --quiet             no line about that at the end
#
# Two network namespaces of its own, each with a TUN device, joined by slow_link.py. The server is
# 10.99.0.1 and runs in the background with its standard output on stderr; the client is 10.99.0.2,
# runs in the foreground, and its exit code is the script's; 2 is "could not begin". Both know
# SLOW_LINK_SERVER and SLOW_LINK_CLIENT, the client also SLOW_LINK_SERVER_PID. When the client ends,
# or on Ctrl-C, all that runs in the namespaces is ended and they are deleted. Nothing leaves them.
# Needs root, /dev/net/tun, iproute2 and Python 3.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
PATH="$PATH:/usr/sbin:/sbin"
device=link0
server_ip=10.99.0.1
client_ip=10.99.0.2
server_ns="slow-link-$$-server"
client_ns="slow-link-$$-client"
wire_flags=()
congestion=
mtu=1500
port=
server=()
client=()
wire=

say() { printf '%s\n' "slow-link.sh: $*" >&2; }

refuse() {
    say "$*"
    exit 2
}

help() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

# All that runs in the namespaces was started here. The wire itself goes last: goodbyes need it.
inhabitants() {
    local ns
    for ns in "$server_ns" "$client_ns"; do
        ip netns pids "$ns" 2> /dev/null || true
    done | grep -vx "${wire:-none}" || true
}

signal_inhabitants() {
    local id
    for id in $(inhabitants); do kill "-$1" "$id" 2> /dev/null || true; done
}

finish() {
    trap '' INT TERM HUP
    local waited=0 ns
    signal_inhabitants TERM
    while [ -n "$(inhabitants)" ]; do
        waited=$((waited + 1))
        if [ "$waited" -gt 50 ]; then signal_inhabitants KILL; fi
        [ "$waited" -le 70 ] || { say "still running: $(inhabitants | xargs)" && break; }
        sleep 0.1
    done
    if [ -n "$wire" ]; then
        kill "$wire" 2> /dev/null || say "the link broke during the run"
        wait "$wire" 2> /dev/null || true
    fi
    for ns in "$server_ns" "$client_ns"; do ip netns del "$ns" 2> /dev/null || true; done
}

# What a run that was killed outright left behind: names of namespaces in which nothing runs.
sweep() {
    local ns owner
    for ns in $(ip netns list | grep -oE '^slow-link-[0-9]+-(server|client)' || true); do
        owner=${ns#slow-link-} owner=${owner%-*}
        kill -0 "$owner" 2> /dev/null || [ -n "$(ip netns pids "$ns")" ] \
            || ip netns del "$ns" || true
    done
}

# Namespace, own address, the other's. The queue of a device must never be the one that drops: that
# is --queue's business.
make_end() {
    local ns=$1 own=$2 other=$3
    ip netns add "$ns" \
        && ip -n "$ns" link set dev lo up \
        && ip -n "$ns" tuntap add dev "$device" mode tun \
        && ip -n "$ns" link set dev "$device" mtu "$mtu" txqueuelen 10000 addrgenmode none \
        && ip -n "$ns" address add "$own" peer "$other" dev "$device" \
        && ip -n "$ns" link set dev "$device" up \
        && ip -n "$ns" route replace "$other" dev "$device" src "$own" \
            ${congestion:+congctl "$congestion"} \
        || refuse "cannot make the end $own of the link"
}

# A device belongs to the namespace in which /dev/net/tun was opened; descriptors may travel.
start_wire() {
    local answer
    # shellcheck disable=SC2016 # expanded inside
    exec {answers}< <(exec setpriv --pdeathsig TERM ip netns exec "$server_ns" bash -c '
        exec 3<> /dev/net/tun; exec ip netns exec "$1" bash -c "
            exec 4<> /dev/net/tun; exec \"\$@\"" inside "${@:2}"' inside "$client_ns" \
        python3 "$here/slow_link.py" --tun 3 4 --device "$device" "${wire_flags[@]}")
    wire=$!
    read -r -t 20 -u "$answers" answer && [ "$answer" = ready ] || refuse "the link does not start"
    exec {answers}<&-
}

await_server() {
    local waited=0
    until [ -n "$(ss -N "$server_ns" -Hltn "sport = :$port")" ]; do
        waited=$((waited + 1))
        kill -0 "$SLOW_LINK_SERVER_PID" 2> /dev/null || refuse "the server has ended"
        [ "$waited" -le 300 ] || refuse "the server does not listen on port $port"
        sleep 0.1
    done
}

while [ $# != 0 ] && [ "$1" != -- ]; do
    case $1 in
        --help | -h) help && exit 0 ;;
        --quiet) wire_flags+=(--quiet) ;;
        --delay | --rate | --queue | --loss | --seed | --congestion | --mtu | --port | --stats)
            [ $# -ge 2 ] || refuse "$1 needs a value"
            case $1 in
                --congestion) congestion=$2 ;;
                --mtu) mtu=$2 ;;
                --port) port=$2 ;;
                *) wire_flags+=("$1" "$2") ;;
            esac
            shift
            ;;
        *) refuse "unknown: $1 (see --help)" ;;
    esac
    shift
done
[ $# = 0 ] || shift
while [ $# != 0 ] && [ "$1" != ::: ]; do
    server+=("$1")
    shift
done
[ $# = 0 ] || shift
client=("$@")
[ "${#server[@]}" != 0 ] && [ "${#client[@]}" != 0 ] \
    || refuse "what runs at the ends? -- SERVER ARGUMENT... ::: CLIENT ARGUMENT... (see --help)"
for need in ip:iproute2 ss:iproute2 python3:python3 setpriv:util-linux; do
    command -v "${need%%:*}" > /dev/null || refuse "${need%%:*} is missing (Debian: ${need##*:})"
done
python3 "$here/slow_link.py" "${wire_flags[@]}" || exit 2
[ "$(id -u)" = 0 ] || refuse "only root may make network namespaces"
[ -c /dev/net/tun ] || refuse "this machine has no /dev/net/tun"

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
sweep
make_end "$server_ns" "$server_ip" "$client_ip"
make_end "$client_ns" "$client_ip" "$server_ip"
start_wire
export SLOW_LINK_SERVER=$server_ip SLOW_LINK_CLIENT=$client_ip

# A shell without job control starts what is in the background deaf to Ctrl-C: right for the server,
# which ends after its client.
setpriv --pdeathsig TERM ip netns exec "$server_ns" "${server[@]}" >&2 < /dev/null &
export SLOW_LINK_SERVER_PID=$!
disown "$!" # how the server ends is not this shell's news
[ -z "$port" ] || await_server
# Also behind `&`, so that a signal to this script is heard at once.
env --default-signal=INT,QUIT setpriv --pdeathsig TERM \
    ip netns exec "$client_ns" "${client[@]}" <&0 &
code=0
wait $! || code=$?
exit "$code"
