"""What is checked of tensors before they reach C++: one clear ValueError each."""

import torch


def floating(name, value, dimensions):
    """A float32 or float64 tensor of as many dimensions as `dimensions` names, all numbers finite."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; a torch.Tensor is expected")
    if value.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} is {value.dtype}; torch.float32 or torch.float64 is expected")
    if value.dim() != len(dimensions):
        raise ValueError(f"{name} has the shape {list(value.shape)}; [{', '.join(dimensions)}] is expected")
    if not bool(torch.isfinite(value.detach()).all()):
        raise ValueError(f"{name} holds numbers that are not finite (NaN or infinite)")
    return value


def alike(name, value, other_name, other):
    """The same type and device."""
    if value.dtype != other.dtype:
        raise ValueError(f"{name} is {value.dtype} and {other_name} is {other.dtype}; one type for both is expected")
    if value.device != other.device:
        raise ValueError(f"{name} is on {value.device} and {other_name} on {other.device}; one device is expected")


def images(value, shape):
    """[N, C, H, W] as a network of `shape` (channels, height, width, classes) takes them."""
    floating("images", value, ["N", "C", "H", "W"])
    if value.shape[0] == 0:
        raise ValueError("images are none; at least one is expected")
    if tuple(value.shape[1:]) != tuple(shape[:3]):
        raise ValueError(f"images are {_by(value.shape[1:])}; the network was made for {_by(shape[:3])}")
    return value


def labels(value, count, classes, like, others=()):
    """int64 [N], classes, or floating [N, K], a weight for each class. `others`: further floating kinds are taken."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"labels are a {type(value).__name__}; a torch.Tensor is expected")
    if value.dtype.is_floating_point:
        floating("labels", value, ["N", "K"])
        if tuple(value.shape) != (count, classes):
            raise ValueError(f"labels have the shape {list(value.shape)}; [{count}, {classes}] is expected")
        alike("labels", value, "images", like)
        return value
    if value.dtype != torch.int64:
        raise ValueError(f"labels are {value.dtype}; torch.int64 [N], or floating [N, K], is expected")
    if value.dim() != 1 or value.shape[0] != count:
        raise ValueError(f"labels have the shape {list(value.shape)}; [{count}], one for each image, is expected")
    low, high = int(value.min()), int(value.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(f"labels hold {wrong}; classes from 0 to {classes - 1} are expected")
    if value.device != like.device:
        raise ValueError(f"labels are on {value.device} and images on {like.device}; one device is expected")
    return value


def theta(value, size, like, name="theta", groups=True):
    """[P], or [G, P] where `groups`, of the type and device of the images."""
    dimensions = ["G", "P"] if groups and isinstance(value, torch.Tensor) and value.dim() == 2 else ["P"]
    floating(name, value, dimensions)
    if value.shape[-1] != size:
        raise ValueError(f"{name} has {value.shape[-1]} numbers; the network has {size} parameters")
    alike(name, value, "images", like)
    return value


def whole(name, value, least):
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}; a whole number is expected")
    if value < least:
        raise ValueError(f"{name} is {value}; at least {least} is expected")
    return value


def _by(sizes):
    return "x".join(str(int(size)) for size in sizes)
