"""Calls of a network against torch's own derivatives, in double."""

import plain_convnet
import pytest
import torch

import retort


def example(count=5, classes=3, soft=False, dtype=torch.float64):
    torch.manual_seed(0)
    network = retort.Network("convnet-w4-d2", channels=3, side=8, classes=classes)
    theta = network.initial(1).to(dtype)
    images = torch.randn(count, 3, 8, 8, dtype=dtype)
    labels = torch.randn(count, classes, dtype=dtype).softmax(1) if soft else torch.arange(count) % classes
    return network, theta, images, labels


def close(found, expected, within=1e-10):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= within * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("soft", [False, True])
def test_gradient_is_that_of_torch(soft):
    network, theta, images, labels = example(soft=soft)
    found = network.gradient(theta, images, labels, images_gradient=True, labels_gradient=soft)
    leaves = [one.clone().requires_grad_(True) for one in (theta, images, *([labels] if soft else []))]
    loss = plain_convnet.loss(network, leaves[0], leaves[1], leaves[2] if soft else labels)
    by = torch.autograd.grad(loss, leaves)
    close(found.loss, loss.detach())
    close(found.theta, by[0])
    close(found.images, by[1])
    if soft:
        close(found.labels, by[2])


@pytest.mark.parametrize("soft", [False, True])
def test_products_of_second_order_are_those_of_torch(soft):
    network, theta, images, labels = example(soft=soft)
    v = torch.randn_like(theta)
    found = network.gradient_jvp(theta, images, labels, v, labels_gradient=soft)
    leaves = [one.clone().requires_grad_(True) for one in (theta, images, *([labels] if soft else []))]
    loss = plain_convnet.loss(network, leaves[0], leaves[1], leaves[2] if soft else labels)
    g, = torch.autograd.grad(loss, leaves[0], create_graph=True)
    by = torch.autograd.grad(g @ v, leaves)
    close(found.loss, (g @ v).detach())
    close(found.theta, by[0])
    close(found.images, by[1])
    if soft:
        close(found.labels, by[2])


@pytest.mark.parametrize("soft", [False, True])
def test_matched_gradients_are_differentiable_code(soft):
    """A scalar of loss and gradient, differentiated by all inputs: gradient matching in torch operations."""
    network, theta, images, labels = example(soft=soft)
    weights = torch.randn_like(theta)

    def scalar(ours, *leaves):
        at, x, y = leaves[0], leaves[1], leaves[2] if soft else labels
        if ours:
            loss, g = network.gradient(at, x, y)[:2]
        else:
            loss = plain_convnet.loss(network, at, x, y)
            g, = torch.autograd.grad(loss, at, create_graph=True)
        return (g * weights).sum() * 2 + g.square().sum() + 3 * loss

    given = (theta, images, *([labels] if soft else []))
    answers = []
    for ours in (True, False):
        leaves = [one.clone().requires_grad_(True) for one in given]
        answers.append(torch.autograd.grad(scalar(ours, *leaves), leaves))
    for found, expected in zip(*answers):
        close(found, expected)


def test_groups_have_their_own_parameters():
    network, theta, images, labels = example(6)
    both = torch.stack([theta, theta * 1.1])
    whole = network.gradient(both, images, labels, groups=[2, 4])
    for i, rows in enumerate((slice(0, 2), slice(2, 6))):
        alone = network.gradient(both[i], images[rows], labels[rows])
        close(whole.loss[i], alone.loss)
        close(whole.theta[i], alone.theta)
    leaf = both.clone().requires_grad_(True)
    shown = network.gradient(leaf, images, labels, groups=[2, 4])
    by, = torch.autograd.grad(shown.theta.square().sum() + shown.loss.sum(), leaf)
    for i, rows in enumerate((slice(0, 2), slice(2, 6))):
        one = both[i].clone().requires_grad_(True)
        alone = network.gradient(one, images[rows], labels[rows])
        close(by[i], torch.autograd.grad(alone.theta.square().sum() + alone.loss, one)[0])


def test_observations_go_back_to_images_and_parameters():
    network, theta, images, _ = example()
    at, x = theta.clone().requires_grad_(True), images.clone().requires_grad_(True)
    seen = network.observe(at, x, ["features", "logits"])
    by = torch.autograd.grad(seen["features"].mean(0).square().sum() + seen["logits"].square().sum(), [at, x])
    plain_at, plain_x = theta.clone().requires_grad_(True), images.clone().requires_grad_(True)
    parameters = network.named(plain_at)
    logits = plain_convnet.logits(parameters, plain_x)
    features = (logits - parameters["classifier.bias"]) @ torch.linalg.pinv(parameters["classifier.weight"]).T
    assert features.shape[1] == seen["features"].shape[1]
    close(seen["logits"].detach(), logits.detach())
    features = _features(parameters, plain_x)
    expected = torch.autograd.grad(features.mean(0).square().sum() + logits.square().sum(), [plain_at, plain_x])
    for found, other in zip(by, expected):
        close(found, other)


def _features(parameters, images):
    """What the classifier is given: its answers with the identity in place of its weights."""
    size = parameters["classifier.weight"].shape[1]
    changed = {**parameters, "classifier.weight": torch.eye(size, dtype=images.dtype),
               "classifier.bias": torch.zeros(size, dtype=images.dtype)}
    return plain_convnet.logits(changed, images)


def test_a_kept_graph_goes_back_twice():
    network, theta, images, _ = example()
    x = images.clone().requires_grad_(True)
    scalar = network.observe(theta, x).square().sum()
    first, = torch.autograd.grad(scalar, x, retain_graph=True)
    second, = torch.autograd.grad(scalar, x)
    assert torch.equal(first, second)


def test_prediction_takes_running_statistics():
    network = retort.Network("convnet-w4-d2-bn", channels=3, side=8, classes=3)
    theta, images = network.initial(0), torch.randn(4, 3, 8, 8)
    statistics = network.initial_statistics()
    assert statistics.shape == (network.statistics,)
    logits = network.predict(theta, images, statistics=statistics)
    assert logits.shape == (4, 3)
    renewed = network.gradient(theta, images, torch.arange(4) % 3, statistics=statistics, norm="updating").statistics
    assert not torch.equal(renewed, statistics)
    with pytest.raises(ValueError, match="running statistics"):
        network.predict(theta, images)


def test_the_same_seed_draws_the_same_parameters():
    network = retort.Network("convnet-w4-d2", channels=3, side=8, classes=3)
    assert torch.equal(network.initial(3), network.initial(3))
    assert not torch.equal(network.initial(3), network.initial(4))
    assert "parameters" in repr(network)


BAD = {
    "images is float": (dict(images=[1.0]), "images"),
    "images of another size": (dict(images=torch.zeros(5, 3, 9, 9)), "made for 3x8x8"),
    "images of half precision": (dict(images=torch.zeros(5, 3, 8, 8, dtype=torch.float16)), "float32 or torch.float64"),
    "images with NaN": (dict(images=torch.full((5, 3, 8, 8), float("nan"))), "not finite"),
    "labels out of range": (dict(labels=torch.tensor([0, 1, 2, 3, 0])), "classes from 0 to 2"),
    "labels below 0": (dict(labels=torch.tensor([0, 1, -1, 2, 0])), "hold -1"),
    "too few labels": (dict(labels=torch.tensor([0])), "one for each image"),
    "labels of int32": (dict(labels=torch.zeros(5, dtype=torch.int32)), "torch.int64"),
    "theta too short": (dict(theta=torch.zeros(3)), "parameters"),
    "theta of another type": (dict(theta=torch.zeros(10, dtype=torch.float64)), "theta"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case):
    network, theta, images, labels = example(dtype=torch.float32)
    changed, text = BAD[case]
    given = {"theta": theta, "images": images, "labels": labels, **changed}
    if case == "theta of another type":
        given["theta"] = theta.double()
    with pytest.raises((ValueError, TypeError), match=text):
        network.gradient(given["theta"], given["images"], given["labels"])


def test_other_words_are_refused():
    network, theta, images, labels = example(dtype=torch.float32)
    with pytest.raises(ValueError, match="nearest|did you mean|convnet"):
        retort.Network("convnett")
    with pytest.raises(ValueError, match="side"):
        retort.Network("convnet", side=0)
    with pytest.raises(ValueError, match="no tap"):
        network.observe(theta, images, "featurs")
    with pytest.raises(ValueError, match="norm"):
        network.gradient(theta, images, labels, norm="eval")
    with pytest.raises(ValueError, match="loss"):
        network.gradient(theta, images, labels, loss="mse")
    with pytest.raises(ValueError, match="groups"):
        network.gradient(theta, images, labels, groups=[1, 1])
    with pytest.raises(ValueError, match="v has"):
        network.gradient_jvp(theta, images, labels, theta[:3])
