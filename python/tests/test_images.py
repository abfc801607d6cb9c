"""Data that users hold."""

import numpy
import pytest
import torch
from conftest import drawn

import retort


class Items(torch.utils.data.Dataset):
    """Items as a torch Dataset gives them."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


def test_bytes_are_used_where_they_lie():
    images, labels = drawn(12, 0)
    held = retort.Images((images, labels))
    assert held.images.data_ptr() == images.ctypes.data
    assert retort.Images((torch.from_numpy(images), labels)).images.data_ptr() == images.ctypes.data


def test_layouts_and_types_give_the_same_images():
    images, labels = drawn(12, 0)
    held = retort.Images((images, labels)).images
    for other in [numpy.moveaxis(images, 1, 3), images.astype("float32") / 255, torch.from_numpy(images).double() / 255]:
        assert torch.equal(retort.Images((other, labels)).images, held)
    backwards = retort.Images((images[::-1], labels[::-1]))
    assert torch.equal(backwards.images, held.flip(0)) and backwards.labels.tolist() == labels[::-1].tolist()
    grey = retort.Images((images[:, 0], labels))
    assert torch.equal(grey.images[:, 0], held[:, 0])
    narrow = numpy.zeros((12, 3, 16, 3), dtype="uint8")
    with pytest.raises(retort.ConfigError, match="layout="):
        retort.Images((narrow, labels))
    assert retort.Images((narrow, labels), layout="NHWC").images.shape == (12, 3, 3, 16)


def test_torch_datasets(tmp_path):
    images, labels = drawn(12, 0)
    held = retort.Images((images, labels)).images
    floats = Items([(torch.from_numpy(image).float() / 255, int(label)) for image, label in zip(images, labels)], ["a", "b", "c"])
    found = retort.Images(floats)
    assert torch.equal(found.images, held) and found.class_names == ["a", "b", "c"]
    pillow = pytest.importorskip("PIL.Image")
    pictures = Items([(pillow.fromarray(numpy.moveaxis(image, 0, 2)), int(label)) for image, label in zip(images, labels)])
    assert torch.equal(retort.Images(pictures).images, held)


def test_torchvision_sets_are_not_read_item_by_item():
    class Cifar(Items):
        transform = target_transform = transforms = None

        def __getitem__(self, index):
            raise AssertionError("an item was asked for")

    images, labels = drawn(12, 0)
    cifar = Cifar([])
    cifar.data, cifar.targets, cifar.classes = numpy.moveaxis(images, 1, 3), labels.tolist(), ["a", "b", "c"]
    assert retort.Images(cifar).class_names == ["a", "b", "c"]


def test_hugging_face_splits_go_in_and_come_back(tmp_path):
    datasets = pytest.importorskip("datasets")
    pillow = pytest.importorskip("PIL.Image")
    images, labels = drawn(12, 0)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    split = datasets.Dataset.from_dict({"image": [pillow.fromarray(numpy.moveaxis(image, 0, 2)) for image in images],
                                        "label": labels.tolist()}, features=features)
    held = retort.Images(split)
    assert torch.equal(held.images, torch.from_numpy(images)) and held.class_names == ["a", "b", "c"]
    made = retort.distill(data=datasets.DatasetDict({"train": split, "test": split}), method="random", images_per_class=2,
                          network="convnet-w8", out=tmp_path / "run", progress=False)
    back = made.to_huggingface()
    assert back.features["label"].names == ["a", "b", "c"] and list(back["label"]) == [0, 0, 1, 1, 2, 2]
    again = retort.Images(back)
    assert torch.equal(again.images, (made.pixels * 255).round().to(torch.uint8))


def test_a_hugging_face_split_with_a_damaged_image_is_refused():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    split = datasets.Dataset.from_dict({"image": [{"bytes": b"no picture", "path": None}] * 2, "label": [0, 1]},
                                       features=features)
    with pytest.raises(retort.DataError, match="item 0 of the split could not be read"):
        retort.Images(split)


def good():
    return [(torch.from_numpy(image), int(label)) for image, label in zip(*drawn(12, 0))]


@pytest.mark.parametrize("train, words", [
    ((drawn(12, 0)[0], drawn(11, 0)[1]), "labels of shape"),
    ((drawn(12, 0)[0], drawn(12, 0)[1] - 1), "label -1"),
    ((drawn(12, 0)[0], drawn(12, 0)[1] * 2), "class 1"),
    ((drawn(12, 0)[0].astype("int32"), drawn(12, 0)[1]), "int32"),
    ((drawn(12, 0)[0] / 255 * float("nan"), drawn(12, 0)[1]), "not finite"),
    ((drawn(12, 0)[0] - 300.0, drawn(12, 0)[1]), "floats from"),
    ((numpy.zeros((0, 3, 8, 8), "uint8"), []), "no images"),
    ((drawn(12, 0)[0][0, 0], drawn(12, 0)[1]), "shape"),
    ((drawn(12, 0)[0], ["a"] * 12), "no numbers"),
    (Items([]), "empty"),
    (Items(good()[:3] + [OSError("the disk is gone")] + good()[4:]), "item 3 .*OSError: the disk is gone"),
    (Items(good()[:3] + [(torch.zeros(3, 8, 8, dtype=torch.uint8), 0)]), "image 3 is"),
    (Items([1, 2, 3]), "no pair"),
    (Items(good()[:2] + [(good()[2][0], 1.5)]), "item 2 is no pair .*the label is 1.5"),
    (Items(good()[:2] + [(good()[2][0], torch.eye(3)[0])]), "item 2 is no pair"),
    (Items(good()[:2] + [(good()[2][0], "a cat")]), "item 2 is no pair .*a cat"),
])
def test_what_is_no_data_is_refused(train, words):
    with pytest.raises(retort.DataError, match=words):
        retort.Images(train)


def test_other_things_are_refused():
    with pytest.raises(retort.ConfigError, match="a path, a pair"):
        retort.Images(7)
    with pytest.raises(retort.ConfigError, match="NCHW or NHWC"):
        retort.Images(drawn(12, 0), layout="CHWN")
    with pytest.raises(retort.DataError, match=r"label 5 .*\n?.*classes"):
        retort.Images((drawn(12, 0)[0], numpy.full(12, 5)), class_names=["a", "b"])
    with pytest.raises(retort.DataError, match="test images"):
        retort.Images(drawn(12, 0), drawn(12, 0, side=8))


def test_options_of_files_are_refused_for_images_in_memory(small, tmp_path):
    with pytest.raises(retort.ConfigError, match="resolution"):
        retort.distill(data=small, out=tmp_path / "run", method="random", resolution=8, progress=False)
    assert not (tmp_path / "run" / "recipe.toml").exists()
