#!/usr/bin/env python3
"""The measuring half of nagle.sh.

watch   runs corecast-load at the players' end and reads counters around its measured window
join    adds to a run's report what the link did in it
table   medians of all runs
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

WARMUP_S = 4
# Calls and interrupts are counted when CPU time has been read, so that counting costs it nothing;
# not before, when players still catch up with the stream.
COUNT_S = 2
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SENDS = ("sendto", "sendmsg", "write", "writev")
NETWORK_IRQS = ("NET_RX", "NET_TX", "TASKLET", "HRTIMER", "TIMER")


def fields(path, table):
    """A pair of lines of /proc/net/netstat: names, then values."""
    lines = [line.split() for line in open(path) if line.startswith(table + ":")]
    return dict(zip(lines[0][1:], map(int, lines[1][1:])))


def sample(pid):
    """Counters of the machine, of the server, and of both ends of the link."""
    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    device = next(line for line in open(f"/proc/{pid}/net/dev") if "link0:" in line)
    device = device.split(":")[1].split()
    return {
        "at_s": time.monotonic(),
        "server_s": (int(stat[11]) + int(stat[12])) / TICKS_PER_S,
        "acks": int(device[1]),
        "packets": int(device[9]),
        "delayed_acks": fields("/proc/self/net/netstat", "TcpExt")["DelayedACKs"],
        "retransmits": fields(f"/proc/{pid}/net/snmp", "Tcp")["RetransSegs"],
    }


def counted(pid):
    """Two more of a second of the server: sending system calls, and milliseconds that its core
    spends on packets while others are charged for it, because nobody asked: arriving
    acknowledgements, what they let go, paced sending. None where nothing here can tell."""
    if not shutil.which("perf"):
        return None, None
    recording = f"{os.environ.get('TMPDIR', '/tmp')}/nagle-{os.getpid()}.data"
    events = ",".join(f"syscalls:sys_enter_{name}" for name in SENDS)
    wait = ["--", "sleep", str(COUNT_S)]
    irqs = ["-e", "irq:softirq_entry,irq:softirq_exit"]
    record = ["perf", "record", "-q", "-C", "0", "-o", recording, *irqs, *wait]
    recorder = subprocess.Popen(record, stderr=subprocess.DEVNULL)
    stat = ["perf", "stat", "-x;", "-e", events, "-p", pid, *wait]
    said = subprocess.run(stat, capture_output=True, text=True).stderr
    calls = re.findall(r"^(\d+);.*sys_enter_", said, re.MULTILINE)
    irq_ms = None
    if recorder.wait() == 0:
        script = ["perf", "script", "-i", recording, "-F", "pid,time,event,trace"]
        told = subprocess.run(script, capture_output=True, text=True).stdout
        irq_ms = irq_seconds(told, pid) * 1e3 / COUNT_S
        os.unlink(recording)
    return sum(map(int, calls)) / COUNT_S if calls else None, irq_ms


def irq_seconds(told, pid):
    """Time in soft interrupts of the network, but for those that interrupted the server."""
    total, begun = 0, None
    shape = r" *(\d+) +([\d.]+): +irq:softirq_(entry|exit): vec=\d+ \[action=(\w+)\]"
    for owner, at, what, action in re.findall(shape, told):
        if owner == pid or action not in NETWORK_IRQS:
            continue
        if what == "entry":
            begun = float(at)
        elif begun is not None:
            total, begun = total + float(at) - begun, None
    return total


def watch(flags):
    pid = open(flags.pid_file).read().strip()
    command = flags.command + ["--publishers", "0", "--players", str(flags.players)]
    # A second more, for the counters to start and end.
    length = flags.seconds + COUNT_S + 1
    command += ["--verify", "all", "--warmup", f"{WARMUP_S}s", "--duration", f"{length}s"]
    command += ["--drain", "0s", "--server-pid", pid, "--json", flags.report]
    load = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    counts = before = after = None
    seconds = 0
    for line in load.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        if not re.match(r" *[\d.]+s\* .* \d+ playing", line):
            continue
        seconds += 1
        if before is None:
            before = sample(pid)
        elif seconds == flags.seconds:
            after = sample(pid)
            counts = counted(pid)
    code = load.wait()
    if after is None:
        sys.exit(f"nagle.py: no measured window (corecast-load ended with {code})")
    report = json.load(open(flags.report))
    sends, irq_ms = counts or (None, None)
    took_s = after["at_s"] - before["at_s"]
    grown = {name: after[name] - before[name] for name in before}
    per = flags.players * took_s
    report["nagle"] = {
        "took_s": took_s,
        "sends": sends and sends / flags.players,
        "irq_cpu_ms": irq_ms and irq_ms / flags.players,
        "packets": grown["packets"] / per,
        "acks": grown["acks"] / per,
        "delayed_acks": grown["delayed_acks"] / per,
        "retransmits": grown["retransmits"] / per,
        "server_cpu_ms": grown["server_s"] * 1e3 / per,
    }
    save(flags.report, report)
    sys.exit(code)


def join(flags):
    report = json.load(open(flags.report))
    report["link"] = json.load(open(flags.link))
    save(flags.report, report)


def save(path, report):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


def table(flags):
    found = {}
    for name in os.listdir(flags.runs):
        congestion, delay, load, server, _ = name.removesuffix(".json").split(",")
        players, kbit = map(int, load.split("x"))
        delay_ms = float(delay.removesuffix("ms"))
        report = json.load(open(os.path.join(flags.runs, name)))
        key = (kbit, players, congestion, delay_ms, server == "nginx-rtmp", server)
        found.setdefault(key, []).append(report)
    print(
        "Per player and second; medians. Delay is what comes on top of the way's own. Kernel: time "
        "of the server's\ncore that is not in the server's bill. Late acks: sent by a timer."
    )
    print(
        f"{'stream':<17} {'congestion':<10} {'way':>6} {'server':<12} {'delay ms p50/p90/p99':>22} "
        f"{'sends':>6} {'packets':>7} {'acks':>5} {'late acks':>9} {'CPU ms server':>13} "
        f"{'+ kernel':>8} {'runs':>4} {'bad':>3}"
    )
    for key, reports in sorted(found.items()):
        kbit, players, congestion, delay_ms, _, server = key
        shown = f"--nagle {server}" if server in ("auto", "off", "on") else server

        def median(*path):
            values = []
            for report in reports:
                for name in path:
                    report = report and report.get(name)
                values.append(report)
            values = [value for value in values if value is not None]
            return statistics.median(values) if values else float("nan")

        late = [median("steady", "delay_ms", which) - delay_ms for which in ("p50", "p90", "p99")]
        bad = sum(not report["passed"] for report in reports)
        print(
            f"{players:>3} x {kbit / 1000:g} Mbit/s".ljust(17),
            f"{congestion:<10} {delay_ms:>4g}ms {shown:<12}",
            f"{' / '.join(f'{value:.1f}' for value in late):>22}",
            f"{median('nagle', 'sends'):>6.1f} {median('nagle', 'packets'):>7.1f}",
            f"{median('nagle', 'acks'):>5.1f} {median('nagle', 'delayed_acks'):>9.1f}",
            f"{median('nagle', 'server_cpu_ms'):>13.3f} {median('nagle', 'irq_cpu_ms'):>8.3f}",
            f"{len(reports):>4} {bad:>3}",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(required=True)
    kind = kinds.add_parser("watch")
    kind.set_defaults(run=watch)
    kind.add_argument("--pid-file", required=True)
    kind.add_argument("--seconds", type=int, required=True)
    kind.add_argument("--players", type=int, required=True)
    kind.add_argument("--report", required=True)
    kind.add_argument("command", nargs="+")
    kind = kinds.add_parser("join")
    kind.set_defaults(run=join)
    kind.add_argument("report")
    kind.add_argument("link")
    kind = kinds.add_parser("table")
    kind.set_defaults(run=table)
    kind.add_argument("runs")
    flags = parser.parse_args()
    flags.run(flags)


if __name__ == "__main__":
    main()
