#!/usr/bin/env python3
"""Kills runs of every kind at random moments and flips one random bit of what they left.

    tests/torture/killed_and_flipped.py build/release/retort [ROUNDS] [--seed N] [--folder FOLDER] [--only KIND]

Each round starts a command in a folder of its own, kills it (SIGKILL), flips a bit of a byte in one
of the files that are there then, and gives the same command again. It must end in the bytes of a run
that was left alone, or name the damage: the file, or options that are not those the folder was begun
with. Every fourth round flips nothing, and must end in the same bytes. Python's standard library is
enough. Pictures and pages are left out: they are made from the rest.
"""
import argparse
import collections
import dataclasses
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

PAGES = {".png", ".html"}


def small_data(folder, seed=0):
    """Ten training and two test images, 28x28, of each of ten classes as idx files."""
    draw = random.Random(seed)
    folder.mkdir()
    for part, count in (("train", 100), ("t10k", 20)):
        images = struct.pack(">4i", 0x803, count, 28, 28) + draw.randbytes(count * 28 * 28)
        labels = struct.pack(">2i", 0x801, count) + bytes(i % 10 for i in range(count))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


@dataclasses.dataclass
class Kind:
    name: str
    words: list                # of the command; {out} is the round's folder
    results: list              # files in it that must come out the same; globs
    begins: str                # the command works from when this is there


class Torture:
    def __init__(self, retort, folder, seed):
        self.retort, self.folder = retort, folder
        self.draw = random.Random(seed)
        self.references, self.seconds = {}, {}
        small_data(folder / "data")

    def start(self, words, out):
        command = [self.retort] + [word.format(out=out, base=self.folder) for word in words]
        return subprocess.Popen(command + ["--threads=1"], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace")

    def run(self, words, out, limit=300):
        process = self.start(words, out)
        try:
            said = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return None, f"it ran for more than {limit} s"
        return process.returncode, said

    def must(self, words, out):
        code, said = self.run(words, out)
        if code != 0:
            sys.exit(f"torture: {' '.join(words)}: code {code}\n{said}")

    def kinds(self):
        data = "--data={base}/data"
        plain = ["distill", data, "--images-per-class=1", "--checkpoint-every=3",
                 "--record-every=2", "--out={out}/run"]
        distill = plain + ["--network=convnet-w8-d2"]
        run = ["run/distilled.safetensors"]
        checkpoint = "run/checkpoint.safetensors"
        self.must(["experts", data, "--network=convnet-w4-d2", "--count=2", "--epochs=4",
                   "--batch-size=20", "--out={base}/experts"], self.folder)
        self.must(["squeeze", data, "--network=convnet-w8-d2-bn", "--epochs=2",
                   "--out={base}/teacher"], self.folder)
        self.must(["distill", "--method=random", data, "--images-per-class=2",
                   "--network=convnet-w8-d2", "--out={base}/set"], self.folder)
        teacher = "--teacher={base}/teacher/teacher.safetensors"
        return [
            Kind("dm", distill + ["--method=dm", "--iterations=150", "--real-batch=4"], run,
                 checkpoint),
            Kind("dsa", distill + ["--method=dsa", "--iterations=20", "--real-batch=4"], run,
                 checkpoint),
            Kind("memories", plain + ["--network=convnet-w4-d2", "--method=bptt", "--parametrisation=memories", "--bases=4",
                                        "--iterations=9", "--inner-steps=2"], run, checkpoint),
            Kind("mtt", plain + ["--method=mtt", "--experts={base}/experts", "--iterations=20",
                                 "--network=convnet-w4-d2", "--inner-steps=3",
                                 "--expert-epochs=1", "--max-start-epoch=2"], run, checkpoint),
            Kind("frepo", distill + ["--method=frepo", "--iterations=20"], run, checkpoint),
            Kind("rded", plain + ["--method=rded", teacher, "--network=convnet-w8-d2-bn"],
                 ["run/distilled.safetensors"], "run/recipe.toml"),
            Kind("experts", ["experts", data, "--network=mlp", "--count=2", "--epochs=15",
                             "--batch-size=20", "--snapshots=float16", "--out={out}/experts"],
                 ["experts/expert_*.safetensors"], "experts/expert_0000.checkpoint"),
            Kind("squeeze", ["squeeze", data, "--network=convnet-w8-d2-bn", "--epochs=20",
                             "--out={out}/teacher"],
                 ["teacher/teacher.safetensors"], "teacher/checkpoint.safetensors"),
            Kind("relabel", ["relabel", "{base}/set", teacher, "--protocol=rded",
                             "--evaluation-epochs=300", "--out={out}/labels.safetensors"],
                 ["labels.safetensors"], "labels.safetensors.partial"),
            Kind("continual", ["continual", "--stream=rotations", "--tasks=3",
                               "--samples-per-task=60", "--memory=30", "--network=mlp-w8",
                               "--evaluation-epochs=30", "--method=dm", "--iterations=40",
                               "--real-batch=4", "--checkpoint-every=5", data,
                               "--out={out}/stream"],
                 ["stream/dm/order0/task*/distilled.safetensors"], "stream/records.jsonl"),
            Kind("pack", ["pack", "shapes", "{out}/shapes.pack", "--repeat=4"],
                 ["shapes.pack"], "shapes.pack.partial"),
        ]

    def results(self, kind, out):
        found = {}
        for pattern in kind.results:
            for path in sorted(out.glob(pattern)):
                found[str(path.relative_to(out))] = path.read_bytes()
        return found

    def refer(self, kind):
        out = self.folder / "reference" / kind.name
        out.mkdir(parents=True)
        begin = time.monotonic()
        self.must(kind.words, out)
        self.seconds[kind.name] = time.monotonic() - begin
        self.references[kind.name] = self.results(kind, out)
        if not self.references[kind.name]:
            sys.exit(f"torture: '{kind.name}' has no results")

    def kill(self, kind, out):
        """Ends the command somewhere after it has begun to write, or lets it finish."""
        process = self.start(kind.words, out)
        begin = time.monotonic()
        while process.poll() is None and not (out / kind.begins).exists():
            time.sleep(0.002)
        left = max(self.seconds[kind.name] - (time.monotonic() - begin), 0.1)
        try:
            process.communicate(timeout=self.draw.uniform(0, 1.1 * left))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return process.returncode == -signal.SIGKILL

    def flip(self, out):
        files = [path for path in sorted(out.rglob("*"))
                 if path.is_file() and path.suffix not in PAGES and path.stat().st_size > 0]
        if not files:
            return None
        path = self.draw.choice(files)
        bit = self.draw.randrange(8 * path.stat().st_size)
        with open(path, "r+b") as file:
            file.seek(bit // 8)
            byte = file.read(1)[0]
            file.seek(bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))
        return path, bit

    def round(self, kind, number):
        """Returns how it ended, and what is wrong (or nothing)."""
        out = self.folder / f"round{number}"
        out.mkdir()
        killed = self.kill(kind, out)
        flipped = self.flip(out) if number % 4 else None
        code, said = self.run(kind.words, out)
        where = f"{kind.name}, round {number}, {'killed' if killed else 'finished'}"
        if flipped:
            where += f", bit {flipped[1]} of {flipped[0].relative_to(out)} flipped"
        if code == 0:
            if self.results(kind, out) == self.references[kind.name]:
                shutil.rmtree(out)
                return ("same bytes, damage noticed" if "note: " in said and flipped
                        else "same bytes"), None
            return "other bytes", f"{where}: other bytes\n{said}"
        named = flipped and code in (3, 5) and (
            flipped[0].name.split(".partial")[0] in said or flipped[0].stem in said or
            flipped[0].name == "recipe.toml" and "started with other options" in said)
        if named:
            shutil.rmtree(out)
            return "damage named", None
        return "failed", f"{where}: code {code}\n{said}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("retort")
    parser.add_argument("rounds", nargs="?", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, help="kept; without it a temporary one")
    parser.add_argument("--only", help="one kind of run")
    given = parser.parse_args()
    folder = given.folder or pathlib.Path(tempfile.mkdtemp(prefix="retort-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    torture = Torture(given.retort, folder, given.seed)
    kinds = [kind for kind in torture.kinds() if given.only in (None, kind.name)]
    for kind in kinds:
        torture.refer(kind)
    counts, problems = collections.Counter(), []
    for number in range(1, given.rounds + 1):
        ending, problem = torture.round(kinds[number % len(kinds)], number)
        counts[ending] += 1
        if problem:
            problems.append(problem)
            print(problem, flush=True)
    print(f"{given.rounds} rounds over {len(kinds)} kinds of run: " +
          ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items())))
    if not given.folder and not problems:
        shutil.rmtree(folder)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
