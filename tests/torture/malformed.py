#!/usr/bin/env python3
"""Malformed inputs and option values, made from valid ones: bytes flipped, cut, repeated, lengths
changed, numbers at their edges. Each must end in success or in one message, within the time and the
memory allowed; a file that carries a content hash may only succeed with the bytes of the valid run.

    tests/torture/malformed.py build/release/retort --count 1000 --seed 0

Needs Python's standard library only. Prints one line for each case that fails, and how many did.
"""
import argparse
import hashlib
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from pathlib import Path

SLACK = 64 << 20  # bytes that a run may take beyond the valid run and twice its input and data
EDGES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0",
         b"\0\0\0\0\0\0\0\x80", b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 8]
NUMBERS = ["0", "-1", "1", "2", "65536", "2147483647", "2147483648", "4294967296",
           "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e38", "1e39",
           "-1e39", "1e308", "1e-320", "nan", "inf", "-inf", "", " ", "maybe", "0x10", "1,5", "--",
           "\u0661", "1e", "yes", "no"]
SMALL = ["--network", "convnet-w8-d1", "--threads", "1", "--seed", "3"]


def png(pixels, side):
    """An 8-bit RGB picture."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + pixels[3 * side * y:3 * side * (y + 1)] for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def npy(kind, shape, body):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + body


class Kinds:
    """Valid inputs under a folder, and what is done with each: name -> (files to harm, command)."""

    def __init__(self, program, folder):
        self.program, self.folder, self.random = program, folder, random.Random(7)
        self.kinds, self.missing = {}, []
        self.npz = folder / "tiny.npz"
        self.raw_data()
        self.own_files()

    def pixels(self, count):
        return bytes(self.random.randrange(256) for _ in range(count))

    def add(self, name, files, command, hashed=False, output=None):
        """`command` has {out} for a fresh folder and {in} for the folder that was harmed."""
        root = self.folder / name
        self.kinds[name] = (root, [Path(f) for f in files], command, hashed, output)

    def call(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if done.returncode:
            self.missing.append(f"{arguments[0]}: {done.stdout.decode()[-300:]}")
        return done.returncode == 0

    def raw_data(self):
        images, labels = self.pixels(24 * 8 * 8 * 3), bytes(range(3)) * 8
        root = self.folder / "npz"
        root.mkdir()
        for path in (root / "a.npz", self.npz):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
                z.writestr("images.npy", npy("|u1", (24, 8, 8, 3), images))
                z.writestr("labels.npy", npy("|u1", (24,), labels))
        self.add("npz", ["a.npz"], ["data", "{in}/a.npz"])
        root = self.folder / "folder"
        for name in ("cat", "dog"):
            (root / "d" / name).mkdir(parents=True)
            for i in range(4):
                (root / "d" / name / f"{i}.png").write_bytes(png(self.pixels(192), 8))
        self.add("folder", [f"d/cat/{i}.png" for i in range(4)], ["data", "{in}/d", "--resolution", "8"])
        root = self.folder / "netpbm"
        for name in ("cat", "dog"):
            (root / "d" / name).mkdir(parents=True)
            for i in range(3):
                (root / "d" / name / f"{i}.ppm").write_bytes(b"P6\n8 8\n255\n" + self.pixels(192))
        self.add("netpbm", ["d/cat/0.ppm", "d/dog/2.ppm"], ["data", "{in}/d", "--resolution", "8"])
        root = self.folder / "idx"
        root.mkdir()
        for part, count in (("train", 40), ("t10k", 20)):
            (root / f"{part}-images-idx3-ubyte").write_bytes(
                struct.pack(">4i", 2051, count, 8, 8) + self.pixels(64 * count))
            (root / f"{part}-labels-idx1-ubyte").write_bytes(
                struct.pack(">2i", 2049, count) + bytes(i % 10 for i in range(count)))
        self.add("idx", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], ["data", "{in}"])
        root = self.folder / "recipe"
        root.mkdir()
        (root / "r.toml").write_text(
            'method = "dm"\nimages_per_class = 1\niterations = 1\nreal_batch = 4\n'
            'network = "convnet-w8-d1"\nseed = 3\nimage_learning_rate = 1.0\n')
        (root / "counts.txt").write_text("0=1\n1=2\n2=1\n")
        self.add("recipe", ["r.toml"], ["distill", "--recipe", "{in}/r.toml", "--data", self.npz,
                                        "--threads", "1", "--out", "{out}"])
        self.add("counts", ["counts.txt"],
                 ["distill", "--method", "random", "--data", self.npz, *SMALL,
                  "--images-per-class", "{in}/counts.txt", "--out", "{out}"])
        shutil.copytree(root, self.folder / "counts")

    def own_files(self):
        """What the program writes itself, and reads again."""
        made = self.folder / "made"
        data = ["--data", self.npz]
        if self.call("distill", "--method", "dm", *data, "--images-per-class", "1", "--iterations", "3",
                     "--real-batch", "4", *SMALL, "--out", made / "run"):
            self.copy("bundle", made / "run/distilled.safetensors", "a.safetensors")
            self.add("bundle", ["a.safetensors"],
                     ["export", "{in}/a.safetensors", "--format", "npz", "--out", "{out}.npz"],
                     True, "{out}.npz")
            shutil.copytree(made / "run", self.folder / "run" / "r")
            files = [p.name for p in (made / "run").glob("*") if p.suffix in (".safetensors", ".toml", ".jsonl")]
            self.add("run", ["r/" + f for f in files],
                     ["distill", "--method", "dm", *data, "--images-per-class", "1", "--iterations", "4",
                      "--real-batch", "4", *SMALL, "--out", "{in}/r"], True, "{in}/r/distilled.safetensors")
            if self.call("export", made / "run", "--format", "pt", "--out", made / "a.pt"):
                self.copy("pt", made / "a.pt", "a.pt")
                self.add("pt", ["a.pt"], ["import", "{in}/a.pt", *data, "--out", "{out}.safetensors"])
        if self.call("pack", self.npz, made / "p.safetensors"):
            self.copy("pack", made / "p.safetensors", "p.safetensors")
            self.add("pack", ["p.safetensors"],
                     ["distill", "--method", "random", "--data", "{in}/p.safetensors", *SMALL,
                      "--images-per-class", "1", "--out", "{out}"], True, "{out}/distilled.safetensors")
        if self.call("experts", *data, "--count", "1", "--epochs", "3", *SMALL, "--out", made / "experts"):
            shutil.copytree(made / "experts", self.folder / "experts" / "e")
            files = [p.relative_to(made) for p in (made / "experts").rglob("*.safetensors")]
            self.add("experts", ["e/" + str(f.relative_to("experts")) for f in files],
                     ["distill", "--method", "mtt", *data, *SMALL, "--experts", "{in}/e",
                      "--images-per-class", "1", "--iterations", "1", "--inner-steps", "2",
                      "--expert-epochs", "1", "--max-start-epoch", "1", "--out", "{out}"],
                     True, "{out}/distilled.safetensors")
        bn = ["--network", "convnet-w8-d1-bn", "--threads", "1", "--seed", "3"]
        if self.call("squeeze", *data, "--epochs", "1", *bn, "--out", made / "teacher"):
            teacher = next((made / "teacher").rglob("*teacher*.safetensors"), None)
            if teacher:
                self.copy("teacher", teacher, "t.safetensors")
                self.add("teacher", ["t.safetensors"],
                         ["distill", "--method", "sre2l", *data, "--teacher", "{in}/t.safetensors",
                          "--images-per-class", "1", "--iterations", "2", *bn, "--out", "{out}"],
                         True, "{out}/distilled.safetensors")

    def copy(self, name, source, target):
        (self.folder / name).mkdir()
        shutil.copy(source, self.folder / name / target)


def harm(data, chance):
    """One of the usual accidents; returns the new bytes and its name."""
    data = bytearray(data)
    at = chance.randrange(max(len(data), 1))
    way = chance.choice(["flip", "flip", "flips", "cut", "length", "length", "repeat", "zeros", "extend",
                         "empty", "swap", "digits"])
    if not data or way == "empty":
        return b"", "empty"
    if way == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif way == "flips":
        for _ in range(8):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif way == "cut":
        del data[at:]
    elif way == "length":
        edge = chance.choice(EDGES)
        at = chance.randrange(min(len(data), 200)) if chance.random() < 0.7 else at
        data[at:at + len(edge)] = edge if chance.random() < 0.5 else edge[::-1]
    elif way == "repeat":
        data[at:at] = data[at:at + 64]
    elif way == "zeros":
        data[at:at + 64] = bytes(len(data[at:at + 64]))
    elif way == "extend":
        data += bytes(chance.randrange(1, 100))
    elif way == "swap":
        other = chance.randrange(len(data))
        data[at:at + 8], data[other:other + 8] = data[other:other + 8], data[at:at + 8]
    elif way == "digits":
        numbers = list(re.finditer(rb"\d+", bytes(data)))
        if numbers:
            found = chance.choice(numbers)
            data[found.start():found.end()] = chance.choice(NUMBERS[:12]).encode()
    return bytes(data), way


def run(command, limit_s):
    """Exit code (or "hangs"), what was said, and the largest memory in bytes."""
    before = time.time()
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(limit_s, os.kill, (process.pid, 9))  # not kill(): it would reap
    timer.start()
    text = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = status
    code = os.waitstatus_to_exitcode(status)
    if code == -9 and time.time() - before >= limit_s:
        # A number that asks for more work than the limit lets it do is no fault.
        code = 0 if re.search(r" \d+/\d+ .* left", text) else "hangs"
    return code, text, usage.ru_maxrss * 1024


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def fill(command, out, folder):
    return [str(c).replace("{out}", str(out)).replace("{in}", str(folder)) for c in command]


def verdict(code, text, memory, allowed):
    """What is wrong with how a run ended, or nothing."""
    if code == "hangs":
        return "hangs"
    if code not in (0, 2, 3, 4, 5):
        return f"ends with {code}"
    if "defect of retort" in text:
        return "calls itself defective"
    if code and len(re.findall(r"^retort: ", text, re.M)) != 1:
        return "has no message of its own, or several"
    if memory > allowed:
        return f"takes {memory >> 20} MB where {allowed >> 20} are allowed"
    return None


class Torture:
    def __init__(self, program, folder, seed, limit_s):
        self.program, self.folder, self.chance = program, folder, random.Random(seed)
        self.limit_s = limit_s
        (folder / "valid").mkdir()
        self.inputs = Kinds(program, folder / "valid")
        self.failures, self.options, self.plain = [], {}, {}
        self.valid = {}
        for name, kind in self.inputs.kinds.items():
            self.valid[name] = self.once(name, kind, None)
        for name, (code, text, _, _) in self.valid.items():
            if code != 0:
                self.inputs.missing.append(f"{name}: its valid input ends with {code}: {text[:300]}")
                del self.inputs.kinds[name]

    def once(self, name, kind, accident):
        """Runs a kind's command on a copy; `accident` harms its files first."""
        root, files, command, _, output = kind
        place, out = self.folder / "now", self.folder / "out"
        for path in (place, out):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob("out.*"):
            path.unlink()
        shutil.copytree(root, place)
        if accident:
            accident(place, files)
        code, text, memory = run([self.program, *fill(command, out, place)], self.limit_s)
        result = output and digest(Path(fill([output], out, place)[0]))
        return code, text, memory, result

    def file_case(self):
        name = self.chance.choice(sorted(self.inputs.kinds))
        kind = self.inputs.kinds[name]
        done = []

        def accident(place, files):
            path = place / self.chance.choice(files)
            data, way = harm(path.read_bytes(), self.chance)
            done.append(f"{name}: {way} in {path.name}")
            path.write_bytes(data)

        code, text, memory, result = self.once(name, kind, accident)
        size = sum(p.stat().st_size for p in (self.folder / "now").rglob("*") if p.is_file())
        allowed = self.valid[name][2] + 2 * size + SLACK
        wrong = verdict(code, text, memory, allowed)
        if not wrong and code == 0 and kind[3] and result != self.valid[name][3]:
            wrong = "succeeds with other bytes"
        self.note("files", done[0], wrong, text)

    def options_of(self, command):
        text = run([self.program, command, "--help"], self.limit_s)[1]
        return sorted(set(re.findall(r"^\s+(--[a-z][a-z0-9-]*)", text, re.M)) - {"--help", "--debug"})

    def option_case(self):
        command = self.chance.choice(["distill", "distill", "eval", "experts", "squeeze", "data", "relabel",
                                      "continual", "import", "export", "pack", "study", "recall", "reproduce"])
        if command not in self.options:
            self.options[command] = self.options_of(command)
        option, value = self.chance.choice(self.options[command] or ["--x"]), self.chance.choice(NUMBERS)
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        valid = {"distill": ["--method", "random", "--data", self.inputs.npz, "--images-per-class", "1", *SMALL,
                             "--out", out],
                 "data": [self.inputs.npz], "pack": [self.inputs.npz, out],
                 "export": [self.folder / "valid/bundle/a.safetensors", "--out", out],
                 "eval": [self.folder / "valid/bundle/a.safetensors", "--data", self.inputs.npz,
                          "--students", "1", "--protocol", "short", "--threads", "1"],
                 "experts": ["--data", self.inputs.npz, "--count", "1", "--epochs", "1", *SMALL, "--out", out],
                 "continual": ["--data", self.inputs.npz, "--method", "random", "--steps", "3", "--orders", "1",
                               "--students", "1", "--evaluation-epochs", "1", "--images-per-class", "1",
                               *SMALL, "--out", out],
                 "squeeze": ["--data", self.inputs.npz, "--epochs", "1", *SMALL, "--out", out]}
        arguments = list(map(str, valid.get(command, [])))
        if command not in self.plain:
            self.plain[command] = run([self.program, command, *arguments], 60)[2]
            shutil.rmtree(out, ignore_errors=True)
        if option in arguments:
            at = arguments.index(option)
            del arguments[at:at + 2]
        glued = self.chance.random() < 0.5
        arguments += [f"{option}={value}"] if glued else [option, value]
        code, text, memory = run([self.program, command, *arguments], self.limit_s)
        allowed = self.plain[command] + 2 * self.inputs.npz.stat().st_size + SLACK
        wrong = verdict(code, text, memory, allowed)
        self.note("options", f"{command} {arguments[-1] if glued else arguments[-2:]}", wrong, text)

    def note(self, family, what, wrong, text):
        if wrong:
            self.failures.append(what)
            tail = " | ".join(text.strip().split("\n")[-3:])[:300]
            print(f"{family}: {what}: {wrong}\n    {tail}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", type=float, default=0.3, help="the share of option values")
    parser.add_argument("--seconds", type=int, default=10, help="a case may take; more on a busy machine")
    asked = parser.parse_args()
    program = str(Path(asked.program).resolve())
    with tempfile.TemporaryDirectory(prefix="retort-malformed-") as folder:
        os.chdir(folder)
        torture = Torture(program, Path(folder), asked.seed, asked.seconds)
        for line in torture.inputs.missing:
            print("not tried:", line)
        print("kinds:", ", ".join(sorted(torture.inputs.kinds)), flush=True)
        for _ in range(asked.count):
            if torture.chance.random() < asked.options:
                torture.option_case()
            else:
                torture.file_case()
    failed = len(torture.failures)
    print(f"{asked.count - failed} passed, {failed} failed")
    sys.exit(1 if failed or torture.inputs.missing else 0)


if __name__ == "__main__":
    main()
