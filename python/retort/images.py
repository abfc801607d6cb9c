"""Data that users hold: arrays, torch datasets, Hugging Face splits, as images that the library takes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch

from . import _core

_CHANNELS = (1, 3)


def images_to_nchw(images: Any, layout: str | None, doing: str) -> torch.Tensor:
    """A contiguous CPU tensor [N, C, H, W] of uint8 or float32: a view where the memory is already so."""
    images = _tensor_of(images, doing)
    if images.dim() == 3:
        images = images.unsqueeze(1)  # grey images [N, H, W]
    if images.dim() != 4:
        raise _core.DataError(f"{doing}: images have the shape {list(images.shape)}; [N, C, H, W], [N, H, W, C] or, "
                              "in grey, [N, H, W] is accepted")
    if (layout or _layout_of(images, doing)) == "NHWC":
        images = images.permute(0, 3, 1, 2)
    if images.numel() == 0:
        raise _core.DataError(f"{doing}: there are no images, their shape is {list(images.shape)}")
    if images.dtype == torch.bool or images.dtype == torch.uint8:
        return images.to(torch.uint8).contiguous()
    if not images.is_floating_point():
        raise _core.DataError(f"{doing}: images are of type {images.dtype}; uint8 from 0 to 255 or floats are "
                              "accepted.\n  what to do: images.astype('uint8') where they are bytes")
    images = images.to(torch.float32).contiguous()
    if not bool(torch.isfinite(images).all()):
        row = int((~torch.isfinite(images.flatten(1))).any(1).nonzero()[0])
        raise _core.DataError(f"{doing}: image {row} holds a number that is not finite (NaN or infinity)")
    return images


def _tensor_of(images: Any, doing: str) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        return images.detach().cpu()
    try:
        array = numpy.asarray(images)
        if not array.flags.writeable or min(array.strides, default=0) < 0:
            array = array.copy()  # torch has no read-only tensors, and none that run backwards
        return torch.from_numpy(array)
    except (TypeError, ValueError) as problem:
        raise _core.DataError(f"{doing}: images are {type(images).__name__}, which is no array of one shape "
                              f"({problem}); a numpy array or torch tensor is accepted") from problem


def _layout_of(images: torch.Tensor, doing: str) -> str:
    first, last = images.shape[1] in _CHANNELS, images.shape[3] in _CHANNELS
    if first != last:
        return "NCHW" if first else "NHWC"
    raise _core.ConfigError(f"{doing}: of images {list(images.shape)} it cannot be told where the channels are.\n"
                            "  what to do: give layout='NCHW' or layout='NHWC'")


def float_pixels(images: torch.Tensor, doing: str) -> torch.Tensor:
    """Floats from 0 to 1, as they are; DataError for others."""
    low, high = float(images.min()), float(images.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise _core.DataError(f"{doing}: floats from {low:.4g} to {high:.4g}; pixels from 0 to 1, or uint8 from 0 to "
                              "255, are accepted.\n  what to do: give images before they are normalised, or "
                              "images.astype('uint8') where they are from 0 to 255")
    return images.clamp(0, 1)


def _bytes_of(images: torch.Tensor, doing: str) -> torch.Tensor:
    if images.dtype == torch.uint8:
        return images
    return (float_pixels(images, doing) * 255).round().to(torch.uint8)


def labels_of(labels: Any, count: int, doing: str) -> torch.Tensor:
    """int64 [N]; DataError where they are not one whole number for each image."""
    try:
        labels = labels.detach().cpu() if isinstance(labels, torch.Tensor) else torch.as_tensor(numpy.ascontiguousarray(labels))
    except TypeError as problem:
        raise _core.DataError(f"{doing}: labels are no numbers ({problem}); whole numbers from 0 are accepted, one an "
                              "image") from problem
    if labels.dim() == 2 and labels.shape[1] == 1:
        labels = labels.squeeze(1)
    if labels.dim() != 1 or len(labels) != count:
        raise _core.DataError(f"{doing}: labels of shape {list(labels.shape)} for {count} images; one whole number "
                              "an image is accepted")
    if labels.is_floating_point() and not bool((labels == labels.round()).all()):
        raise _core.DataError(f"{doing}: labels are not whole numbers")
    return labels.to(torch.int64).contiguous()


class Images:
    """Labelled images in memory, in place of a path: what `data=` of the runs takes.

    `train` and `test` are each a pair `(images, labels)` of numpy arrays or torch tensors, a torch Dataset, or a
    Hugging Face split. Images are uint8, or floats from 0 to 1, as [N, C, H, W], [N, H, W, C] or, in grey,
    [N, H, W]; `layout` ("NCHW" or "NHWC") is asked for where sizes leave it open. uint8 images that lie as
    [N, C, H, W] are used where they are, without a copy; they must not change while a run uses them. Without
    `test`, a part of every class is split off as of any data set (options `test_fraction` and `split_seed`).
    `class_names` are taken from a dataset that has them, else are numbers. `mirrorable=False` for characters:
    they are never flipped.
    """

    def __init__(self, train: Any, test: Any = None, *, class_names: Sequence[str] | None = None,
                 layout: str | None = None, name: str = "memory", mirrorable: bool = True):
        if layout not in (None, "NCHW", "NHWC"):
            raise _core.ConfigError(f"taking images from memory: layout is {layout!r}; NCHW or NHWC is accepted")
        images, labels, names = _part(train, layout, "training")
        test_images = test_labels = None
        if test is not None:
            test_images, test_labels, _ = _part(test, layout, "test")
            if test_images.shape[1:] != images.shape[1:]:
                raise _core.DataError(f"taking images from memory: training images are {list(images.shape[1:])}, "
                                      f"test images {list(test_images.shape[1:])}")
        names = class_names if class_names is not None else names
        if names is None:
            names = [str(number) for number in range(max(int(labels.max()) + 1, 1))]
        self._handle = _core.Data(name, [str(one) for one in names], images, labels, test_images, test_labels,
                                  mirrorable)

    @property
    def images(self) -> torch.Tensor:
        """Training images, uint8 [N, C, H, W]."""
        return self._handle.images

    @property
    def labels(self) -> torch.Tensor:
        return self._handle.labels

    @property
    def class_names(self) -> list[str]:
        return self._handle.class_names

    def __repr__(self):
        return (f"Images({len(self.labels)} of {list(self.images.shape[1:])}, {len(self.class_names)} classes, "
                f"{len(self._handle.test_labels) or 'no'} test images)")


def data_argument(data: Any) -> tuple[str, Images | None]:
    """What `--data` is told, and the images where they lie in memory."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data), None
    if isinstance(data, Mapping) and "train" in data:  # a DatasetDict, or a dictionary of parts
        test = next((data[part] for part in ("test", "validation", "val") if part in data), None)
        data = Images(data["train"], test)
    elif not isinstance(data, Images):
        data = Images(data)
    return data._handle.name, data


def _part(part: Any, layout: str | None, which: str) -> tuple[torch.Tensor, torch.Tensor, Sequence[str] | None]:
    doing = f"taking {which} images from memory"
    if isinstance(part, (tuple, list)) and len(part) == 2 and not isinstance(part[0], (tuple, str)):
        images, labels, names = part[0], part[1], None
    elif hasattr(part, "features") and hasattr(part, "column_names"):
        images, labels, names = _of_huggingface(part, doing)
    elif _plain_torchvision(part):
        images, labels, names = part.data, part.targets, getattr(part, "classes", None)
    elif hasattr(part, "__getitem__") and hasattr(part, "__len__"):
        images, labels, names = _of_items(part, doing)
    else:
        raise _core.ConfigError(f"{doing}: {type(part).__name__} was given; a path, a pair (images, labels), a torch "
                                "Dataset, a Hugging Face split or retort.Images is accepted")
    images = _bytes_of(images_to_nchw(images, layout, doing), doing)
    return images, labels_of(labels, len(images), doing), names


def _plain_torchvision(part: Any) -> bool:
    """CIFAR and MNIST of torchvision, whose items are what lies in memory."""
    untouched = all(getattr(part, name, None) is None for name in ("transform", "target_transform", "transforms"))
    return untouched and isinstance(getattr(part, "data", None), (numpy.ndarray, torch.Tensor)) and hasattr(part, "targets")


def _of_huggingface(split: Any, doing: str) -> tuple[Any, Any, Sequence[str] | None]:
    features = split.features
    kind = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name in features if kind[name] in ("Image", "Array3D", "Array2D")]
    labels = [name for name in features if kind[name] == "ClassLabel"] or [name for name in features
                                                                          if name in ("label", "labels", "fine_label")]
    if len(images) != 1 or not labels:
        raise _core.DataError(f"{doing}: the split has the columns {', '.join(features)}; one column of images and one "
                              "of class labels are accepted.\n  what to do: select_columns(['image', 'label'])")
    if len(labels) > 1:
        raise _core.ConfigError(f"{doing}: several columns are class labels, {', '.join(labels)}.\n  what to do: "
                                "remove_columns the others")
    names = getattr(features[labels[0]], "names", None)
    pairs = ((row[images[0]], row[labels[0]]) for row in _each(split, doing))
    stacked, targets = _stack(pairs, len(split), doing)
    return stacked, targets, names


def _of_items(dataset: Any, doing: str) -> tuple[Any, Any, Sequence[str] | None]:
    names = getattr(dataset, "classes", None)
    items = (dataset[index] for index in range(len(dataset)))
    images, labels = _stack(_each(items, doing, type(dataset).__name__), len(dataset), doing)
    return images, labels, names


def _each(items: Any, doing: str, name: str = "the split") -> Any:
    """Items one after another; DataError naming the one that could not be read."""
    items = iter(items)
    for index in itertools.count():
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as problem:
            raise _core.DataError(f"{doing}: item {index} of {name} could not be read: "
                                  f"{type(problem).__name__}: {problem}") from problem
        yield item


def _stack(pairs: Any, count: int, doing: str) -> tuple[torch.Tensor, list[int]]:
    """Items one after another into one block: no list of all images is held beside it."""
    if count == 0:
        raise _core.DataError(f"{doing}: the dataset is empty")
    block, labels = torch.empty(0), []
    for index, pair in enumerate(pairs):
        try:
            image, label = pair
            image = torch.from_numpy(numpy.array(image)) if not isinstance(image, torch.Tensor) else image
            labels.append(int(label))
            if labels[-1] != label:
                raise ValueError(f"the label is {label}")
        except (TypeError, ValueError, RuntimeError) as problem:
            raise _core.DataError(f"{doing}: item {index} is no pair (image, number of a class): {problem}") from problem
        if index == 0:
            block = torch.empty((count, *image.shape), dtype=image.dtype)
        if image.shape != block.shape[1:] or image.dtype != block.dtype:
            raise _core.DataError(f"{doing}: image {index} is {list(image.shape)} of {image.dtype}, those before are "
                                  f"{list(block.shape[1:])} of {block.dtype}.\n  what to do: bring them to one size "
                                  "and one mode")
        block[index] = image
    return block, labels
