"""Scores a set of CIFAR-10 by ddranking, through its own API, beside `retort.evaluate` with the same training.

    pip install ddranking==0.2.0                            # wants torchvision, and numpy before 2
    retort distill --method dm --data cifar-10-batches-bin --images-per-class 1 --iterations 200 --real-batch 64 --out runs/a
    python python/benchmarks/ddranking_score.py runs/a --data cifar-10-batches-bin

`LabelRobustScoreHard` trains ConvNets on the set and on random images, and answers with how far the set lies below
the whole data ("hard label recovery") and above random images. It reads CIFAR-10 by torchvision, for which the binary
files are written into a temporary folder as pickles. Both train as DC, DSA and DM do: SGD at a rate of 0.01, a tenth of it
after half of the epochs, momentum 0.9, decay 5e-4, one operation of DSA a batch; both test once, after the last epoch.
For random images ddranking takes the best of five rates by the test images, retort the rate of the set. The accuracy
of the whole data is given (`--whole`, in percent), not trained for: it cancels out of the accuracy of the set.
"""

import argparse
import pickle
import tempfile
from pathlib import Path

import numpy
import torch

import retort

DSA = {"scale": 1.2, "rotate": 15.0, "flip": 0.5, "brightness": 1.0, "saturation": 2.0, "contrast": 0.5, "crop": 0.125,
       "cutout": 0.5}
MEAN, DEVIATION = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]  # what ddranking normalises CIFAR-10 by
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def write_pickles(binary: Path, folder: Path) -> None:
    """CIFAR-10's binary files as those that torchvision reads."""
    folder.mkdir()
    for name in BATCHES:
        rows = numpy.fromfile(binary / f"{name}.bin", dtype=numpy.uint8).reshape(-1, 3073)
        (folder / name).write_bytes(pickle.dumps({"data": rows[:, 1:], "labels": rows[:, 0].tolist()}))
    names = (binary / "batches.meta.txt").read_text().split()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))


def without_checksums() -> None:
    """torchvision knows the bytes of the files that CIFAR-10's authors pickled; these hold the same images."""
    from torchvision.datasets import CIFAR10

    CIFAR10.train_list = [(name, None) for name in BATCHES[:-1]]
    CIFAR10.test_list = [(BATCHES[-1], None)]
    CIFAR10.meta = {**CIFAR10.meta, "md5": None}


def as_ddranking_takes_them(made: retort.SyntheticSet) -> torch.Tensor:
    """The set's images [M, 3, 32, 32], normalised as its data are."""
    if made.normalize.kind != "mean_std":
        raise SystemExit(f"the set is normalised by {made.normalize.kind}; one that is by mean and deviation is expected")
    mean, deviation, theirs, spread = (torch.tensor(values).view(3, 1, 1) for values in (
        made.normalize.mean, made.normalize.std, MEAN, DEVIATION))
    return (made.images * deviation + mean - theirs) / spread


def score(made: retort.SyntheticSet, options: argparse.Namespace, folder: Path) -> dict:
    from ddranking.metrics import LabelRobustScoreHard, hard_label
    from ddranking.utils import REAL_DATA_ACC_CACHE

    hard_label.save_results = lambda *_: None  # 0.2.0 lists every score twice, and cannot write the table
    REAL_DATA_ACC_CACHE["CIFAR10-ConvNet-3"] = options.whole
    passes = options.epochs + 1  # as in the code of DC, whose N epochs count from 0 to N
    scorer = LabelRobustScoreHard(
        dataset="CIFAR10", real_data_path=str(folder), ipc=made.counts[0], model_name="ConvNet-3", data_aug_func="dsa",
        aug_params=DSA, optimizer="sgd", lr_scheduler="step", step_size=options.epochs // 2 + 2, weight_decay=5e-4,
        momentum=0.9, num_eval=options.students, num_epochs=passes, num_workers=0, device=options.device,
        save_path=str(folder / "scores.csv"), random_data_path=str(folder / "random"))
    scorer.test_interval = passes
    return scorer.compute_metrics(image_tensor=as_ddranking_takes_them(made), hard_labels=made.labels, syn_lr=0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a run folder or a bundle, of CIFAR-10")
    parser.add_argument("--data", type=Path, required=True, help="cifar-10-batches-bin")
    parser.add_argument("--students", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--whole", type=float, default=84.8, help="accuracy of the whole data in percent")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    made = retort.load(options.set)
    ours = retort.evaluate(made, options.data, networks="convnet", protocol="dm", evaluation_epochs=options.epochs,
                           students=options.students, device=options.device)
    without_checksums()
    print(ours, flush=True)
    with tempfile.TemporaryDirectory(prefix="retort-") as folder:
        write_pickles(options.data, Path(folder) / "cifar-10-batches-py")
        theirs = score(made, options, Path(folder))
    print(f"ddranking: the set {options.whole - theirs['hard_label_recovery_mean']:.1f} "
          f"± {theirs['hard_label_recovery_std']:.1f}, above random images {theirs['improvement_over_random_mean']:.1f} "
          f"± {theirs['improvement_over_random_std']:.1f}, label-robust score {theirs['label_robust_score_mean']:.4f}")


if __name__ == "__main__":
    main()
