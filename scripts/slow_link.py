#!/usr/bin/env python3
"""The wire of slow-link.sh: carries IP packets between two TUN devices, late.

Each direction is a transmitter (--rate, with a waiting room of --queue packets) followed by a
cable (--delay, --loss). Delay and rate are the same for all packets, so packets of a direction
come out in the order they went in and a deque per direction is all the schedule there is.

Invariant: a packet leaves unchanged, once and never before it is due, or it is counted as lost.
No packet is logged; what happened is told once, at the end.

slow-link.sh opens the devices, each inside its network namespace, and hands over the descriptors.
"""

import argparse
import fcntl
import gc
import json
import os
import random
import re
import select
import signal
import struct
import sys
import time
from collections import deque

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

# Longer than any packet: the kernel refuses a larger MTU for IPv4.
PACKET_BYTES_MAX = 65_535
# Packets read from one device before the other one has its turn.
BURST = 64
# Packets on a cable without --rate: some 100 MB of memory at 1,500 bytes each.
FLIGHT_PACKETS_MAX = 65_536
# A packet this late was held up by this program.
LATE_NS = 1_000_000


class Direction:
    """What is under way from one device to the other."""

    def __init__(self, link, source, sink, seed):
        self.source, self.sink = source, sink
        self.delay_ns, self.loss = link.delay, link.loss / 100
        self.ns_per_byte = 8e9 / link.rate if link.rate else 0
        self.queue_max = link.queue
        self.dice = random.Random(seed)
        self.cable = deque()  # (due, packet), by due
        self.waiting = deque()  # when each packet that waits will have been transmitted
        self.free_at = 0  # when the transmitter will have nothing more to do
        self.packets = self.bytes = self.lost = self.overflowed = self.refused = 0
        self.late = self.late_ns_max = 0

    def take(self):
        """Reads what the source has; False when there may be more."""
        read, clock, source, cable = os.read, time.monotonic_ns, self.source, self.cable
        for _ in range(BURST):
            try:
                packet = read(source, PACKET_BYTES_MAX)
            except BlockingIOError:
                return True
            now = clock()
            if self.ns_per_byte:
                sent_at = self.transmit(len(packet), now)
                if sent_at is None:
                    continue
            else:
                sent_at = now
            if self.loss and self.dice.random() < self.loss:
                self.lost += 1
            elif len(cable) >= FLIGHT_PACKETS_MAX:
                self.overflowed += 1
            else:
                cable.append((sent_at + self.delay_ns, packet))
        return False

    def transmit(self, length, now):
        """When a packet has left the transmitter; None when its waiting room is full."""
        waiting = self.waiting
        while waiting and waiting[0] <= now:
            waiting.popleft()
        # The one being transmitted does not wait any more.
        if len(waiting) > self.queue_max:
            self.overflowed += 1
            return None
        self.free_at = max(self.free_at, now) + round(length * self.ns_per_byte)
        waiting.append(self.free_at)
        return self.free_at

    def give(self):
        """Hands over what is due; says when the next packet is, None if there is none."""
        write, clock, sink, cable = os.write, time.monotonic_ns, self.sink, self.cable
        now = clock()
        while cable:
            due, packet = cable[0]
            if due > now:
                now = clock()
                if due > now:
                    return due
            cable.popleft()
            try:
                write(sink, packet)
            except OSError:
                # The device is down, or the kernel has no memory: a wire does not try again.
                self.refused += 1
                continue
            self.packets += 1
            self.bytes += len(packet)
            late_ns = now - due
            if late_ns > LATE_NS:
                self.late += 1
            if late_ns > self.late_ns_max:
                self.late_ns_max = late_ns
        return None

    def summary(self):
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": self.lost,
            "overflowed": self.overflowed,
            "refused": self.refused,
            "under_way": len(self.cable),
            "late": self.late,
            "late_ms_max": round(self.late_ns_max / 1e6, 3),
        }


def carry(there, back):
    """Carries until a signal ends the program."""
    directions = {there.source: there, back.source: back}
    sources = list(directions)
    while True:
        # select waits by the microsecond; epoll_wait and poll of this Python by the millisecond.
        dues = [due for due in (there.give(), back.give()) if due is not None]
        wait = max(0, min(dues) - time.monotonic_ns()) / 1e9 if dues else None
        ready, _, _ = select.select(sources, [], [], wait)
        for source in ready:
            directions[source].take()


def attach(descriptor, name):
    """Makes an open /dev/net/tun the device of that name, in the namespace it was opened in."""
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    os.set_blocking(descriptor, False)
    return descriptor


def scaled(text, units, what):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", text)
    if not found or found[2].lower() not in units:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return float(found[1]) * units[found[2].lower()]


def nanoseconds(text):
    units = {"us": 1e3, "ms": 1e6, "s": 1e9, "": 1e9}
    value = scaled(text, units, "a time such as 25ms, 300us or 1.5s")
    if value > 60e9:
        raise argparse.ArgumentTypeError(f"{text} is longer than 60s")
    return round(value)


def bits_per_second(text):
    powers = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}
    units = {power + unit: value for power, value in powers.items() for unit in ("", "bit")}
    value = scaled(text, units, "a rate in bits a second such as 500k or 20M")
    if value < 1_000:
        raise argparse.ArgumentTypeError(f"{text} is less than 1k")
    return value


def percent(text):
    value = scaled(text.removesuffix("%"), {"": 1}, "a share in percent")
    if value > 100:
        raise argparse.ArgumentTypeError(f"{text} is more than 100 percent")
    return value


def packets(text):
    value = int(scaled(text, {"": 1}, "a number of packets"))
    if not 1 <= value <= FLIGHT_PACKETS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is outside 1 to {FLIGHT_PACKETS_MAX}")
    return value


def arguments():
    parser = argparse.ArgumentParser(prog="slow-link.sh", add_help=False, usage=argparse.SUPPRESS)
    parser.add_argument("--delay", type=nanoseconds, default=0)
    parser.add_argument("--rate", type=bits_per_second)
    parser.add_argument("--loss", type=percent, default=0)
    parser.add_argument("--queue", type=packets)
    parser.add_argument("--seed", type=int, default=1)
    # Descriptors, server's side first; without them the flags are only checked.
    parser.add_argument("--tun", type=int, nargs=2)
    parser.add_argument("--device", default="link0")
    parser.add_argument("--stats")
    parser.add_argument("--quiet", action="store_true")
    link = parser.parse_args()
    if link.queue and not link.rate:
        parser.error("--queue needs --rate: without one, nothing ever waits")
    link.queue = link.queue or 1_000
    return link


def main():
    link = arguments()
    if not link.tun:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for slow-link.sh to judge
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server, client = (attach(descriptor, link.device) for descriptor in link.tun)
    there = Direction(link, server, client, f"{link.seed}>")
    back = Direction(link, client, server, f"{link.seed}<")
    try:
        os.nice(-10)  # A wire does not wait for a core.
    except PermissionError:
        pass
    # No cycles are made here, so there is nothing to look for, and no pause for it.
    gc.disable()
    print("ready", flush=True)
    try:
        carry(there, back)
    finally:
        tell(link, {"to_client": there.summary(), "to_server": back.summary()})


def tell(link, ways):
    """What the link did, for people and for programs."""
    if not link.quiet:
        for way, found in ways.items():
            dropped = found["overflowed"] + found["refused"]
            print(
                f"slow-link.sh: {way.replace('_', ' ')}: {found['packets']} packets, "
                f"{found['lost']} lost, {dropped} dropped, {found['late']} late by more than "
                f"1 ms, by {found['late_ms_max']} ms at most",
                file=sys.stderr,
            )
    if link.stats:
        with open(link.stats, "w", encoding="utf-8") as file:
            json.dump({**ways, "cpu_ms": round(time.process_time() * 1e3)}, file)


if __name__ == "__main__":
    main()
