#!/usr/bin/env python3
"""How much faster two processes of one thread are than one, beside what Amdahl's law says they can be.

    scripts/scaling.py [--retort build/release/retort] [--data cifar-10-batches-bin] [--rounds 5] [--kinds dm,...]

Every kind of share is run three ways, in turn, --rounds times: the whole work by one process, half of it by one process
(--shard 0/2, or half as many students), and the whole by two under mpirun. Where T is the first time and H the second,
2 H - T is the serial part: start, reading, drawing, moving, recording; H and the measured exchanges are what two processes
can reach. Times are medians of whole commands, ratios medians of the rounds' own. --threads is 1 throughout. A machine
that is busy with other work gives a CPU share below 1, which is printed: run it again when it is quiet.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ALLOW = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm": "isolated",
         "OMPI_MCA_btl": "self,vader"}


class Bench:
    def __init__(self, options, folder):
        self.o, self.folder, self.count = options, folder, 0

    def run(self, words, processes=1):
        """(seconds, share of a processor that each process got) of a command whose {out} is a new folder."""
        self.count += 1
        out = self.folder / f"out{self.count}"
        words = [str(self.o.retort)] + [word.replace("{out}", str(out)) for word in words]
        if processes > 1:
            words = ["mpirun", "-n", str(processes), "--bind-to", "none"] + words
        begin, before = time.monotonic(), os.times()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, **ALLOW})
        seconds, after = time.monotonic() - begin, os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        self.last = out
        return seconds, used / seconds / processes

    def kinds(self, wanted):
        """(name, the whole work, half of it, exchanges in all) of each that is wanted."""
        data, o = ["--data", str(self.o.data), "--threads", "1"], self.o
        dm = ["distill", "--method", "dm", *data, "--network", "convnet", "--images-per-class", "10", "--iterations",
              str(o.iterations), "--checkpoint-every", "1000", "--record-every", "10", "--out", "{out}"]
        if "dm" in wanted:
            yield "dm", dm, [*dm, "--shard", "0/2"], 2 * o.iterations
        experts = ["experts", *data, "--network", "convnet-w64", "--count", "2", "--epochs", "1", "--out", "{out}"]
        if "experts" in wanted:
            yield "experts", experts, [*experts, "--shard", "0/2"], 0
        if "recovery" in wanted:
            self.run(["squeeze", *data, "--network", "convnet-w64-bn", "--epochs", "1", "--out", "{out}"])
            recovery = ["distill", "--method", "sre2l", *data, "--network", "convnet-w64-bn", "--teacher",
                        str(self.last / "teacher.safetensors"), "--images-per-class", "20", "--group-size", "20",
                        "--iterations", str(5 * o.iterations), "--checkpoint-every", "1000", "--record-every", "10",
                        "--out", "{out}"]
            yield "recovery", recovery, [*recovery, "--shard", "0/2"], 10 * o.iterations
        if "eval" in wanted:
            self.run([*dm, "--iterations", "1"])
            evaluation = ["eval", str(self.last / "distilled.safetensors"), *data, "--evaluation-epochs",
                          str(o.epochs), "--random-baseline=no", "--students"]
            yield "eval", [*evaluation, "4"], [*evaluation, "2"], 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retort", type=Path, default=Path("build/release/retort"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RETORT_DATA", "")) / "cifar-10-batches-bin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--exchange", type=float, default=8.3e-6, help="seconds of a call of two processes")
    parser.add_argument("--kinds", default="dm,experts,recovery,eval")
    options = parser.parse_args()
    if not shutil.which("mpirun"):
        sys.exit("there is no mpirun")
    options.retort = options.retort.resolve()
    print("| share | one process | half the work | two processes | serial part | faster by | Amdahl's law | CPU share |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="retort-scaling-") as folder:
        bench = Bench(options, Path(folder))
        for name, whole, half, exchanges in bench.kinds(options.kinds.split(",")):
            rounds = [(bench.run(whole), bench.run(half), bench.run(whole, 2)) for _ in range(options.rounds)]
            one, part, two = (statistics.median(run[i][0] for run in rounds) for i in range(3))
            found = statistics.median(run[0][0] / run[2][0] for run in rounds)
            law = statistics.median(run[0][0] / (run[1][0] + exchanges * options.exchange) for run in rounds)
            serial = statistics.median(2 * run[1][0] - run[0][0] for run in rounds)
            share = min(run[i][1] for run in rounds for i in range(3))
            print(f"| {name} | {one:.1f} s | {part:.1f} s | {two:.1f} s | {serial:.1f} s | {found:.2f} | {law:.2f} | "
                  f"{share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
