"""Trains students on one bundle in plain PyTorch and in retort, and compares the accuracies.

    pytorch_check.py RETORT TRAIN_IN_PYTORCH
"""
import json
import math
import os
import subprocess
import sys
import tempfile

EPOCHS = 150
STUDENTS = 3


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        sys.exit(f"failed with {done.returncode}: {' '.join(command)}")
    return done.stdout


def main():
    retort, script = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        run, data = os.path.join(folder, "run"), os.path.join(folder, "shapes.npz")
        call(retort, "distill", "--method", "dm", "--data", "shapes", "--images-per-class", "10",
             "--iterations", "20", "--real-batch", "32", "--network", "convnet-w32", "--seed", "1", "--out", run)
        call(retort, "data", "shapes", "--export-npz", data)
        evaluation = json.loads(call(retort, "eval", run, "--data", "shapes", "--protocol", "demo",
                                     "--evaluation-epochs", str(EPOCHS), "--random-baseline", "no",
                                     "--students", str(STUDENTS), "--json"))
        ours = next(r for r in evaluation["results"] if r["subject"] == "distilled")
        exported = os.path.join(folder, "set.pt")
        call(retort, "export", run, "--format", "pt", "--out", exported)
        for bundle in (os.path.join(run, "distilled.safetensors"), exported):
            theirs = json.loads(call(sys.executable, script, bundle, data, "--width", "32", "--epochs",
                                     str(EPOCHS), "--students", str(STUDENTS)))
            print(f"{os.path.basename(bundle)}: retort {100 * ours['mean']:.1f} +- {100 * ours['deviation']:.1f},"
                  f" PyTorch {100 * theirs['mean']:.1f} +- {100 * theirs['deviation']:.1f}")
            # Four standard errors of the difference of two means, and a point for the few students.
            error = math.hypot(ours["deviation"], theirs["deviation"]) / math.sqrt(STUDENTS)
            if abs(ours["mean"] - theirs["mean"]) > 0.01 + 4 * error:
                sys.exit("the accuracies differ by more than their spread")


if __name__ == "__main__":
    main()
