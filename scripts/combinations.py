#!/usr/bin/env python3
"""Objectives times parametrisations at equal bytes, every cell at its own best rate: one markdown table.

    scripts/combinations.py build/release/retort OUT                          # the built-in set
    scripts/combinations.py build/release/retort OUT --table                  # only of what is finished
    scripts/combinations.py build/release/retort OUT --data cifar-10-batches-bin --network convnet-w32 \\
        --protocol dm --images-per-class 1,10 --side-by-side 2

A cell distils a set for each of three image rates, a factor of three apart, and keeps the one on which a student does best on a
validation part of the training images; its set alone is judged on the test images. Where the least or the largest is best, a further
one is tried, up to --rates of them. Students take about as many steps whatever the number of images. What OUT holds is not made again: a
script that was stopped goes on, with more --rates as well. OUT/cells.jsonl has every cell's figures.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 256  # of students
TRAJECTORIES = "--expert-epochs 1 --max-start-epoch 2"
# What an objective is run with, its iterations, and its middle rate for pixels.
OBJECTIVES = {
    "dm": ("--real-batch 64", 200, 3.0),
    # One matching step an iteration whatever the number of images, as published for one of each class.
    "dsa": ("--real-batch 64 --outer-loop 1 --inner-loop 1", 100, 0.1),
    "ncfm": ("--real-batch 64 --synthetic-batch 64 --experts {experts}", 200, 0.09),
    "tgdd": ("--real-batch 64 --synthetic-batch 64 --experts {experts}", 200, 6.0),
    "infmatch": ("--real-batch 64 --synthetic-batch 64 --experts {experts}", 200, 0.09),
    "mtt": (f"--experts {{experts}} --inner-steps 10 --synthetic-batch 100 {TRAJECTORIES}", 100, 100.0),
    "datm": (f"--experts {{experts}} --inner-steps 10 --synthetic-batch 100 --first-max-start-epoch 0 {TRAJECTORIES}", 100,
             100.0),
    "bptt": ("--inner-steps 20 --synthetic-per-class 5 --real-per-class 32 --initialisation real --image-optimiser adam "
             "--image-momentum 0.9", 100, 0.05),
}
# What a parametrisation adds. Memories are a product of two tables, for which the rates of pixels mean nothing: Adam, with
# one middle rate for all objectives.
PARAMETRISATIONS = {
    "pixels": "",
    "multiformation": "--factor 2",
    "memories": "--downsample 2 --memory-start images --image-optimiser adam --image-momentum 0.9 --bases {bases}",
    "frequency": "--frequencies 64",
}
MEMORIES_RATE = 0.01


class Missing(Exception):
    """A figure is not there, and none is to be made."""


class Grid:
    def __init__(self, options):
        self.o = options
        self.experts = options.out / "experts"
        self.common = ["--data", options.data, "--validation-fraction", str(options.validation), "--threads",
                       str(options.threads or max(1, (os.cpu_count() or 1) // options.side_by_side))]

    def retort(self, *words):
        """What a command says in JSON."""
        command = [self.o.program, *words, *self.common, "--json=yes"]
        with open(self.o.out / "log", "a") as log:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: failed, see {self.o.out / 'log'}")
        return json.loads(done.stdout)

    @staticmethod
    def write(path, text):
        path.with_suffix(".part").write_text(text)
        path.with_suffix(".part").replace(path)

    def kept(self, path, make):
        """The JSON in a file, which is made where it is not there."""
        if not path.exists():
            if self.o.table:
                raise Missing
            path.parent.mkdir(parents=True, exist_ok=True)
            self.write(path, json.dumps(make(), indent=1) + "\n")
        return json.loads(path.read_text())

    def train_experts(self):
        if any("{experts}" in OBJECTIVES[objective][0] for objective in self.o.objectives):
            self.kept(self.o.out / "experts.json", lambda: self.retort(
                "experts", "--network", self.o.network, "--count", "3", "--epochs", "4", "--out", str(self.experts)))

    def settings(self, objective, parametrisation, count):
        """The words of a cell, and its middle rate."""
        own, iterations, rate = OBJECTIVES[objective]
        text = f"{own} {PARAMETRISATIONS[parametrisation]}".format(experts=self.experts, bases=32 if count == 1 else 64)
        if parametrisation == "memories":
            rate = MEMORIES_RATE
        iterations = max(1, round(iterations * self.o.length))
        return ["--method", objective, "--parametrisation", parametrisation, "--images-per-class", str(count), "--network",
                self.o.network, "--protocol", self.o.protocol, "--seed", "0", "--iterations", str(iterations), *text.split()], rate

    def judge(self, run, images, *more):
        epochs = max(1, self.o.steps // -(-images // BATCH))
        return self.retort("eval", str(run), "--evaluation-epochs", str(epochs), *more)

    def attempt(self, folder, rate, words):
        """What a set of one rate is worth on the validation part; its images and classes."""
        run = folder / rate
        made = self.kept(folder / f"{rate}.json", lambda: self.retort("distill", "--image-learning-rate", rate, "--out", str(run), *words))
        seen = self.kept(folder / f"{rate}.validation.json", lambda: self.judge(
            run, made["images"], "--part", "validation", "--students", "1", "--random-baseline=no"))
        return seen["results"][0]["mean"], made["images"], made["classes"]

    def cell(self, objective, parametrisation, count):
        """The test figures of the best of some rates, by what was trained on."""
        folder = self.o.out / f"{count}" / f"{objective}-{parametrisation}"
        words, middle = self.settings(objective, parametrisation, count)
        least, largest, tried = -1, 1, {}
        while True:
            for power in range(least, largest + 1):
                if power not in tried:
                    tried[power] = self.attempt(folder, f"{middle * 3.0 ** power:.3g}", words)
            best = max(tried, key=tried.get)
            edge = best in (least, largest)
            if not edge or len(tried) >= self.o.rates:
                break
            least, largest = min(least, best - 1), max(largest, best + 1)
        rates = {power: f"{middle * 3.0 ** power:.3g}" for power in sorted(tried)}
        _, images, classes = tried[best]
        found = self.kept(folder / f"{rates[best]}.test.json", lambda: self.judge(
            folder / rates[best], images, "--students", str(self.o.students),
            f"--random-baseline={'yes' if parametrisation == 'pixels' else 'no'}"))
        return {"images_per_class": count, "objective": objective, "parametrisation": parametrisation, "each": images // classes,
                "soft": found.get("soft_labels", False), "rate": rates[best], "edge": edge,
                "validation": {rates[power]: tried[power][0] for power in rates},
                **{result["subject"]: {key: result[key] for key in ("accuracies", "mean", "deviation")} for result in found["results"]}}

    def cell_or_none(self, *key):
        try:
            return self.cell(*key)
        except Missing:
            return None

    def table(self, count, cells):
        o = self.o
        lines = [f"Bytes of {count} image{'s' if count > 1 else ''} per class:\n", self.row("objective", "labels", o.parametrisations),
                 "| --- " * (len(o.parametrisations) + 2) + "|"]
        for objective in o.objectives:
            row = [cells.get((objective, parametrisation, count)) for parametrisation in o.parametrisations]
            if any(row):
                lines.append(self.row(objective, "soft" if any(cell and cell["soft"] for cell in row) else "hard", [
                    f"{self.accuracy(cell['distilled'])} ({cell['each']}{'*' if cell['edge'] else ''})" if cell else "-" for cell in row]))
        chance = [cell["random"] for key, cell in cells.items() if key[2] == count and "random" in cell]
        if chance:
            first = f"{self.accuracy(chance[0])} ({count})"
            lines.append(self.row("random real images", "hard", [first] + [""] * (len(o.parametrisations) - 1)))
        for soft in (False, True):
            of_kind = {key: cell for key, cell in cells.items() if key[2] == count and cell["soft"] == soft}
            if of_kind:
                best = max(of_kind, key=lambda key: of_kind[key]["distilled"]["mean"])
                lines.append(f"\nBest with {'soft' if soft else 'hard'} labels: {best[0]} on {best[1]}, "
                             f"{self.accuracy(of_kind[best]['distilled'])}.")
        return "\n".join(lines)

    @staticmethod
    def row(objective, labels, cells):
        return "| " + " | ".join([objective, labels, *cells]) + " |"

    @staticmethod
    def accuracy(result):
        return f"{100 * result['mean']:.1f} ± {100 * result['deviation']:.1f}"

    def run(self):
        if not self.o.table:
            self.train_experts()
        keys = [(objective, parametrisation, count) for count in self.o.images_per_class for objective in self.o.objectives
                for parametrisation in self.o.parametrisations]
        with ThreadPoolExecutor(self.o.side_by_side) as pool:
            found = zip(keys, pool.map(lambda key: self.cell_or_none(*key), keys))
            cells = {key: cell for key, cell in found if cell}
        self.write(self.o.out / "cells.jsonl", "".join(json.dumps(cell) + "\n" for cell in cells.values()))
        o = self.o
        print(f"Test accuracy in per cent on {o.data}, {o.network}, protocol {o.protocol} with about {o.steps} steps, {o.students} "
              "students a figure; behind it the images per class that the set decodes to. One set a cell, its rate chosen on "
              "validation images among those a factor of three apart; a star: it was the least or the largest tried.\n")
        print("\n\n".join(self.table(count, cells) for count in self.o.images_per_class))


def words(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--network", default="convnet-w16")
    parser.add_argument("--protocol", default="demo")
    parser.add_argument("--images-per-class", default="1", type=lambda text: [int(word) for word in words(text)])
    parser.add_argument("--objectives", default=",".join(OBJECTIVES), type=words)
    parser.add_argument("--parametrisations", default=",".join(PARAMETRISATIONS), type=words)
    parser.add_argument("--steps", type=int, default=500, help="of a student")
    parser.add_argument("--students", type=int, default=2)
    parser.add_argument("--rates", type=int, default=3, help="that a cell tries at most")
    parser.add_argument("--length", type=float, default=1, help="times the script's own iterations")
    parser.add_argument("--validation", type=float, default=0.1, help="share of the training images that chooses rates")
    parser.add_argument("--side-by-side", type=int, default=1, help="cells at a time")
    parser.add_argument("--threads", type=int, default=0, help="of a cell; 0: its share of the processors")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    Grid(options).run()


if __name__ == "__main__":
    main()
