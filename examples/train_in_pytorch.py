#!/usr/bin/env python3
"""Trains a network in plain PyTorch on a distilled set and prints its test accuracy.

    retort data shapes --export-npz shapes.npz
    python3 examples/train_in_pytorch.py runs/a/distilled.safetensors shapes.npz --students 3

The bundle is the safetensors file of a run, or its .pt export. Nothing but torch and numpy is
needed. Students are trained by the protocol of DC, DSA, DM, MTT and FTD: SGD with momentum 0.9 and
weight decay 5e-4, rate 0.01 or the one that the set has learned, divided by ten once after half of
the epochs, batches of 256, and one augmentation operation a batch with parameters drawn for every image.
"""
import argparse
import json
import math
import os

import numpy
import torch
import torch.nn.functional as F


def load_bundle(path):
    """The ten lines: tensors and metadata of a bundle, from safetensors or .pt."""
    if path.endswith(".pt"):
        content = torch.load(path, weights_only=True)
        return content, content
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    kinds = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=kinds[entry["dtype"]])
        tensors[name] = flat.view(entry["shape"])
    return tensors, metadata


def convnet(channels, side, classes, width, depth):
    """Blocks of 3x3 convolution, instance norm, ReLU and average pooling; then a linear layer."""
    layers, inputs = [], channels
    for block in range(depth):
        padding = 3 if block == 0 and channels == 1 else 1  # 28x28 becomes 32x32
        layers += [torch.nn.Conv2d(inputs, width, 3, padding=padding),
                   torch.nn.GroupNorm(width, width), torch.nn.ReLU(), torch.nn.AvgPool2d(2)]
        inputs = width
    side = 32 if side == 28 else side
    features = width * (side // 2 ** depth) ** 2
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(features, classes))


def uniform(x, low, high):
    """One number per image of the batch, [N, 1, 1, 1]."""
    return torch.rand(len(x), 1, 1, 1) * (high - low) + low


def color(x):
    x = x + uniform(x, -0.5, 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * uniform(x, 0, 2) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * uniform(x, 0.5, 1.5) + mean


def resample(x, maps):
    """Samples with 2x2 maps [N, 2, 2] about the centre, zero outside."""
    grid = F.affine_grid(F.pad(maps, (0, 1)), list(x.shape), align_corners=True)
    return F.grid_sample(x, grid, align_corners=True)


def crop(x):
    n, _, h, w = x.shape
    reach = (h + 4) // 8, (w + 4) // 8
    x = F.pad(x, (reach[1], reach[1], reach[0], reach[0]))
    top, left = (torch.randint(2 * r + 1, (n, 1)) for r in reach)
    rows, columns = top + torch.arange(h), left + torch.arange(w)
    return x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def cutout(x):
    n, _, h, w = x.shape
    size = (h + 1) // 2, (w + 1) // 2
    top, left = (torch.randint(side + (1 - s % 2), (n, 1)) - s // 2 for side, s in zip((h, w), size))
    rows = (torch.arange(h) >= top) & (torch.arange(h) < top + size[0])
    columns = (torch.arange(w) >= left) & (torch.arange(w) < left + size[1])
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def flip(x):
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


def scale(x):
    factors = torch.rand(len(x), 2) * (1.2 - 1 / 1.2) + 1 / 1.2
    return resample(x, torch.diag_embed(factors))


def rotate(x):
    angle = (torch.rand(len(x)) * 2 - 1) * math.radians(15)
    cos, sin = angle.cos(), angle.sin()
    return resample(x, torch.stack((cos, -sin, sin, cos), 1).view(-1, 2, 2))


OPERATIONS = {f.__name__: f for f in (color, crop, cutout, flip, scale, rotate)}


def prepared(pixels, data, tensors, metadata):
    """Test images as those of the set are: whitened, or by the data's mean and deviation."""
    pixels = torch.from_numpy(pixels) / 255
    if metadata.get("preprocessing") != "zca":
        mean, deviation = (torch.tensor(data[k], dtype=torch.float32).view(1, -1, 1, 1) for k in ("mean", "std"))
        return (pixels - mean) / deviation
    if "zca_matrix" not in tensors:
        raise SystemExit("the set is whitened and leaves that to its data: retort export SET --data DATA --out a.pt")
    return ((pixels.flatten(1) - tensors["zca_mean"]) @ tensors["zca_matrix"]).view_as(pixels)


def train(network, images, targets, epochs, batch, operations, learned_rate):
    """The published loop runs one pass more than `epochs`, and drops the rate once."""
    for epoch in range(epochs + 1):
        if epoch in (0, epochs // 2 + 2):  # a new optimiser: momentum starts anew after the drop
            rate = learned_rate if epoch == 0 else learned_rate / 10
            sgd = torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=5e-4)
        for rows in torch.randperm(len(images)).split(batch):
            x = images[rows]
            if operations:
                x = OPERATIONS[operations[torch.randint(len(operations), ())]](x)
            sgd.zero_grad()
            F.cross_entropy(network(x), targets[rows]).backward()
            sgd.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("data", help="the .npz of `retort data PATH --export-npz`")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--students", type=int, default=1)
    parser.add_argument("--augmentation", help="operations joined by _, or none (default: the bundle's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    tensors, metadata = load_bundle(options.bundle)
    images, targets = tensors["images"].float(), tensors.get("soft_labels", tensors["labels"])
    strategy = options.augmentation or metadata.get("augmentation", "") or "none"
    operations = [] if strategy == "none" else strategy.split("_")

    data = numpy.load(options.data)
    x_test = prepared(data["x_test"], data, tensors, metadata)
    y_test = torch.from_numpy(data["y_test"])

    accuracies = []
    for _ in range(options.students):
        network = convnet(images.shape[1], images.shape[2], len(data["class_names"]) if "class_names" in data
                          else int(y_test.max()) + 1, options.width, options.depth)
        train(network, images, targets, options.epochs, options.batch, operations,
              float(tensors.get("student_learning_rate", 0.01)))
        with torch.no_grad():
            right = sum((network(x).argmax(1) == y).sum().item()
                        for x, y in zip(x_test.split(500), y_test.split(500)))
        accuracies.append(right / len(y_test))
    print(json.dumps({"accuracies": accuracies, "mean": numpy.mean(accuracies),
                      "deviation": numpy.std(accuracies)}))


if __name__ == "__main__":
    main()
