#!/usr/bin/env python3
"""The yardstick of network_step: ResNet18 with BatchNorm in plain PyTorch, a step of recovery
(SRe2L: cross-entropy and the distance of BatchNorm statistics, back to the images), of a teacher's
training, of a student's with soft labels, of prediction, and back through training (the derivative of
<gradient, direction> by weights and images). Data are random.

    python3 eager_network.py recover --batch 100
    python3 eager_network.py squeeze --batch 128 --channels-last --compile

Prints one JSON line: median seconds per step and peak memory in MB.
"""
import argparse
import json
import os
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                          nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


def resnet18(classes):
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        for block in range(2):
            layers.append(Block(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def recovery(o, net, run, x):
    net.eval().requires_grad_(False)
    x.requires_grad_()
    y = torch.arange(o.batch) % o.classes
    distances = []

    def see(norm, inputs, _):
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        distances.append((variance - norm.running_var).norm() + (mean - norm.running_mean).norm())

    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(see)

    def step():
        distances.clear()
        loss = F.cross_entropy(run(x), y) + 0.01 * sum(distances)
        torch.autograd.grad(loss, x)
    return step


def training(o, net, run, x):
    y = torch.arange(o.batch) % o.classes
    if o.work == 'student':
        y = torch.randn(o.batch, o.classes).softmax(1)
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        sgd.zero_grad()
        F.cross_entropy(run(x), y).backward()
        sgd.step()
    return step


def unrolled(o, net, run, x):
    x.requires_grad_()
    y = torch.arange(o.batch) % o.classes
    weights = list(net.parameters())
    direction = [torch.randn_like(w) for w in weights]

    def step():
        gradient = torch.autograd.grad(F.cross_entropy(run(x), y), weights, create_graph=True)
        along = sum((g * v).sum() for g, v in zip(gradient, direction))
        torch.autograd.grad(along, [x, *weights], allow_unused=True)  # of the last bias: nothing
    return step


def prediction(o, net, run, x):
    net.eval()

    def step():
        with torch.no_grad():
            run(x)
    return step


def main():
    a = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    steps = {'recover': recovery, 'squeeze': training, 'student': training, 'predict': prediction,
             'unroll': unrolled}
    a.add_argument('work', choices=steps)
    a.add_argument('--batch', type=int, default=100)
    a.add_argument('--classes', type=int, default=100)
    a.add_argument('--size', type=int, default=32)
    a.add_argument('--iters', type=int, default=5)
    a.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    a.add_argument('--channels-last', action='store_true')
    a.add_argument('--compile', action='store_true')
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    layout = torch.channels_last if o.channels_last else torch.contiguous_format
    net = resnet18(o.classes).to(memory_format=layout)
    x = torch.randn(o.batch, 3, o.size, o.size).to(memory_format=layout)
    step = steps[o.work](o, net, torch.compile(net) if o.compile else net, x)
    seconds = []
    for _ in range(o.iters + 1):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({'work': o.work, 'batch': o.batch, 'torch': torch.__version__,
                      'threads': o.threads, 'seconds': statistics.median(seconds[1:]),
                      'least': min(seconds[1:]),
                      'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == '__main__':
    main()
