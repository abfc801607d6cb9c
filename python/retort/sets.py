"""Distilled sets as tensors, torch data and pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from . import _core
from .images import float_pixels, images_to_nchw, labels_of


class Normalize:
    """Pixels to the numbers that a network sees, as the set's images are.

    Call it on uint8 images, or floats from 0 to 1, of shape [C, H, W] or [N, C, H, W]; float32 of the same
    shape comes back, on the images' device. It is a callable as torchvision's transforms are: put it after
    `ToTensor()` to test a student on real images. `mean` and `std` are lists of one number a channel, empty
    where `kind` is "none" or "zca".
    """

    def __init__(self, handle: _core.Set):
        if handle.preprocessing_missing:
            raise _core.StateError("normalising images: the set's whitening is not in its file.\n  what to do: "
                                   "retort.evaluate(set, data) takes it from the data that it was made from")
        self.kind = handle.preprocessing
        self.mean, self.std = list(handle.mean), list(handle.deviation)
        self._whitening = handle.whitening if self.kind == "zca" else None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if images.dim() not in (3, 4):
            raise _core.DataError(f"normalising images: their shape is {list(images.shape)}; "
                                  "[C, H, W] or [N, C, H, W] is accepted")
        pixels = images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images.to(torch.float32)
        if self.kind == "mean_std":
            mean, std = (torch.tensor(values, device=pixels.device).view(-1, 1, 1) for values in (self.mean, self.std))
            return (pixels - mean) / std
        if self._whitening is not None:
            mean, matrix = (part.to(pixels.device) for part in self._whitening)
            return ((pixels.reshape(-1, mean.numel()) - mean) @ matrix).reshape(pixels.shape)
        return pixels

    def __repr__(self):
        return f"Normalize({self.kind!r}, mean={self.mean}, std={self.std})" if self.mean else f"Normalize({self.kind!r})"


class SetDataset(torch.utils.data.Dataset):
    """A set as torch data: item i is (image [C, H, W] float32, label).

    Labels are ints; where the set has soft labels, rows [K] of float32. With `augment`, every access draws anew
    from torch's generator, so `torch.manual_seed` fixes what comes.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, augment: str):
        self.images, self.labels, self.augment = images, labels, augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, label = self.images[index], self.labels[index]
        if self.augment != "none":
            image = augment(image[None], self.augment)[0]
        return image, (label if label.dim() else int(label))


def augment(images: torch.Tensor, strategy: str = "color_crop_cutout_flip_scale_rotate", *, shared: bool = False,
            generator: torch.Generator | None = None) -> torch.Tensor:
    """The differentiable augmentation of DSA (Zhao and Bilen, ICML 2021).

    `images` is float32 [N, C, H, W]; `strategy` names operations joined by `_`, of which one is picked for the
    batch with parameters drawn for each image, or for all of them alike where `shared`. `all:` before the names
    applies all in order. ConfigError on other words. The gradient flows to `images`, once.
    """
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    return _core.augment(images, strategy, seed, shared)


class SyntheticSet:
    """A distilled set: few images that stand in for many.

    `images` are float32 [M, C, H, W] as a network sees them (already normalised), class after class; `labels`
    are int64 [M]; `soft_labels` float32 [M, K] or None, to be learned in place of labels where they are there.
    `class_names` has K names, `normalize` brings real images to the same space. `network`, `protocol` and
    `augmentation` name what the set was made for. `evaluate` trains students on it.
    """

    def __init__(self, handle: _core.Set, path: str | os.PathLike | None = None):
        self._handle = handle
        self.path = None if path is None else Path(path)
        """The file or run folder that the set was loaded from, or None."""
        self.run: dict[str, Any] | None = None
        """What the command that made the set in this process answered, or None."""

    @property
    def images(self) -> torch.Tensor:
        return self._handle.images

    @property
    def labels(self) -> torch.Tensor:
        return self._handle.labels

    @property
    def soft_labels(self) -> torch.Tensor | None:
        return self._handle.soft_labels

    @property
    def class_names(self) -> list[str]:
        return self._handle.class_names

    @property
    def normalize(self) -> Normalize:
        return Normalize(self._handle)

    @property
    def pixels(self) -> torch.Tensor:
        """The images as they are displayed: float32 [M, C, H, W] from 0 to 1."""
        return self._handle.pixels()

    def __getattr__(self, name):
        if name in _ABOUT:
            return getattr(self._handle, name)
        raise AttributeError(f"'SyntheticSet' has no '{name}'")

    def __dir__(self):
        return [*super().__dir__(), *_ABOUT]

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        made = f", by {self.method}" if self.method else ""
        return (f"SyntheticSet({len(self)} images {list(self.images.shape[1:])} of {len(self.class_names)} classes"
                f"{made}{' from ' + self.data_name if self.data_name else ''})")

    def dataset(self, augment: bool | str = False) -> SetDataset:
        """The set as a torch Dataset. `augment=True` is the published augmentation that it was made for; a text
        names another one, as `retort.augment` takes it."""
        strategy = augment if isinstance(augment, str) else augment and self.augmentation or "none"
        labels = self.labels if self.soft_labels is None else self.soft_labels
        if strategy != "none":
            _core.augment(self.images[:1], strategy, 0, False)  # unknown words are refused here
        return SetDataset(self.images, labels, strategy)

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the set as a bundle (.safetensors), whole or not at all."""
        self._handle.save(os.fspath(path))
        return Path(path)

    def export(self, path: str | os.PathLike, format: str | None = None) -> Path:
        """Writes the set for other programs: `png` (a folder), `npz` or `pt`; by default as the path ends."""
        if format is None:
            endings = {".npz": "npz", ".pt": "pt", ".pth": "pt", "": "png"}
            ending = Path(path).suffix
            if ending not in endings:
                raise _core.ConfigError(f"exporting to '{path}': its ending '{ending}' names no format; "
                                        "a file .pt or .npz, or a folder, is accepted.\n  what to do: give format")
            format = endings[ending]
        self._handle.export(format, os.fspath(path))
        return Path(path)

    def show(self, per_class: int = 10):
        """The picture of the set: displayed in a notebook, else opened by Pillow."""
        picture = self._handle.picture(per_class)
        try:
            from IPython import get_ipython
            from IPython.display import Image, display
        except ImportError:
            get_ipython = None
        if get_ipython is not None and get_ipython() is not None:
            display(Image(data=picture))
            return
        import io

        from PIL import Image as Pillow

        Pillow.open(io.BytesIO(picture)).show()

    def _repr_png_(self) -> bytes:
        return self._handle.picture()

    def to_huggingface(self):
        """The set as a Hugging Face `datasets.Dataset` of PNG images and class labels (8 bits a pixel)."""
        import datasets
        import numpy
        from PIL import Image

        pixels = (self.pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        pictures = [Image.fromarray(numpy.ascontiguousarray(image.squeeze(-1) if image.shape[-1] == 1 else image))
                    for image in pixels]
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=self.class_names)})
        return datasets.Dataset.from_dict({"image": pictures, "label": self.labels.tolist()}, features=features)


_ABOUT = ("soft_label_kind", "student_learning_rate", "step_learning_rates", "method", "parametrisation", "data_name",
          "data_hash", "recipe", "protocol", "network", "augmentation", "storage_bytes", "storage", "counts", "seed",
          "images_per_class_equivalents", "compact", "preprocessing", "preprocessing_missing")


def load(path: str | os.PathLike) -> SyntheticSet:
    """The set of a run folder, or of a bundle file. DataError where it is missing or damaged."""
    return SyntheticSet(_core.load(os.fspath(path)), path)


def from_tensors(images, labels, *, class_names: list[str] | None = None, soft_labels=None,
                 normalize: tuple | Normalize | None = None, layout: str | None = None, network: str = "convnet",
                 protocol: str = "dm", augmentation: str = "color_crop_cutout_flip_scale_rotate", name: str = "",
                 method: str = "") -> SyntheticSet:
    """A set of images and labels, torch or numpy.

    uint8 images, or floats without `normalize`, are pixels (0 to 255, 0 to 1). Floats with `normalize`, a pair
    of lists (mean, std) or another set's `normalize`, are network input that was normalised so. [M, H, W, C] is
    told apart from [M, C, H, W] as `Images` does it. Rows are put in class order. DataError on what cannot be a
    set: NaN, labels out of range, shapes that do not fit.
    """
    mean, std = ([], []) if normalize is None else _mean_and_std(normalize)
    images = images_to_nchw(images, layout, "making a set of tensors")
    if images.dtype == torch.uint8:
        images = images.to(torch.float32) / 255
        if mean:
            images = (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    elif not mean:
        images = float_pixels(images, "making a set of tensors")
    if soft_labels is not None:
        soft_labels = torch.as_tensor(soft_labels).to(torch.float32)
    labels = labels_of(labels, len(images), "making a set of tensors")
    if class_names is None:
        classes = soft_labels.shape[1] if soft_labels is not None else int(labels.max()) + 1
        class_names = [str(number) for number in range(classes)]
    about = {"network": network, "protocol": protocol, "augmentation": augmentation, "data_name": name, "method": method}
    return SyntheticSet(_core.Set(images.to(torch.float32).contiguous(), labels, soft_labels, list(class_names),
                                  list(mean), list(std), about))


def _mean_and_std(normalize) -> tuple[list[float], list[float]]:
    if isinstance(normalize, Normalize):
        if normalize.kind == "zca":
            raise _core.ConfigError("making a set of tensors: a whitening cannot be given; mean and std, or None, "
                                    "are accepted")
        return normalize.mean, normalize.std
    mean, std = normalize
    return [float(value) for value in mean], [float(value) for value in std]
