"""Time and memory of `retort.unroll` beside ways of plain PyTorch to the same derivative.

    python python/benchmarks/unroll.py                       # a table; every row runs in a process of its own
    python python/benchmarks/unroll.py --width 32 --batch 50 --steps 10,100 --device cuda

The task: train a ConvNet for some steps on a set, and differentiate the squared distance of where it ends to a target
by the set. Ways:

    retort         the adjoint recursion, about 2 sqrt(steps) parameter vectors and the steps once more
    retort-all     the same with all parameters kept, and what small steps leave (`checkpoints=False`)
    graph          one eager graph over all steps, as published codes build it
    recompute      torch.utils.checkpoint around every step: its graph is made again on the way back
    mixed          forward over reverse by step (as MixFlow-MG, Kemaev et al., 2025): stored parameters, and for each
                   step torch.func.jvp of its gradient

Memory is what a process holds at most beside what it held before its first step (resident set on a CPU; the
allocator's peak on a GPU). Time is the second of two runs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

WAYS = ["retort", "retort-all", "graph", "recompute", "mixed"]


def logits(slots, theta, images):
    """The ConvNet of `retort.Network("convnet-wN")` in torch operations; slots: (name, shape, offset, count)."""
    values = {name: theta[offset : offset + count].view(shape) for name, shape, offset, count in slots}
    x, block = images, 1
    while f"block{block}.conv.weight" in values:
        name = f"block{block}"
        x = F.conv2d(x, values[f"{name}.conv.weight"], values[f"{name}.conv.bias"], padding=1)
        x = F.group_norm(x, x.shape[1], values[f"{name}.norm.weight"], values[f"{name}.norm.bias"])
        x, block = F.avg_pool2d(F.relu(x), 2), block + 1
    return F.linear(x.flatten(1), values["classifier.weight"], values["classifier.bias"])


class Task:
    def __init__(self, options):
        import retort

        self.network = retort.Network(f"convnet-w{options.width}", channels=3, side=32, classes=10)
        self.slots = self.network._network.slots
        self.steps, self.rate = options.steps, 0.01
        torch.manual_seed(0)
        device = torch.device(options.device)
        self.images = torch.randn(options.batch, 3, 32, 32, device=device)
        self.labels = torch.arange(options.batch, device=device) % 10
        self.start, self.target = (self.network.initial(seed).to(device) for seed in (0, 1))

    def gradient(self, theta, images, create_graph):
        loss = F.cross_entropy(logits(self.slots, theta, images), self.labels)
        return torch.autograd.grad(loss, theta, create_graph=create_graph)[0]


def by_retort(task, images, checkpoints=True):
    import retort

    return retort.unroll(task.start, images, task.labels, task.rate, network=task.network, steps=task.steps,
                         checkpoints=checkpoints)


def by_graph(task, images):
    theta = task.start.clone().requires_grad_(True)
    for _ in range(task.steps):
        theta = theta - task.rate * task.gradient(theta, images, True)
    return theta


def by_recomputing(task, images):
    from torch.utils.checkpoint import checkpoint

    def step(theta, x):
        with torch.enable_grad():
            at = theta if theta.requires_grad else theta.detach().requires_grad_(True)
            return theta - task.rate * task.gradient(at, x, True)

    theta = task.start.clone().requires_grad_(True)
    for _ in range(task.steps):
        theta = checkpoint(step, theta, images, use_reentrant=False)
    return theta


class Mixed(torch.autograd.Function):
    """Steps without a graph; back, jvp along the cotangent of the gradient of each by (theta, images)."""

    @staticmethod
    def forward(ctx, images, task):
        theta, kept = task.start, []
        for _ in range(task.steps):
            kept.append(theta)
            with torch.enable_grad():
                at = theta.detach().requires_grad_(True)
                found = task.gradient(at, images, False)
            theta = theta - task.rate * found
        ctx.task, ctx.kept = task, kept
        ctx.save_for_backward(images)
        return theta

    @staticmethod
    def backward(ctx, cotangent):
        from torch.func import grad, jvp

        task, (images,) = ctx.task, ctx.saved_tensors

        def loss(theta, x):
            return F.cross_entropy(logits(task.slots, theta, x), task.labels)

        by_images = torch.zeros_like(images)
        for theta in reversed(ctx.kept):
            _, (by_theta, by_x) = jvp(lambda at: grad(loss, argnums=(0, 1))(at, images), (theta,), (cotangent,))
            cotangent, by_images = cotangent - task.rate * by_theta, by_images - task.rate * by_x
        return by_images, None


def run(way, task):
    images = task.images.clone().requires_grad_(True)
    end = {"retort": lambda: by_retort(task, images), "retort-all": lambda: by_retort(task, images, False),
           "graph": lambda: by_graph(task, images), "recompute": lambda: by_recomputing(task, images),
           "mixed": lambda: Mixed.apply(images, task)}[way]()
    return torch.autograd.grad((end - task.target).square().sum(), images)[0]


def memory(device):
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated()


def measure(options):
    """One way in this process: seconds, bytes, and a number of the answer to compare."""
    torch.set_num_threads(options.threads)
    task = Task(options)
    before, seconds = memory(options.device), []
    for _ in range(options.repeats):
        begin = time.perf_counter()
        answer = run(options.way, task)
        if options.device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": min(seconds), "bytes": memory(options.device) - before, "total": memory(options.device),
                      "parameters": task.network.parameters, "norm": float(answer.double().norm())}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=WAYS, help="measure this one alone, in this process")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--steps", default="10,100")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=100, help="images of the set; every step takes all of them")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    if options.way:
        options.steps = int(options.steps)
        return measure(options)
    print(f"ConvNet of width {options.width}, {options.batch} images, {options.device}, PyTorch {torch.__version__}")
    print(f"{'way':<12} {'steps':>6} {'seconds':>9} {'peak MB':>9} {'answer':>12}")
    for steps in options.steps.split(","):
        for way in options.ways.split(","):
            command = [sys.executable, __file__, "--way", way, "--steps", steps, "--width", str(options.width), "--batch",
                       str(options.batch), "--device", options.device, "--threads", str(options.threads), "--repeats",
                       str(options.repeats)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{way:<12} {steps:>6}   did not finish: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{way:<12} {steps:>6} {found['seconds']:>9.2f} {found['bytes'] / 1e6:>9.0f} {found['norm']:>12.6g}")


if __name__ == "__main__":
    main()
