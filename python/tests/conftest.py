"""What the tests share: small labelled images that networks can learn, and a quick distillation of them."""

import signal

import numpy
import pytest

import retort

# What a shell runs in the background ignores Ctrl-C, and would hand that on to the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def drawn(count: int, seed: int, classes: int = 3, side: int = 16) -> tuple[numpy.ndarray, numpy.ndarray]:
    """uint8 [N, 3, side, side]: class c is bright in channel c, on noise."""
    random = numpy.random.default_rng(seed)
    labels = numpy.arange(count) % classes
    images = random.integers(0, 120, (count, 3, side, side), dtype=numpy.uint8)
    for row, label in enumerate(labels):
        images[row, label] += 100
    return images, labels


@pytest.fixture(scope="session")
def small():
    return retort.Images(drawn(60, 0), drawn(30, 1), class_names=["red", "green", "blue"])


QUICK = {"method": "dm", "images_per_class": 1, "iterations": 4, "network": "convnet-w8", "real_batch": 8, "seed": 3,
         "progress": False}


@pytest.fixture(scope="session")
def made(small, tmp_path_factory):
    return retort.distill(data=small, out=tmp_path_factory.mktemp("made") / "run", **QUICK)
