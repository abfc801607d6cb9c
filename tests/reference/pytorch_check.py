"""Trains students on one bundle in plain PyTorch and in retort, and compares the accuracies.

    pytorch_check.py RETORT TRAIN_IN_PYTORCH
"""
import json
import math
import os
import subprocess
import sys
import tempfile

EPOCHS = 80
STUDENTS = 4


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        sys.exit(f"failed with {done.returncode}: {' '.join(command)}")
    return done.stdout


def check_same(script, bundle, exported):
    """The .pt export holds the tensors of the bundle, for PyTorch's restricted loader."""
    import torch
    sys.path.insert(0, os.path.dirname(script))
    import train_in_pytorch
    tensors, _ = train_in_pytorch.load_bundle(bundle)
    again, _ = train_in_pytorch.load_bundle(exported)
    for name in ("images", "labels"):
        if not torch.equal(tensors[name], again[name]):
            sys.exit(f"the .pt export has other {name}")


def main():
    retort, script = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        run, data = os.path.join(folder, "run"), os.path.join(folder, "shapes.npz")
        call(retort, "distill", "--method", "dm", "--data", "shapes", "--images-per-class", "10",
             "--iterations", "10", "--real-batch", "16", "--network", "convnet-w16", "--seed", "1", "--out", run)
        call(retort, "data", "shapes", "--export-npz", data)
        evaluation = json.loads(call(retort, "eval", run, "--data", "shapes", "--protocol", "demo",
                                     "--evaluation-epochs", str(EPOCHS), "--random-baseline=no",
                                     "--students", str(STUDENTS), "--json"))
        ours = next(r for r in evaluation["results"] if r["subject"] == "distilled")
        exported = os.path.join(folder, "set.pt")
        call(retort, "export", run, "--format", "pt", "--out", exported)
        bundle = os.path.join(run, "distilled.safetensors")
        theirs = json.loads(call(sys.executable, script, bundle, data, "--width", "16", "--epochs",
                                 str(EPOCHS), "--students", str(STUDENTS),
                                 "--threads", "1"))  # tiny batches: more threads only wait
        print(f"retort {100 * ours['mean']:.1f} +- {100 * ours['deviation']:.1f},"
              f" PyTorch {100 * theirs['mean']:.1f} +- {100 * theirs['deviation']:.1f}")
        # Four standard errors of the difference of two means, and a point for the few students.
        error = math.hypot(ours["deviation"], theirs["deviation"]) / math.sqrt(STUDENTS)
        if abs(ours["mean"] - theirs["mean"]) > 0.01 + 4 * error:
            sys.exit("the accuracies differ by more than their spread")
        check_same(script, bundle, exported)


if __name__ == "__main__":
    main()
