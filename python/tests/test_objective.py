"""A loss in Python as a method: equal to the built-in one, resumable, and whole where it raises."""

import pathlib
import re

import pytest
import torch

import retort

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = dict(network="convnet-w4-d2", images_per_class=2, iterations=4, checkpoint_every=1, record_every=1, seed=3,
             progress=False)


def data(classes=3, each=12, side=8):
    torch.manual_seed(0)
    labels = torch.arange(classes).repeat_interleave(each)
    images = torch.randint(0, 150, (classes * each, 3, side, side))
    images[torch.arange(len(labels)), labels % 3] += 100
    return images.to(torch.uint8), labels


def from_the_page():
    """The class that docs/python.md shows."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    code = next(block for block in blocks if "class DistributionMatching" in block)
    names = {}
    exec(code.split("made = ")[0], names)  # the class alone
    return names["DistributionMatching"]


class Brightness:
    """The mean of every channel of a class, matched."""

    def setup(self, run):
        self.means = torch.stack([run.real.draw(run.stream("all", c), c, 1000).mean((0, 2, 3))
                                  for c in range(run.classes)])

    def loss(self, images, labels, iteration):
        return (images.mean((2, 3)) - self.means[labels]).square().sum()


def test_distribution_matching_of_the_page_is_the_built_in_one(tmp_path):
    ours = from_the_page()()
    ours.real_batch = 8
    made = retort.distill(method=ours, data=data(), out=tmp_path / "ours", **SMALL)
    built_in = retort.distill(method="dm", real_batch=8, data=data(), out=tmp_path / "dm", **SMALL)
    start = retort.distill(method="dm", real_batch=8, data=data(), out=tmp_path / "start", **{**SMALL, "iterations": 1})
    moved = float((built_in.images - start.images).abs().max())
    assert float((made.images - built_in.images).abs().max()) < 1e-4 * moved
    assert made.run["loss"] == pytest.approx(built_in.run["loss"], rel=1e-5)


def test_it_descends_and_leaves_a_page(tmp_path):
    made = retort.distill(method=Brightness(), data=data(), out=tmp_path / "run", image_learning_rate=1,
                          **{**SMALL, "iterations": 30})
    means = Brightness()
    assert made.method == "Brightness"
    for name in ("recipe.toml", "records.jsonl", "checkpoint.safetensors", "distilled.safetensors", "report.html"):
        assert (tmp_path / "run" / name).exists(), name
    assert 'method = "Brightness"' in (tmp_path / "run/recipe.toml").read_text()
    del means
    found = retort.evaluate(tmp_path / "run", data(), students=1, evaluation_epochs=2, progress=False)
    assert {result["subject"] for result in found.results} == {"distilled", "random"}


@pytest.mark.parametrize("parametrisation", ["multiformation", "frequency", "memories"])
def test_every_parametrisation_holds_its_images(tmp_path, parametrisation):
    made = retort.distill(method=Brightness(), data=data(), out=tmp_path / "run", parametrisation=parametrisation,
                          **SMALL)
    assert made.parametrisation == parametrisation
    assert bool(torch.isfinite(made.images).all())


class Failing(Brightness):
    """Brightness that raises once."""

    name = "Brightness"

    def __init__(self, at):
        self.at = at

    def loss(self, images, labels, iteration):
        if iteration == self.at:
            raise KeyError("a defect of the user's")
        return super().loss(images, labels, iteration)


@pytest.mark.parametrize("at", [0, 2])
def test_what_it_raises_comes_out_and_the_run_goes_on_later(tmp_path, at):
    with pytest.raises(KeyError, match="a defect of the user's"):
        retort.distill(method=Failing(at), data=data(), out=tmp_path / "a", **SMALL)
    assert not (tmp_path / "a/distilled.safetensors").exists()
    retort.distill(method=Brightness(), data=data(), out=tmp_path / "a", **SMALL)
    retort.distill(method=Brightness(), data=data(), out=tmp_path / "b", **SMALL)
    name = "distilled.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class Moving(retort.Objective):
    """One that remembers: the target is a moving average of noise."""

    def __init__(self, stop=None):
        self.stop = stop

    def setup(self, run):
        self.run, self.target = run, torch.zeros(3, 8, 8)

    def loss(self, images, labels, iteration):
        if iteration == self.stop:
            raise RuntimeError("stopped")
        self.target = 0.5 * self.target + self.run.stream("noise", iteration).normal(3, 8, 8)
        return (images - self.target).square().mean()

    def state(self):
        return {"target": self.target}

    def restore(self, state):
        self.target = state["target"].clone()


def test_what_it_keeps_is_in_the_checkpoint(tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        retort.distill(method=Moving(stop=2), data=data(), out=tmp_path / "a", **SMALL)
    retort.distill(method=Moving(), data=data(), out=tmp_path / "a", **SMALL)
    retort.distill(method=Moving(), data=data(), out=tmp_path / "b", **SMALL)
    name = "distilled.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_matched_gradient_is_a_method(tmp_path):
    class Gradients(retort.Objective):
        """Gradients matched in torch operations."""

        def setup(self, run):
            self.run = run

        def loss(self, images, labels, iteration):
            run = self.run
            theta = run.network.initial(stream=run.stream("network", iteration))
            rows = run.real.rows(run.stream("real", iteration), 0, 4)
            real = run.network.gradient(theta, run.real.images(rows), run.real.labels(rows)).theta
            mine = run.network.gradient(theta, images[labels == 0], labels[labels == 0]).theta
            return 1 - torch.cosine_similarity(real, mine, dim=0)

    made = retort.distill(method=Gradients(), data=data(), out=tmp_path / "run", **SMALL)
    assert bool(torch.isfinite(made.images).all())


def answering(value):
    class Answering:
        def loss(self, images, labels, iteration):
            return value(images)

    return Answering()


@pytest.mark.parametrize("value,kind,text", [
    (lambda images: 1.0, ValueError, "tensor with one number"),
    (lambda images: images, ValueError, "tensor with one number"),
    (lambda images: images.detach().sum(), ValueError, "does not depend on the images"),
    (lambda images: torch.ones(1, requires_grad=True).sum(), ValueError, "does not depend on the images"),
    (lambda images: images.sum() * float("nan"), retort.StateError, "loss became nan"),
])
def test_answers_that_cannot_be_are_refused(tmp_path, value, kind, text):
    with pytest.raises(kind, match=text):
        retort.distill(method=answering(value), data=data(), out=tmp_path / "run", **SMALL)


def named(**attributes):
    return type("Named", (Brightness,), attributes)()


@pytest.mark.parametrize("method,kind,text", [
    (object(), TypeError, "loss"),
    (Brightness, TypeError, "an object of it"),
    (named(name="dm"), ValueError, "built-in"),
    (named(name="a b"), ValueError, "letters"),
    (named(defaults={"iteration": 3}), ValueError, "iterations"),
    (named(defaults={"iterations": "3"}), ValueError, "int is expected"),
])
def test_methods_that_cannot_be_are_refused(tmp_path, method, kind, text):
    with pytest.raises(kind, match=text):
        retort.distill(method=method, data=data(), out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_its_defaults_are_those_of_the_run(tmp_path):
    made = retort.distill(method=named(defaults={"image_learning_rate": 0.125}), data=data(), out=tmp_path / "run",
                          **SMALL)
    assert "image_learning_rate = 0.125" in made.recipe


def test_another_identity_is_another_run(tmp_path):
    class Settled(Brightness):
        def __init__(self, strength, stop=None):
            self.strength, self.stop = strength, stop

        def identity(self):
            return f"strength {self.strength}"

        def loss(self, images, labels, iteration):
            if iteration == self.stop:
                raise RuntimeError("stopped")
            return self.strength * super().loss(images, labels, iteration)

    with pytest.raises(RuntimeError, match="stopped"):
        retort.distill(method=Settled(1, stop=2), data=data(), out=tmp_path / "run", **SMALL)
    with pytest.raises(retort.StateError, match="strength 1"):
        retort.distill(method=Settled(2), data=data(), out=tmp_path / "run", **SMALL)
