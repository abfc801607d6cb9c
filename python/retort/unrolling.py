"""Training unrolled, as a function that autograd can differentiate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from . import _core, inputs
from .draws import Stream, draw_augmentation
from .network import Network


def unroll(theta: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, rate: float | torch.Tensor, *,
           network: Network, steps: int, batch: int | None = None,
           rows: torch.Tensor | Sequence[torch.Tensor] | None = None, momentum: float = 0.0, weight_decay: float = 0.0,
           augmentation: str = "none", seed: int = 0, hessian: bool = True, checkpoints: bool = True, window: int = 0,
           pass_bytes: int | None = None, statistics: torch.Tensor | None = None, with_losses: bool = False) -> Any:
    """Trains a network for some steps of SGD and returns where it ends: theta [P].

    Autograd can differentiate the result (once) by the start, the images, soft labels and the rate. The derivative is
    exact, and no graph of more than one step is ever in memory: going back costs one `gradient_jvp` a step, the steps once
    more and about 2 sqrt(steps) stored vectors [P]; without `checkpoints`, `steps` vectors (Maclaurin, Duvenaud and Adams,
    ICML 2015). What small steps compute on the way there is kept for the way back as long as it fits into `pass_bytes`;
    the answer is the same without. The rule of a step is v <- momentum v + g + weight_decay theta; theta <- theta - rate v.

    Args:
        theta: [P], the start; float32 or float64, as the images.
        images: [M, C, H, W], network input.
        labels: int64 [M], or floating [M, K]: weights of the classes, such as probabilities.
        rate: the learning rate: a number, a tensor with one, or a tensor [steps] with one for each step (only without
            momentum).
        network: a `Network` that fits the images.
        steps: how many, at least 1.
        batch: rows of a step; None: the whole set. Rows are dealt out in a fresh order every pass over the set, by
            `seed`; a pass leaves out what fills no batch.
        rows: in place of `batch`, which rows each step takes: int64 [steps, n], or a list of `steps` such tensors.
        augmentation: a strategy of differentiable siamese augmentation, drawn by `seed` for each image of each step.
        hessian: False leaves the Hessian out: TESLA's approximation (Cui et al., ICML 2023).
        checkpoints: keep about 2 sqrt(steps) vectors, and run the steps once more on the way back: memory hardly grows
            with the number of steps. False is faster, by a fifth or so, and keeps all.
        window: above 0, only the last so many steps are gone back through; what is before them is taken as given.
        pass_bytes: bytes for what steps leave for the way back. None: 256 MiB, in steps of 16 MiB at most; with
            `checkpoints` none.
        statistics: running statistics [S] of a network that has some; it trains by those of its batches.
        with_losses: returns (theta, losses [steps]); the losses carry no graph.

    Raises:
        ValueError: shapes, types or devices that do not fit, labels out of range, numbers that are not finite.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; a retort.Network is expected")
    inputs.images(images, network.shape)
    inputs.theta(theta, network.parameters, images, groups=False)
    inputs.labels(labels, images.shape[0], network.shape[3], images)
    inputs.whole("steps", steps, 1)
    inputs.whole("window", window, 0)
    if pass_bytes is None:
        pass_bytes = 0 if checkpoints else -1
    else:
        inputs.whole("pass_bytes", pass_bytes, 0)
    rate = _rate(rate, steps, momentum, images)
    for name, value, most in (("momentum", momentum, 1.0), ("weight_decay", weight_decay, math.inf)):
        if not 0 <= value < most:
            raise ValueError(f"{name} is {value}; a number from 0 on{', below 1,' if most == 1 else ''} is expected")
    batches = _batches(images.shape[0], steps, batch, rows, seed)
    setting = _Setting(network, batches, _augmentations(augmentation, images, batches, seed), network._statistics(
        statistics, theta, images, "batch"), (float(momentum), float(weight_decay), bool(hessian), bool(checkpoints),
                                              int(window), int(pass_bytes)))
    end, losses = _Unroll.apply(theta, images, labels, rate, setting)
    return (end, losses) if with_losses else end


class _Setting:
    """All that is not differentiated by."""

    def __init__(self, network, batches, augmentations, statistics, options):
        self.network, self.statistics = network._network, statistics
        self.steps = [_core.UnrollStep(rows, draws) for rows, draws in zip(batches, augmentations)]
        self.options = _core.UnrollOptions(*options)

    def start(self, images, labels, rate):
        rate = rate.item() if rate.dim() == 0 else rate.tolist()
        return _core.Unrolled(self.network, images, labels, rate, self.steps, self.options, self.statistics)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, images, labels, rate, setting):
        training = setting.start(images, labels, rate)
        end = training.forward(theta)
        losses = training.losses
        ctx.save_for_backward(theta, images, labels, rate)
        ctx.setting = setting
        ctx.training = training if any(ctx.needs_input_grad) else None
        ctx.mark_non_differentiable(losses)
        ctx.set_materialize_grads(False)
        return end, losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, cotangent, _):
        if cotangent is None:
            return None, None, None, None, None
        theta, images, labels, rate = ctx.saved_tensors
        training, ctx.training = ctx.training, None
        if training is None:  # a graph that was kept for a second time: the steps are run again
            training = ctx.setting.start(images, labels, rate)
            training.forward(theta)
        by_theta, by_images, by_labels, by_rate = training.backward(cotangent.contiguous())
        by_rate = torch.tensor(by_rate, dtype=rate.dtype, device=rate.device)
        answer = (by_theta, by_images, by_labels, by_rate)
        return (*[one if needed else None for one, needed in zip(answer, ctx.needs_input_grad)], None)


def _rate(rate, steps, momentum, images):
    if not isinstance(rate, torch.Tensor):
        rate = torch.tensor(float(rate), dtype=torch.float64)
    if not rate.dtype.is_floating_point or tuple(rate.shape) not in ((), (steps,)):
        raise ValueError(f"rate is {rate.dtype} {list(rate.shape)}; one number, or a floating tensor [{steps}], is "
                         f"expected")
    if not bool(torch.isfinite(rate.detach()).all()):
        raise ValueError("rate is not finite")
    if momentum and rate.dim() == 1:
        raise ValueError("a rate for every step goes without momentum only")
    if momentum and float(rate.detach()) == 0:
        raise ValueError("rate is 0; with momentum a rate other than 0 is expected")
    return rate


def _batches(count, steps, batch, rows, seed):
    """int64 rows of every step; None: the whole set."""
    if rows is not None:
        if batch is not None:
            raise ValueError("batch and rows are given; one of them is expected")
        rows = [torch.as_tensor(one) for one in rows]
        if len(rows) != steps:
            raise ValueError(f"rows are of {len(rows)} steps; {steps} are expected")
        for one in rows:
            if one.dtype != torch.int64 or one.dim() != 1 or len(one) == 0:
                raise ValueError(f"rows of a step are {one.dtype} {list(one.shape)}; int64 [n] is expected")
            if int(one.min()) < 0 or int(one.max()) >= count:
                raise ValueError(f"rows from {int(one.min())} to {int(one.max())} are asked for; there are {count} "
                                 f"images")
        return [one.cpu() for one in rows]
    if batch is None or batch == count:
        return [None] * steps
    inputs.whole("batch", batch, 1)
    if batch > count:
        raise ValueError(f"batch is {batch}; there are {count} images")
    each = count // batch
    orders = [Stream(seed, "unroll.order", epoch).permutation(count) for epoch in range(-(-steps // each))]
    return [orders[k // each][k % each * batch : (k % each + 1) * batch] for k in range(steps)]


def _augmentations(strategy, images, batches, seed):
    if strategy in ("none", ""):
        return [None] * len(batches)
    side = tuple(images.shape[2:])
    return [draw_augmentation(strategy, side, Stream(seed, "unroll.augment", k),
                              images.shape[0] if rows is None else len(rows)) for k, rows in enumerate(batches)]
