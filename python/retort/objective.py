"""A loss written in torch operations as a method of its own."""

from __future__ import annotations

import re

import torch

from . import _core
from .draws import RealImages, Stream, apply_augmentation, draw_augmentation
from .network import Network

_DEFAULTS = {"iterations": int, "image_learning_rate": float, "image_momentum": float, "initialisation": str,
             "network": str, "protocol": str, "augmentation": str, "image_optimiser": str, "image_schedule": str,
             "clip_norm": float, "image_beta2": float, "clamp_pixels": bool}


class Run:
    """What an objective works with, given to its `setup` once a start of a run."""

    def __init__(self, told):
        self.network = Network._of(told["network"])  #: the network of the option `network`
        self.real = RealImages(told["real"])  #: the training images
        self.seed = told["seed"]  #: that of the run
        self.device = torch.device(told["device"])  #: where images are
        self.augmentation = told["augmentation"]  #: a strategy of differentiable siamese augmentation
        self.iterations = told["iterations"]  #: how many the whole run has
        self.class_names = list(told["class_names"])
        self.counts = list(told["counts"])  #: synthetic images of each class

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def stream(self, purpose: str, *indices: int) -> Stream:
        """The stream (the run's seed, purpose, indices): name the iteration, and a resumed run draws the same."""
        return Stream(self.seed, purpose, *indices)

    def draw_augmentation(self, stream: Stream, count: int | None = None) -> torch.Tensor:
        """Parameters of the run's augmentation: one row for all images, or `count` rows."""
        return draw_augmentation(self.augmentation, self.network.shape[1:3], stream, count)

    def augment(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Images [N, C, H, W] under drawn rows ([1, 16] or [N, 16]), differentiable by the images."""
        return apply_augmentation(images, rows)


class Objective:
    """Base of a method written in Python; a class with `loss` alone is one as well.

    `loss(images, labels, iteration)` is given the decoded images, float32 [M, C, H, W], network input, class after
    class; their labels, int64 [M]; and the number of the iteration, from 0. It answers with a scalar tensor, which is
    descended by the images: what they are stored as, what moves them, checkpoints, records, the page and the
    evaluation are those of every method. What `loss` draws should come from `Run.stream(purpose, iteration)`: then a
    run that was stopped and resumed ends in the same bytes.

    Class attributes: `name` (of the method, for recipe and page; else that of the class), `defaults` (a dictionary of
    options and their defaults for this method: iterations, image_learning_rate, image_momentum, initialisation,
    network, protocol, augmentation, image_optimiser, image_schedule, clip_norm, image_beta2, clamp_pixels).
    """

    def setup(self, run: Run) -> None:
        """Called once a start with a `Run`."""

    def loss(self, images: torch.Tensor, labels: torch.Tensor, iteration: int) -> torch.Tensor:
        """The number to descend."""
        raise NotImplementedError

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors by name that a resumed run must begin an iteration with; most objectives need none."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Takes back what `state` gave."""

    def identity(self) -> str:
        """What makes it another method: a run goes on with the same alone. Name the settings that matter."""
        return ""


class _Driver:
    """What C++ calls: checks what the user's class answers."""

    def __init__(self, objective, name):
        self.objective, self.name = objective, name

    def open(self, told):
        setup = getattr(self.objective, "setup", None)
        if setup is not None:
            setup(Run(told))

    def identity(self):
        identity = getattr(self.objective, "identity", None)
        return " ".join(filter(None, [f"objective {self.name}", str(identity()) if identity is not None else ""]))

    def evaluate(self, images, labels, iteration):
        with torch.enable_grad():
            leaf = images.detach().requires_grad_(True)
            loss = self.objective.loss(leaf, labels, iteration)
            if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                found = f"a tensor {list(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
                raise ValueError(f"loss() of '{self.name}' answers with {found}; a tensor with one number is expected")
            gradient = None
            if loss.requires_grad:
                gradient, = torch.autograd.grad(loss.reshape(()), leaf, allow_unused=True)
        if gradient is None:
            raise ValueError(f"loss() of '{self.name}' does not depend on the images; a value computed from them by "
                             f"torch operations, without detach() or no_grad(), is expected")
        return float(loss.detach()), gradient

    def state(self):
        state = getattr(self.objective, "state", None)
        found = {} if state is None else state()
        for key, value in found.items():
            if not isinstance(key, str) or not isinstance(value, torch.Tensor):
                raise ValueError(f"state() of '{self.name}' holds {key!r}: {type(value).__name__}; tensors by name are "
                                 f"expected")
        return {key: value.detach().cpu().contiguous() for key, value in found.items()}

    def restore(self, state):
        restore = getattr(self.objective, "restore", None)
        if restore is not None:
            restore(state)
        elif state:
            raise ValueError(f"'{self.name}' has state() and no restore()")


def method_argument(method):
    """(the option `method`, the `_core.Method`) of what `distill(method=...)` was given: a name, or an objective."""
    if method is None or isinstance(method, str):
        return method, None
    handle = method_of(method)
    return handle.name, handle


def method_of(objective):
    """The `_core.Method` of an object with `loss(images, labels, iteration)`.

    Raises:
        TypeError: no such object. ValueError: a name or defaults that cannot be.
    """
    if isinstance(objective, type):
        raise TypeError(f"method is the class {objective.__name__}; an object of it is expected: {objective.__name__}()")
    if not callable(getattr(objective, "loss", None)):
        raise TypeError(f"method is a {type(objective).__name__}; a name, or an object with loss(images, labels, "
                        f"iteration), is expected")
    name = getattr(objective, "name", None) or type(objective).__name__
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"the name of the method is {name!r}; letters, digits, - and _ are expected")
    defaults = dict(getattr(objective, "defaults", None) or {})
    for key, value in defaults.items():
        kind = _DEFAULTS.get(key)
        if kind is None:
            raise ValueError(f"defaults of '{name}' name {key!r}; there are {', '.join(_DEFAULTS)}")
        if not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(f"defaults of '{name}' give {key} as {value!r}; {kind.__name__} is expected")
    summary = (type(objective).__doc__ or "a method written in Python").strip().splitlines()[0].rstrip(".")
    return _core.method(_Driver(objective, name), name, summary, defaults)
