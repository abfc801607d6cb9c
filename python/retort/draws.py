"""What is drawn, always from a named stream: numbers, augmentations, real images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from . import _core, inputs


class Stream:
    """Random numbers that are a function of (seed, purpose, up to four indices) alone: Philox4x32-10.

    Streams with other arguments are independent; a stream can be opened anywhere without drawing what came before, so
    an iteration that opens its own needs nothing of the past (Salmon et al., SC 2011).
    """

    def __init__(self, seed: int, purpose: str, *indices: int):
        for value in (seed, *indices):
            inputs.whole("the seed or an index of a stream", value, 0)
        self._stream = _core.RandomStream(seed, purpose, list(indices))

    def integer(self, n: int) -> int:
        """Uniform in 0..n-1."""
        return self._stream.integer(inputs.whole("n", n, 1))

    def permutation(self, n: int) -> torch.Tensor:
        """A random order of 0..n-1: int64 [n]."""
        return torch.tensor(self._stream.permutation(inputs.whole("n", n, 0)), dtype=torch.int64)

    def sample(self, n: int, count: int) -> torch.Tensor:
        """`count` different integers of 0..n-1 in random order; all n of them where count >= n: int64."""
        return torch.tensor(self._stream.sample(inputs.whole("n", n, 0), inputs.whole("count", count, 0)),
                            dtype=torch.int64)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normals, float32 on the CPU."""
        return self._stream.normal(list(shape))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Uniforms of [low, high), float32 on the CPU."""
        return self._stream.uniform(list(shape), low, high)


def draw_augmentation(strategy: str, side: int | tuple[int, int], stream: Stream,
                      count: int | None = None) -> torch.Tensor:
    """Parameters of differentiable siamese augmentation (Zhao and Bilen, ICML 2021) for images of `side` pixels.

    Args:
        strategy: "color_crop_cutout_flip_scale_rotate" or some of these words, or "none"; a leading "all:" applies all.
        side: a number of pixels, or (height, width).
        stream: a `Stream`, which goes on.
        count: None draws one row [1, 16] that all images share (siamese); else one for each: [count, 16].

    Raises:
        ConfigError (a ValueError): an unknown word.
    """
    height, width = (side, side) if isinstance(side, int) else side
    return _core.draw_augmentation(strategy, height, width, stream._stream, count)


def apply_augmentation(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Images [N, C, H, W] under drawn `rows` ([N, 16], or [1, 16] for all), differentiable by the images.

    The same row gives the same transformation to real and synthetic images.
    """
    inputs.floating("images", images, ["N", "C", "H", "W"])
    if not isinstance(rows, torch.Tensor) or rows.dim() != 2 or rows.shape[1] != 16 or \
            rows.shape[0] not in (1, images.shape[0]):
        found = list(rows.shape) if isinstance(rows, torch.Tensor) else type(rows).__name__
        raise ValueError(f"rows are {found}; [1, 16] or [{images.shape[0]}, 16] of draw_augmentation() is expected")
    return _Augment.apply(images, rows.detach().to("cpu", torch.float32))


class _Augment(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, rows):
        ctx.rows = rows
        return _core.apply_augmentation(images, rows)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, cotangents):
        return _core.pull_augmentation_back(ctx.rows, cotangents.contiguous()), None


class RealImages:
    """Training images of a run as network input, float32 on its device."""

    def __init__(self, sampler):
        self._sampler = sampler

    def __len__(self) -> int:
        return self._sampler.size

    def rows(self, stream: Stream, label: int, count: int) -> list[int]:
        """Different rows of class `label` in random order: `count`, or all where it has no more; a list."""
        if not 0 <= label < self._sampler.classes:
            raise ValueError(f"label is {label}; classes from 0 to {self._sampler.classes - 1} are there")
        return self._sampler.rows(stream._stream, label, inputs.whole("count", count, 1))

    def images(self, rows: Sequence[int]) -> torch.Tensor:
        """[n, C, H, W] of given rows, in their order."""
        return self._sampler.images(self._checked(rows))

    def labels(self, rows: Sequence[int]) -> torch.Tensor:
        """int64 [n] of given rows."""
        return self._sampler.labels(self._checked(rows))

    def draw(self, stream: Stream, label: int, count: int) -> torch.Tensor:
        """Images of `rows(stream, label, count)`."""
        return self.images(self.rows(stream, label, count))

    def _checked(self, rows):
        rows = [int(row) for row in rows]
        for row in rows:
            if not 0 <= row < len(self):
                raise ValueError(f"row {row} is asked for; there are rows from 0 to {len(self) - 1}")
        return rows
