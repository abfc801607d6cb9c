"""Networks as pure functions of one parameter vector, with exact products of second order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from . import _core, inputs
from .draws import Stream


class Gradient(NamedTuple):
    """What `Network.gradient` answers. With groups, `loss` is [G] and `theta` [G, P]."""

    loss: torch.Tensor  #: scalar: the mean over the rows
    theta: torch.Tensor  #: dl/dtheta, [P]
    images: torch.Tensor | None  #: dl/dX, [N, C, H, W], where asked for
    labels: torch.Tensor | None  #: dl/dY, [N, K], where asked for
    logits: torch.Tensor  #: [N, K]
    statistics: torch.Tensor | None  #: new running statistics [S], where the network has some


class GradientJvp(NamedTuple):
    """What `Network.gradient_jvp` answers: derivatives of a `Gradient` along theta + e v at e = 0."""

    loss: torch.Tensor  #: <g, v>
    theta: torch.Tensor  #: H v, [P]
    images: torch.Tensor | None  #: (d2l/dX dtheta) v
    labels: torch.Tensor | None  #: (d2l/dY dtheta) v


class Network:
    """A network of retort as a pure function of its parameters `theta`, one tensor [P].

    Calls take tensors on any device, float32 or float64, all of one type, and change none of them. `gradient` and
    `observe` are functions that autograd can differentiate, once; the derivative of a gradient costs one
    `gradient_jvp`, an exact product of second order without a graph (Pearlmutter, 1994), and not a graph of a graph.

    Args:
        specification: a name and its variants, "convnet", "convnet-w128-d4", "resnet18-bn-ap"; `retort list networks`
            shows them.
        channels, side, classes: what it is built for; `side` is a number of pixels, or (height, width).

    Raises:
        ConfigError (a ValueError): an unknown name, or a shape that the network cannot take.
    """

    def __init__(self, specification: str = "convnet", *, channels: int = 3, side: int | tuple[int, int] = 32,
                 classes: int = 10):
        height, width = (side, side) if isinstance(side, int) else side
        for name, value in (("channels", channels), ("side", height), ("side", width), ("classes", classes)):
            inputs.whole(name, value, 1)
        self._network = _core.Network(specification, channels, height, width, classes)

    @classmethod
    def _of(cls, network):
        self = cls.__new__(cls)
        self._network = network
        return self

    @property
    def name(self) -> str:
        """The specification that it was made from."""
        return self._network.name

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(channels, height, width, classes)."""
        return self._network.shape

    @property
    def parameters(self) -> int:
        """P, the number of parameters."""
        return self._network.parameters

    @property
    def statistics(self) -> int:
        """S, how many running statistics it has: 0 without BatchNorm."""
        return self._network.statistics

    @property
    def taps(self) -> list[str]:
        """The values that `observe` can show: "logits", "features" (input of the last linear layer), "NAME.input"."""
        return list(self._network.taps)

    def __repr__(self):
        channels, height, width, classes = self.shape
        return (f"retort.Network({self.name!r}, {channels}x{height}x{width}, {classes} classes, "
                f"{self.parameters} parameters)")

    def initial(self, seed: int = 0, *, stream: Stream | None = None) -> torch.Tensor:
        """Parameters by PyTorch's default initialisation: float32 [P] on the CPU, of `seed` or of a `Stream`."""
        return self._network.initial((stream or Stream(seed, "network"))._stream)

    def initial_statistics(self) -> torch.Tensor | None:
        """Running statistics of a fresh network (means 0, variances 1), float32 [S] on the CPU; None without."""
        return self._network.initial_state() if self.statistics else None

    def named(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of `theta` by parameter, {"block1.conv.weight": [...], ...}, in the order that they lie in it."""
        if not isinstance(theta, torch.Tensor) or tuple(theta.shape) != (self.parameters,):
            raise ValueError(f"theta is not a tensor [{self.parameters}]")
        return {name: theta[offset : offset + count].view(shape)
                for name, shape, offset, count in self._network.slots}

    def gradient(self, theta: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, *, loss: str = "cross_entropy",
                 temperature: float = 1.0, statistics: torch.Tensor | None = None, norm: str = "batch",
                 groups: Sequence[int] | None = None, images_gradient: bool = False,
                 labels_gradient: bool = False) -> Gradient:
        """The mean loss and its gradient.

        The loss can be differentiated by theta, images and floating labels, and so can the gradient (once): matching
        of gradients is plain torch code, at the price of one `gradient_jvp`.

        Args:
            theta: [P], or [G, P] for G networks side by side.
            images: [N, C, H, W], network input.
            labels: int64 [N], or floating [N, K].
            loss: "cross_entropy" (floating labels are weights of the classes), "kl" (they are logits, brought through
                softmax at `temperature`, times its square) or "squared" (they are plain numbers; summed over classes).
            statistics: [S] or [G, S] running statistics of networks that have some.
            norm: "batch" (statistics of the batch), "updating" (and running ones are renewed) or "frozen" (running).
            groups: how many rows each of G groups has, in order; they are independent of each other.
            images_gradient, labels_gradient: also answer dl/dX, dl/dY (without a graph).

        Raises:
            ValueError: shapes, types or devices that do not fit, labels out of range, numbers that are not finite.
        """
        asked = self._ask(theta, images, statistics, norm, groups)
        targets = self._targets(labels, images, loss, temperature)
        found_loss, found, *rest = _Gradient.apply(
            theta, images, targets, self._network, asked, (loss, float(temperature)),
            (bool(images_gradient), bool(labels_gradient)))
        return Gradient(found_loss, found, *rest)

    def gradient_jvp(self, theta: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, v: torch.Tensor, *,
                     loss: str = "cross_entropy", temperature: float = 1.0, statistics: torch.Tensor | None = None,
                     norm: str = "batch", groups: Sequence[int] | None = None, images_gradient: bool = True,
                     labels_gradient: bool = False) -> GradientJvp:
        """Exact derivatives of `gradient` along `v` ([P], or [G, P]), without a graph: H v, <g, v> and the mixed ones.

        Arguments and errors are those of `gradient`.
        """
        asked = self._ask(theta, images, statistics, norm, groups)
        targets = self._targets(labels, images, loss, temperature)
        inputs.theta(v, self.parameters, images, "v")
        if theta.dim() == 2 and v.shape != theta.shape:
            raise ValueError(f"v has the shape {list(v.shape)}; that of theta, {list(theta.shape)}, is expected")
        return GradientJvp(*self._network.gradient_jvp(
            _question(theta, images, asked), _core.Targets(targets, loss, float(temperature)), v,
            bool(images_gradient), bool(labels_gradient)))

    def observe(self, theta: torch.Tensor, images: torch.Tensor, taps: str | Sequence[str] = "features", *,
                statistics: torch.Tensor | None = None, norm: str = "batch",
                groups: Sequence[int] | None = None) -> Any:
        """Values inside one forward pass: a tensor for one name of `Network.taps`, a dictionary for a list of them.

        They can be differentiated (once) by theta and images. Arguments and errors are those of `gradient`.
        """
        asked = self._ask(theta, images, statistics, norm, groups)
        names = [taps] if isinstance(taps, str) else list(taps)
        unknown = [name for name in names if name not in self._network.taps]
        if unknown or not names:
            raise ValueError(f"no tap is called {unknown[0] if unknown else ''!r}; there are {', '.join(self.taps)}")
        seen = _Observe.apply(theta, images, self._network, asked, names)
        return seen[0] if isinstance(taps, str) else dict(zip(names, seen))

    def predict(self, theta: torch.Tensor, images: torch.Tensor, *,
                statistics: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [N, K] as of a network in use: running statistics, without a graph, in pieces that fit into caches."""
        asked = self._ask(theta, images, statistics, "frozen", None, groups_of_theta=False)
        return self._network.predict(theta, asked[0], images)

    def _ask(self, theta, images, statistics, norm, groups, groups_of_theta=True):
        inputs.images(images, self.shape)
        inputs.theta(theta, self.parameters, images, groups=groups_of_theta)
        if norm not in ("batch", "updating", "frozen"):
            raise ValueError(f"norm is {norm!r}; batch, updating or frozen is expected")
        offsets = [0]
        for rows in groups or []:
            offsets.append(offsets[-1] + inputs.whole("groups", rows, 1))
        if groups and offsets[-1] != images.shape[0]:
            raise ValueError(f"groups have {offsets[-1]} rows together; there are {images.shape[0]} images")
        if theta.dim() == 2 and theta.shape[0] != max(len(offsets) - 1, 1):
            raise ValueError(f"theta has {theta.shape[0]} rows; one for each of {max(len(offsets) - 1, 1)} groups is "
                             f"expected")
        return self._statistics(statistics, theta, images, norm), offsets if groups else [], norm

    def _statistics(self, statistics, theta, images, norm):
        if self.statistics == 0:
            return None
        if statistics is None:
            if norm != "batch":
                raise ValueError(f"norm {norm!r} takes running statistics; give `statistics`, such as "
                                 f"initial_statistics()")
            statistics = self.initial_statistics().to(images)
            return statistics.expand(theta.shape[0], -1).contiguous() if theta.dim() == 2 else statistics
        inputs.floating("statistics", statistics, ["G", "S"] if statistics.dim() == 2 else ["S"])
        inputs.alike("statistics", statistics, "images", images)
        if statistics.shape[-1] != self.statistics:
            raise ValueError(f"statistics has {statistics.shape[-1]} numbers; the network has {self.statistics}")
        return statistics

    def _targets(self, labels, images, loss, temperature):
        if loss not in ("cross_entropy", "kl", "squared"):
            raise ValueError(f"loss is {loss!r}; cross_entropy, kl or squared is expected")
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}; a number above 0 is expected")
        inputs.labels(labels, images.shape[0], self.shape[3], images)
        if loss != "cross_entropy" and not labels.dtype.is_floating_point:
            raise ValueError(f"loss {loss!r} takes floating labels [N, K]; they are {labels.dtype}")
        return labels


def _question(theta, images, asked):
    statistics, offsets, norm = asked
    return _core.Question(theta, images, statistics, offsets, getattr(_core.NormMode, norm))


def _by_row(factor, value, offsets):
    """value times its group's factor (a scalar without groups), row by row."""
    if not offsets:
        return value * factor
    rows = torch.tensor([last - first for first, last in zip(offsets, offsets[1:])], device=factor.device)
    return value * factor.repeat_interleave(rows).view(-1, *[1] * (value.dim() - 1))


class _Gradient(torch.autograd.Function):
    """(loss, dl/dtheta, ...) whose way back is one gradient_jvp along the cotangent of dl/dtheta."""

    @staticmethod
    def forward(ctx, theta, images, targets, network, asked, kind, more):
        _, needs_images, needs_targets = ctx.needs_input_grad[:3]
        found = network.gradient(_question(theta, images, asked), _core.Targets(targets, *kind),
                                 needs_images or more[0], needs_targets or more[1])
        loss, of_theta, of_images, of_targets, logits, statistics = found
        ctx.save_for_backward(theta, images, targets, of_theta, of_images if needs_images else None,
                              of_targets if needs_targets else None)
        ctx.asked = network, asked, kind
        ctx.set_materialize_grads(False)
        # What leaves without a graph is apart from what is kept for the way back.
        rest = (of_images if more[0] else None, of_targets if more[1] else None, logits, statistics)
        ctx.mark_non_differentiable(*[one for one in rest if one is not None])
        return (loss, of_theta.clone(), *rest)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, by_loss, by_theta, *_):
        theta, images, targets, *first = ctx.saved_tensors
        network, asked, kind = ctx.asked
        needs = ctx.needs_input_grad[:3]
        answer = [None, None, None]
        if by_loss is not None:
            for i, value in enumerate(first):
                if needs[i]:
                    answer[i] = _per_group(by_loss, value, asked[1]) if i == 0 else _by_row(by_loss, value, asked[1])
            if needs[0] and theta.dim() == 1 and answer[0].dim() == 2:
                answer[0] = answer[0].sum(0)
        if by_theta is not None and any(needs):
            second = network.gradient_jvp(_question(theta, images, asked), _core.Targets(targets, *kind),
                                          by_theta.contiguous(), needs[1], needs[2])[1:]
            for i, value in enumerate(second):
                if needs[i]:
                    if i == 0 and theta.dim() == 1 and value.dim() == 2:
                        value = value.sum(0)
                    answer[i] = value if answer[i] is None else answer[i] + value
        return (*answer, None, None, None, None)


def _per_group(factor, value, offsets):
    return value * (factor.unsqueeze(-1) if offsets else factor)


class _Observe(torch.autograd.Function):
    """Taps of a forward pass, and the pass back."""

    @staticmethod
    def forward(ctx, theta, images, network, asked, names):
        needs_theta, needs_images = ctx.needs_input_grad[:2]
        seen, _, pullback = network.observe(_question(theta, images, asked), names, needs_theta, needs_images)
        ctx.save_for_backward(theta, images)
        ctx.asked, ctx.pullback = (network, asked, names), pullback
        ctx.set_materialize_grads(False)
        return tuple(seen[name] for name in names)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *cotangents):
        network, asked, names = ctx.asked
        pullback, ctx.pullback = ctx.pullback, None
        if pullback is None:  # a graph that was kept for a second time: the pass is run again
            theta, images = ctx.saved_tensors
            pullback = network.observe(_question(theta, images, asked), names, *ctx.needs_input_grad[:2])[2]
        given = {name: one.contiguous() for name, one in zip(names, cotangents) if one is not None}
        if not given:
            return None, None, None, None, None
        images, theta = pullback(given)
        return (theta if ctx.needs_input_grad[0] else None, images if ctx.needs_input_grad[1] else None, None, None,
                None)
