"""Modules as students: the same batches, rates and figures as a network of ours, in one table."""

import plain_convnet
import pytest
import torch

import retort

NETWORK = "convnet-w4-d2"


def part(each, seed, classes=3, side=8):
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    images = torch.randint(0, 200, (classes * each, 3, side, side), generator=drawn)
    images[torch.arange(len(labels)), labels % 3] += 12
    return images.to(torch.uint8), labels


def data():
    return retort.Images(part(40, 0), part(40, 1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return retort.distill(method="random", data=data(), out=tmp_path_factory.mktemp("runs") / "random",
                          images_per_class=4, network=NETWORK, augmentation="auto", progress=False)


class Twin(torch.nn.Module):
    """The ConvNet as a module, from the parameters that our student of this number begins with."""

    def __init__(self, student):
        super().__init__()
        network = retort.Network(NETWORK, channels=3, side=8, classes=3)
        theta = network.initial(stream=retort.Stream(0, "eval.student.initial", student))
        self.names = list(network.named(theta))
        self.values = torch.nn.ParameterList([value.clone() for value in network.named(theta).values()])

    def forward(self, images):
        return plain_convnet.logits(dict(zip(self.names, self.values)), images)


def twins(students):
    """Makes them in the order that an evaluation asks: one to look at, then all students of every subject."""
    made = iter(range(-1, 10**6))
    return lambda: Twin(max(next(made), 0) % students)


@pytest.mark.parametrize("protocol", ["dm", "dc", "rtp", "dd", "frepo", "frozen", "sre2l-tiny"])
def test_a_twin_learns_as_ours_does(made, protocol):
    found = retort.evaluate(made, data(), networks=[NETWORK, ("twin", twins(2))], students=2, protocol=protocol,
                            evaluation_epochs=40, redraw=False, progress=False)
    by = {(result["network"], result["subject"]): result for result in found.results}
    assert len(by) == 4 and [result["network"] for result in found.results] == [NETWORK] * 2 + ["twin"] * 2
    for subject in ("distilled", "random"):
        ours, theirs = by[NETWORK, subject], by["twin", subject]
        assert ours.keys() == theirs.keys()
        for key in ("accuracies", "averaged", "class_accuracies"):
            assert theirs[key] == pytest.approx(ours[key], abs=2 / 120), (subject, key)
        for key in ("epochs", "steps", "images", "image_bytes", "label_bytes", "draws", "labels"):
            assert theirs[key] == ours[key], key


def plain():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 16), torch.nn.BatchNorm1d(16),
                               torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 3))


def judge(made, networks, **more):
    given = dict(students=2, evaluation_epochs=3, progress=False)
    return retort.evaluate(made, data(), networks=networks, **{**given, **more})


def test_the_same_seed_gives_the_same_figures(made):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (judge(made, [plain])["results"] for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert [one["accuracies"] for one in first] == [one["accuracies"] for one in second]
    assert [one["network"] for one in first] == ["plain", "plain"]
    other = judge(made, [plain], seed=1)["results"]
    assert [one["accuracies"] for one in first] != [one["accuracies"] for one in other]


def test_best_epochs_are_chosen_on_the_validation_part(made, tmp_path):
    split = retort.distill(method="random", data=data(), out=tmp_path / "run", images_per_class=4, network=NETWORK,
                           validation_fraction=0.25, progress=False)
    found = judge(split, [plain], protocol="frozen", evaluation_epochs=5, validation_fraction=0.25)
    assert all(len(result["best"]) == 2 and len(result["averaged"]) == 2 for result in found.results)


def test_a_run_keeps_them_in_its_records_and_page(made):
    judge(made, [("my module", plain)])
    folder = made.path if made.path.is_dir() else made.path.parent
    assert "my module" in (folder / "records.jsonl").read_text()
    assert "my module" in (folder / "report.html").read_text()


class Raising(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.calls = torch.nn.Linear(192, 3), 0

    def forward(self, images):
        self.calls += 1
        if self.calls > 3:
            raise KeyError("a defect of the user's")
        return self.linear(images.flatten(1))


class Diverging(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(192, 3)

    def forward(self, images):
        return self.linear(images.flatten(1)) * (float("inf") if self.training else 1)


@pytest.mark.parametrize("factory,kind,text", [
    (Raising, KeyError, "a defect of the user's"),
    (Diverging, retort.StateError, "the mean loss is"),
    (lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5)), ValueError, r"logits \[2, 3\]"),
    (lambda: torch.nn.Linear(7, 3), ValueError, "does not take images 3x8x8"),
    (lambda: 3, TypeError, "torch.nn.Module"),
    (3, TypeError, "a name, or a function"),
    (plain(), TypeError, "made already"),
])
def test_students_that_cannot_be_are_refused(made, factory, kind, text):
    with pytest.raises(kind, match=text):
        judge(made, [factory])


def test_names_are_told_apart():
    from retort import students

    names, factories = students.split(["convnet,lenet", plain, plain, lambda: plain(), ("x", plain)])
    assert names == ["convnet", "lenet"]
    assert list(factories) == ["plain", "plain 2", "Sequential", "x"]


def test_torchvision_and_timm_are_students(made):
    torchvision = pytest.importorskip("torchvision")
    timm = pytest.importorskip("timm")
    found = judge(made, [lambda: torchvision.models.resnet18(num_classes=3),
                         ("timm resnet10t", lambda: timm.create_model("resnet10t", num_classes=3))],
                  students=1, evaluation_epochs=1)
    assert [result["network"] for result in found.results] == ["ResNet"] * 2 + ["timm resnet10t"] * 2
