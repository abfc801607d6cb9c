#!/usr/bin/env python3
"""SC-DD's claim at a size for two cores: are images recovered from a self-supervised teacher better than those from a supervised
one? BatchNorm ConvNets of several widths, several seeds of everything (teachers, recovery, students), real images beside.

    scripts/claim.py build/release cifar-10-batches-bin OUT            # hours
    scripts/claim.py build/release cifar-10-batches-bin OUT --widths 16 --seeds 0,1

Every width and seed is one run of scripts/decoupled.sh, in OUT/w16-0 and so on; what OUT holds is not made again. The deviation is over
seeds, each the mean of its students.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

METHODS = ("sre2l", "scdd", "random", "herding")
# The labels of a table, and the end of the files that decoupled.sh keeps its figures in.
LABELS = {"hard": "hard", "soft, of the supervised teacher": "soft", "soft, of the self-supervised teacher": "self"}


def make(options, width, seed):
    environment = {**os.environ, "NETWORK": f"convnet-w{width}-bn", "SEED": seed, "METHODS": " ".join(METHODS),
                   "POST_EPOCHS": str(options.epochs), "THREADS": str(options.threads)}
    script = Path(__file__).with_name("decoupled.sh")
    folder = options.out / f"w{width}-{seed}"
    done = subprocess.run([script, options.build, options.data, str(folder)], env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{folder}: stopped; give the same command to go on")


def figures(options, width, method, ending):
    """Percent for every seed, where there are such labels."""
    found = []
    for seed in options.seeds:
        file = options.out / f"w{width}-{seed}" / f"{method}.{ending}.json"
        if file.exists():
            found.append(100 * statistics.mean(json.loads(file.read_text())["results"][0]["accuracies"]))
    return found


def cell(values):
    if not values:
        return "-"
    return f"{statistics.mean(values):.1f} ± {statistics.pstdev(values):.1f}"


def difference(options, width, ending):
    """scdd less sre2l, seed by seed."""
    ours, theirs = (figures(options, width, method, ending) for method in ("scdd", "sre2l"))
    return [a - b for a, b in zip(ours, theirs)]


def table(options):
    print(f"Accuracy in per cent, 10 images per class, {options.epochs} epochs of post-training, {len(options.seeds)} seeds.\n")
    print("| labels | width | " + " | ".join(f"`{method}`" for method in METHODS) + " | `scdd` less `sre2l` |")
    print("| --- " * (len(METHODS) + 3) + "|")
    for title, ending in LABELS.items():
        for width in options.widths:
            cells = [cell(figures(options, width, method, ending)) for method in METHODS]
            print(f"| {title} | {width} | " + " | ".join([*cells, cell(difference(options, width, ending))]) + " |")


def words(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--widths", type=words, default=["16", "32", "64"])
    parser.add_argument("--seeds", type=words, default=["0", "1", "2"])
    parser.add_argument("--epochs", type=int, default=100, help="of post-training")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    for width in options.widths:
        for seed in options.seeds:
            make(options, width, seed)
    table(options)


if __name__ == "__main__":
    main()
