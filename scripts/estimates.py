#!/usr/bin/env python3
"""Holds the estimates of commands against what follows: time, peak memory and disk of ten commands.

    scripts/estimates.py build/release/retort DATA FOLDER [FIRST WORDS OF NAMES...]

DATA is cifar-10-batches-bin or another data set, or shapes; results stay in FOLDER, which is new.
Exit code 1 where a time is off by more than 20 %."""
import json
import os
import subprocess
import sys
import time

program, data, folder, *names = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def at(name):
    return os.path.join(folder, name)


DISTILL = "--network convnet-w32 --real-batch 64 --images-per-class"
COMMANDS = [
    ("dm", f"distill --method dm {DISTILL} 10 --iterations 150", "dm"),
    ("dsa", f"distill --method dsa {DISTILL} 1 --iterations 150", "dsa"),
    ("dc", f"distill --method dc {DISTILL} 1 --iterations 150", "dc"),
    ("experts", "experts --network convnet-w16 --count 2 --epochs 3", "experts"),
    ("mtt", f"distill --method mtt --network convnet-w16 --images-per-class 1 --inner-steps 20 --expert-epochs 1 "
     f"--max-start-epoch 2 --iterations 60 --experts {at('experts')}", "mtt"),
    ("squeeze", "squeeze --network convnet-w16-bn --epochs 3", "teacher"),
    ("sre2l", f"distill --method sre2l --network convnet-w16-bn --images-per-class 10 --iterations 500 "
     f"--teacher {at('teacher')}/teacher.safetensors", "sre2l"),
    ("relabel", f"relabel {at('sre2l')} --teacher {at('teacher')}/teacher.safetensors --protocol frozen "
     "--evaluation-epochs 300", "labels.safetensors"),
    ("eval", f"eval {at('dm')} --networks convnet-w32,lenet --students 3 --evaluation-epochs 150", None),
    ("eval-whole", f"eval {at('dm')} --networks convnet-w16 --students 2 --evaluation-epochs 100 --whole-set "
     "--whole-set-epochs 1", None),
    ("search", f"search --sets {at('dm')} --depths 1,2 --widths 8,16 --norms in,gn --activations relu --poolings "
     "avgpool,maxpool --epochs 30 --whole-set-epochs 1", "search"),
    ("reproduce", "reproduce recipes/dm/cifar10-ipc1.toml --set iterations=20,network=convnet-w32,evaluation_epochs=100 "
     "--students 2", "reproduced"),
]


def run(words):
    """Standard output, seconds and the peak memory of a command."""
    begin = time.monotonic()
    with open(at("log"), "a") as log:
        child = subprocess.Popen([program] + words, stdout=subprocess.PIPE, stderr=log, text=True)
        out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(words)}: failed, see {at('log')}")
    return out, time.monotonic() - begin, usage.ru_maxrss * 1024


def size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


worst = 0
print(f"{'command':12}{'estimate s':>12}{'took s':>10}{'ratio':>8}{'memory':>9}{'disk':>9}")
for name, line, out in COMMANDS:
    if names and not any(name.startswith(n) for n in names):
        continue
    words = line.split()
    if name != "relabel":
        words += ["--data", data]
    if out:
        words += ["--out", at(out)]
    expected = json.loads(run(words + ["--estimate", "--json"])[0])["estimate"]
    _, seconds, memory = run(words)
    ratio = expected["seconds"] / seconds
    worst = max(worst, abs(ratio - 1))
    of = lambda key, real: f"{expected[key] / real:9.2f}" if key in expected and real else f"{'-':>9}"
    print(f"{name:12}{expected['seconds']:12.1f}{seconds:10.1f}{ratio:8.2f}"
          f"{of('peak_memory_bytes', memory)}{of('disk_bytes', size(at(out)) if out else 0)}", flush=True)
print(f"largest difference of a time: {100 * worst:.0f} %")
sys.exit(worst > 0.2)
