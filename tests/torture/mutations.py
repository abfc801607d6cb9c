#!/usr/bin/env python3
"""Breaks the program in ways that its tests must notice, one at a time.

    tests/torture/mutations.py build/release [NAME ...]

Each mutation changes a line of a source, builds the test programs that should notice and runs them;
the line is put back whatever happens. A mutation that all tests pass is a failure of the tests.
Python's standard library is enough; the sources must not be edited meanwhile.
"""
import dataclasses
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAST = "-*Slow*:*Gpu*"


@dataclasses.dataclass
class Mutation:
    name: str
    file: str
    before: str
    after: str
    tests: list  # programs of tests/ that are to notice; one of them is enough


MUTATIONS = [
    Mutation("the fast engine is lost", "src/nets/engines.cpp",
             "    EngineRow{about_blocked, make_blocked},\n", "", ["nets_tests"]),
    Mutation("students ignore soft labels", "src/train/loop.cpp",
             "return {images, {examples.targets, loss_}, rows};",
             "const at::Tensor& all = examples.targets;\n"
             "    return {images, {all.dim() == 2 ? all.argmax(1) : all, loss_}, rows};",
             ["train_tests", "eval_tests"]),
    Mutation("checkpoints of runs are not written", "src/methods/outer_loop.cpp",
             "  save_checkpoint(path, tensors,\n", "  if (iteration < 0) save_checkpoint(path, tensors,\n", ["methods_tests"]),
]


def noticed(build, mutation):
    """The program whose tests failed, or nothing."""
    subprocess.run(["cmake", "--build", build, "--target", *mutation.tests], check=True,
                   stdout=subprocess.DEVNULL)
    for test in mutation.tests:
        run = subprocess.run([build / "tests" / test, f"--gtest_filter={FAST}", "--gtest_brief=1"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if run.returncode:
            return test
    return None


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    passed = True
    for mutation in MUTATIONS:
        if sys.argv[2:] and mutation.name not in sys.argv[2:]:
            continue
        path = ROOT / mutation.file
        text = path.read_text()
        if text.count(mutation.before) != 1:
            sys.exit(f"{mutation.file} does not have the line of '{mutation.name}' once: "
                     "write the mutation anew")
        try:
            path.write_text(text.replace(mutation.before, mutation.after))
            who = noticed(build, mutation)
        finally:
            path.write_text(text)
        print(f"{mutation.name}: {'noticed by ' + who if who else 'NOT NOTICED'}", flush=True)
        passed = passed and who is not None
    subprocess.run(["cmake", "--build", build], check=True, stdout=subprocess.DEVNULL)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
