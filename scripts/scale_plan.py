#!/usr/bin/env python3
"""The plan of a distillation too large for one machine: bytes read, bytes exchanged, time by Amdahl's parts.

    scripts/scale_plan.py                        # 1,000 classes, 1.3 million images, 256 processes
    scripts/scale_plan.py --processes 16,64,256  # several
    scripts/scale_plan.py --measure FOLDER       # how fast this machine's disk reads, for --read-rate
    scripts/scale_plan.py --check                # simulation and closed form agree, or an error

Each time is a constant that was measured (docs/scale.md says where) times a count. Next to the sum stands a simulation
in which every process is an actor that computes, sends and waits for the messages of the calls that it makes: the
distribution is Bruck's (what Open MPI takes for few bytes), parts of a sum are dealt pair by pair and gathered in a
ring. A process adds items up in their order, whatever order messages come in, so that waiting is all it costs.
"""

import argparse
import heapq
import math
import os
import random
import sys
import time

FLOAT = 4
HEADER = 16  # bytes that go round before any others: is everyone well, how much comes


class Machine:
    """Actors with clocks: a generator yields ("work", seconds), ("send", to, bytes) or ("receive", from)."""

    def __init__(self, count, latency, bandwidth):
        self.latency, self.bandwidth = latency, bandwidth
        self.clock = [0.0] * count
        self.boxes = [{} for _ in range(count)]  # by sender: times of arrival, in order
        self.sent = [0] * count

    def run(self, actors):
        """Until all have ended; the time of the last."""
        events = [(self.clock[r], r) for r in range(len(actors))]
        heapq.heapify(events)
        waiting = {}
        while events:
            _, rank = heapq.heappop(events)
            for action in actors[rank]:
                if action[0] == "work":
                    self.clock[rank] += action[1]
                elif action[0] == "send":
                    self._send(rank, action[1], action[2], waiting, events)
                elif not self._receive(rank, action[1]):
                    waiting[rank, action[1]] = True
                    break
        return max(self.clock)

    def _send(self, rank, to, size, waiting, events):
        self.clock[rank] += size / self.bandwidth
        self.sent[rank] += size
        arrival = self.clock[rank] + self.latency
        if waiting.pop((to, rank), False):
            self.clock[to] = max(self.clock[to], arrival)
            heapq.heappush(events, (self.clock[to], to))
        else:
            self.boxes[to].setdefault(rank, []).append(arrival)

    def _receive(self, rank, sender):
        box = self.boxes[rank].get(sender)
        if not box:
            return False
        self.clock[rank] = max(self.clock[rank], box.pop(0))
        return True


def gather(rank, count, size):
    """All bytes to all, `size` of each: the number that are known doubles in every round."""
    known = 1
    while known < count:
        more = min(known, count - known)
        yield "send", (rank - known) % count, more * size
        yield "receive", (rank + known) % count
        known += more


def ring(rank, count, size):
    for _ in range(count - 1):
        yield "send", (rank + 1) % count, size
        yield "receive", (rank - 1) % count


def deal(rank, count, size):
    """`size` bytes of each process for each other one."""
    for k in range(1, count):
        yield "send", (rank + k) % count, size
        yield "receive", (rank - k) % count


def call(rank, count, size):
    """One call of the process group: headers, then bytes."""
    yield from gather(rank, count, HEADER)
    yield from gather(rank, count, size)


def items(total, count, rank):
    return total * (rank + 1) // count - total * rank // count


class Plan:
    def __init__(self, options, processes):
        self.o, self.p = options, processes
        pixels = options.side * options.side * 3
        self.image = pixels  # bytes of a packed real image
        self.set_bytes = options.classes * options.images_per_class * pixels * FLOAT
        self.most = max(items(options.classes, processes, r) for r in range(processes))
        self.serial = options.network_seconds + options.update_rate * self.set_bytes
        self.loss = 8 * self.most
        # NCFM: each class's gradient of the frequency arguments, added up in parts.
        self.part = 0 if options.method == "dm" else -(-options.frequencies * options.features // processes) * FLOAT

    def actor(self, rank, draw):
        o, count = self.o, self.p
        yield "work", self.serial + items(o.classes, count, rank) * o.class_seconds * draw()
        yield from call(rank, count, self.loss)
        if self.part:
            yield from call(rank, count, 8)
            yield from deal(rank, count, self.most * self.part)
            yield from gather(rank, count, HEADER)
            yield from ring(rank, count, self.part)
        yield from call(rank, count, 1)  # is anybody asked to stop

    def simulated(self, spread=0.0, steps=3):
        """Seconds of one iteration, and bytes that a process sends in it."""
        stream = random.Random(0)
        machine = Machine(self.p, self.o.latency, self.o.bandwidth)
        for _ in range(steps):
            total = machine.run([self.actor(r, lambda: max(0.0, stream.gauss(1, spread))) for r in range(self.p)])
        return total / steps, max(machine.sent) / steps

    def exchange(self):
        """Seconds by the closed form: rounds of latency, and bytes over the bandwidth."""
        if self.p == 1:
            return 0.0
        rounds, others = math.ceil(math.log2(self.p)), self.p - 1
        seconds = sum(2 * rounds * self.o.latency + others * (HEADER + size) / self.o.bandwidth
                      for size in (self.loss, 1))
        if self.part:
            seconds += 3 * rounds * self.o.latency + others * (2 * HEADER + 8) / self.o.bandwidth
            seconds += others * (self.o.latency + self.most * self.part / self.o.bandwidth)
            seconds += others * (self.o.latency + self.part / self.o.bandwidth)
        return seconds

    def seconds(self):
        return self.serial + self.most * self.o.class_seconds + self.exchange()

    def alone(self):
        return self.serial + self.o.classes * self.o.class_seconds

    def lines(self):
        o = self.o
        nodes = max(1, self.p // o.per_node)
        step, sent = self.simulated()
        spread, _ = self.simulated(spread=0.05)
        whole = o.images * self.image
        first = whole / nodes / o.read_rate
        seen = min(o.images, o.classes * o.real_batch)
        yield "the set on disk, packed", amount(whole)
        yield "of which a node reads, its classes", f"{amount(whole / nodes)}, once: {duration(first)}"
        yield "real images of an iteration", f"{seen:,}, of a process {amount(self.most * o.real_batch * self.image)}"
        yield "synthetic set in memory, each process", f"{amount(3 * self.set_bytes)} (images, momentum, gradients)"
        yield "work that divides, of one process", duration(self.most * o.class_seconds)
        yield "work that does not: network, update", duration(self.serial)
        yield "exchange", f"{duration(self.exchange())}, {amount(sent)} from each process"
        yield "an iteration", f"{duration(self.seconds())}; simulated {duration(step)}"
        yield "the same, where processes differ by 5 %", duration(spread)
        yield "of one process alone", duration(self.alone())
        yield "faster by", f"{self.alone() / self.seconds():.0f} of {self.p} (Amdahl's limit {self.alone() / self.serial:,.0f})"
        yield "a checkpoint crosses, every --checkpoint-every", amount(2 * self.set_bytes)
        yield f"{o.iterations:,} iterations", duration(o.iterations * self.seconds() + first)


def amount(size):
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def duration(seconds):
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "minutes"),
                                (172800, 1 / 3600, "hours")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"


def measure(folder):
    """Reads a file of 1 GB that the system has been told to forget."""
    path, piece = os.path.join(folder, "scale_plan.tmp"), os.urandom(1 << 24)
    try:
        with open(path, "wb") as file:
            for _ in range(64):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            begin = time.monotonic()
            size = sum(iter(lambda: len(file.read(1 << 24)), 0))
            print(f"{amount(size)} in {duration(time.monotonic() - begin)}: --read-rate "
                  f"{size / (time.monotonic() - begin):.2e}")
    finally:
        os.unlink(path)


def check(options):
    """Exchanges by simulation and by the closed form are within a hundredth, for powers of two and other numbers."""
    options.class_seconds = options.network_seconds = options.update_rate = 0
    for method in ("dm", "ncfm"):
        options.method = method
        for processes in (1, 2, 6, 8, 64, 256):
            plan = Plan(options, processes)
            found, expected = plan.simulated()[0], plan.seconds()
            print(f"{method}, {processes} processes: {duration(expected)}, simulated {duration(found)}")
            if abs(found - expected) > 0.01 * expected:
                sys.exit("the simulation does not agree with the closed form")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--method", choices=["dm", "ncfm"], default="dm")
    add("--classes", type=int, default=1000)
    add("--images", type=int, default=1_300_000)
    add("--side", type=int, default=64, help="pixels")
    add("--images-per-class", type=int, default=10, help="synthetic ones")
    add("--real-batch", type=int, default=256)
    add("--iterations", type=int, default=20000)
    add("--processes", default="256", help="numbers, joined by commas")
    add("--per-node", type=int, default=8)
    add("--frequencies", type=int, default=1024, help="of ncfm")
    add("--features", type=int, default=2048, help="of ncfm's network")
    add("--class-seconds", type=float, default=CLASS_SECONDS, help="of one class in an iteration")
    add("--network-seconds", type=float, default=NETWORK_SECONDS, help="for what every process draws")
    add("--update-rate", type=float, default=UPDATE_RATE, help="seconds to move a byte of the synthetic set")
    add("--read-rate", type=float, default=READ_RATE, help="of a disk, bytes a second")
    add("--latency", type=float, default=LATENCY, help="of a message, seconds")
    add("--bandwidth", type=float, default=BANDWIDTH, help="of a process, bytes a second")
    add("--measure", metavar="FOLDER")
    add("--check", action="store_true")
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure)
    if options.check:
        return check(options)
    plans = [Plan(options, int(count)) for count in options.processes.split(",")]
    print("| " + " | ".join([options.method] + [f"{plan.p} processes" for plan in plans]) + " |")
    print("| --- |" + " --- |" * len(plans))
    for row in zip(*(plan.lines() for plan in plans)):
        print("| " + " | ".join([row[0][0]] + [text for _, text in row]) + " |")


# Measured on the machine of docs/scale.md, one thread, while others kept it busy.
CLASS_SECONDS = 0.44  # processor time: dm, convnet-d4 of width 128, 64 pixels, 256 real and 10 synthetic images
NETWORK_SECONDS = 0.015  # processor time: to draw that network for 1,000 classes
UPDATE_RATE = 1.2e-9  # processor time: dm with next to no network, 200 images of 64 pixels
READ_RATE = 1.7e8  # --measure
LATENCY = 1.2e-6  # a round of an exchange of 8 bytes between two processes
BANDWIDTH = 2.8e8  # 4 MB from each of two processes in 14 ms

if __name__ == "__main__":
    main()
