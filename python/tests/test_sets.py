"""Sets: tensors, files, torch data, pictures."""

import numpy
import pytest
import torch
from conftest import drawn

import retort


def test_a_set_has_its_images_labels_and_names(made):
    assert made.images.shape == (3, 3, 16, 16) and made.images.dtype == torch.float32
    assert made.labels.tolist() == [0, 1, 2] and made.labels.dtype == torch.int64
    assert made.class_names == ["red", "green", "blue"]
    assert made.method == "dm" and made.network == "convnet-w8" and len(made) == 3
    assert "3 images" in repr(made)


def test_images_are_normalised_pixels(made):
    back = made.normalize(made.pixels)
    inside = (made.pixels > 0) & (made.pixels < 1)
    assert inside.float().mean() > 0.3
    assert torch.allclose(back[inside], made.images[inside], atol=1e-5)
    assert torch.allclose(made.normalize((made.pixels[0] * 255).round().to(torch.uint8)), made.images[0].clamp(-9, 9), atol=3)


def test_normalize_is_that_of_the_library(made, small):
    mean, std = made.normalize.mean, made.normalize.std
    pixels = small.images.double() / 255
    assert numpy.allclose(mean, pixels.mean((0, 2, 3)).numpy(), atol=1e-9)
    assert numpy.allclose(std, pixels.std((0, 2, 3), unbiased=False).numpy(), atol=1e-9)


def test_whitening_is_that_of_the_library(small, tmp_path):
    made = retort.distill(data=small, out=tmp_path / "run", method="random", images_per_class=2, normalisation="zca",
                          network="convnet-w8", progress=False)
    if made.preprocessing_missing:
        with pytest.raises(retort.StateError, match="whitening"):
            made.normalize
    else:
        assert torch.allclose(made.normalize(made.pixels), made.images, atol=1e-3)


def test_files_go_out_and_come_back_in_the_same_bytes(made, tmp_path):
    path = made.save(tmp_path / "set.safetensors")
    again = retort.load(path)
    assert torch.equal(again.images, made.images) and again.class_names == made.class_names
    again.save(tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_exports_are_read_by_torch_and_numpy(made, tmp_path):
    made.export(tmp_path / "set.pt")
    held = torch.load(tmp_path / "set.pt", weights_only=True)
    assert torch.equal(held["images"], made.images)
    made.export(tmp_path / "set.npz")
    assert numpy.load(tmp_path / "set.npz")["labels"].tolist() == [0, 1, 2]
    made.export(tmp_path / "pictures")
    assert len(list((tmp_path / "pictures").glob("*/*.png"))) == 3
    with pytest.raises(retort.ConfigError, match="names no format"):
        made.export(tmp_path / "set.xyz")


def test_published_files_come_in(made, small, tmp_path):
    torch.save({"images": made.images, "labels": made.labels}, tmp_path / "set.pt")
    back = retort.import_published(tmp_path / "set.pt", data=small, pixels="network")
    assert torch.allclose(back.images, made.images) and back.class_names == made.class_names and back.path is None


def test_a_dataset_of_a_set(made):
    plain = made.dataset()
    image, label = plain[1]
    assert len(plain) == 3 and torch.equal(image, made.images[1]) and label == 1
    torch.manual_seed(0)
    first = made.dataset(augment=True)[1][0]
    second = made.dataset(augment=True)[1][0]
    torch.manual_seed(0)
    again = made.dataset(augment=True)[1][0]
    assert torch.equal(first, again) and not torch.equal(first, second)
    with pytest.raises(retort.ConfigError, match="flop"):
        made.dataset(augment="flop")
    loader = torch.utils.data.DataLoader(made.dataset(augment="flip"), batch_size=2)
    assert [tuple(images.shape) for images, _ in loader] == [(2, 3, 16, 16), (1, 3, 16, 16)]


def test_augmentation_passes_gradients(made):
    images = made.images.clone().requires_grad_()
    retort.augment(images, "all:color_flip_scale").square().sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_pictures(made):
    assert made._repr_png_().startswith(b"\x89PNG")


def test_sets_of_tensors_are_put_in_class_order(tmp_path):
    images, labels = drawn(9, 5)
    made = retort.from_tensors(images, labels, class_names=["a", "b", "c"])
    assert made.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert torch.allclose(made.images[1], torch.from_numpy(images[3]).float() / 255)
    assert torch.equal(retort.load(made.save(tmp_path / "set.safetensors")).images, made.images)
    turned = retort.from_tensors(numpy.moveaxis(images, 1, 3), labels)
    assert torch.equal(turned.images, made.images) and turned.class_names == ["0", "1", "2"]
    scaled = retort.from_tensors(images, labels, normalize=([0.5] * 3, [0.25] * 3))
    assert torch.allclose(scaled.images, (made.images - 0.5) / 0.25, atol=1e-6)
    soft = retort.from_tensors(images, labels, soft_labels=torch.full((9, 3), 1 / 3))
    assert soft.soft_labels.shape == (9, 3) and soft.dataset()[0][1].shape == (3,)


@pytest.mark.parametrize("change, words", [
    (lambda images, labels: (images[:5], labels), "labels of shape"),
    (lambda images, labels: (images, labels - 1), "label -1"),
    (lambda images, labels: (images / 255 * float("nan"), labels), "not finite"),
    (lambda images, labels: (images.astype("float32"), labels), "floats from"),
    (lambda images, labels: (images[0, 0], labels), "shape"),
    (lambda images, labels: (images, labels + 0.5), "whole numbers"),
    (lambda images, labels: ("pictures", labels), "no array|shape|type"),
])
def test_tensors_that_are_no_set_are_refused(change, words):
    with pytest.raises(retort.DataError, match=words):
        retort.from_tensors(*change(*drawn(9, 5)))


def test_files_that_are_no_set_are_refused(tmp_path):
    with pytest.raises(retort.DataError):
        retort.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(retort.DataError):
        retort.load(tmp_path / "bad.safetensors")
    assert issubclass(retort.DataError, ValueError) and issubclass(retort.StateError, RuntimeError)


def test_the_zoo_comes_with_the_package():
    cards = retort.zoo()
    assert cards
    for card in cards:
        made = retort.zoo(card["name"])
        assert len(made.images) == card["images"]
        assert (made.soft_labels is not None) == (card["labels"] == "soft")
    with pytest.raises(retort.ConfigError, match="nothing-of-that-name"):
        retort.zoo("nothing-of-that-name")
