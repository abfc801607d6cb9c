"""The unrolled training against one graph of torch.func over all steps, in double, to 1e-10."""

import plain_convnet
import pytest
import torch

import retort


def example(dtype=torch.float64, soft=False, count=6):
    torch.manual_seed(0)
    network = retort.Network("convnet-w4-d2", channels=3, side=8, classes=3)
    theta = network.initial(1).to(dtype)
    images = torch.randn(count, 3, 8, 8, dtype=dtype)
    labels = torch.randn(count, 3, dtype=dtype).softmax(1) if soft else torch.arange(count) % 3
    target = network.initial(2).to(dtype)
    return network, theta, images, labels, target


def answers(function, given):
    leaves = [one.clone().requires_grad_(True) for one in given]
    value = function(*leaves)
    return value.detach(), torch.autograd.grad(value, leaves)


def agree(found, expected, within=1e-10):
    assert abs(float(found[0] - expected[0])) <= within * max(1.0, abs(float(expected[0])))
    for one, other in zip(found[1], expected[1]):
        assert float((one - other).abs().max()) <= within * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("steps", [1, 7, 30])
@pytest.mark.parametrize("momentum,decay", [(0.0, 0.0), (0.9, 5e-4)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("checkpoints", [False, True])
def test_equals_one_graph_over_all_steps(steps, momentum, decay, soft, checkpoints):
    network, theta, images, labels, target = example(soft=soft)
    rate = torch.tensor(0.05, dtype=torch.float64)

    def ours(start, x, r, y=labels):
        end = retort.unroll(start, x, y, r, network=network, steps=steps, momentum=momentum, weight_decay=decay,
                            checkpoints=checkpoints)
        return (end - target).square().sum()

    def plain(start, x, r, y=labels):
        end = plain_convnet.train(network, start, x, y, [r] * steps, momentum=momentum, decay=decay)
        return (end - target).square().sum()

    given = (theta, images, rate, *([labels] if soft else []))
    agree(answers(ours, given), answers(plain, given))


def test_what_is_kept_changes_no_bit():
    network, theta, images, labels, target = example(soft=False)

    def answer(checkpoints, room):
        x = images.clone().requires_grad_(True)
        end = retort.unroll(theta, x, labels, 0.05, network=network, steps=9, checkpoints=checkpoints, pass_bytes=room)
        return torch.autograd.grad((end - target).square().sum(), x)[0]

    found = [answer(checkpoints, room) for checkpoints in (False, True) for room in (1 << 28, 0, None)]
    assert all(torch.equal(one, found[0]) for one in found)


def test_minibatches_and_a_rate_for_every_step():
    network, theta, images, labels, target = example()
    rows = torch.tensor([[0, 1, 2], [3, 4, 5], [5, 0, 2], [1, 1, 4]])
    rates = torch.tensor([0.1, 0.05, 0.02, 0.08], dtype=torch.float64)

    def ours(start, x, r):
        return (retort.unroll(start, x, labels, r, network=network, steps=4, rows=rows) - target).square().sum()

    def plain(start, x, r):
        return (plain_convnet.train(network, start, x, labels, r, rows) - target).square().sum()

    agree(answers(ours, (theta, images, rates)), answers(plain, (theta, images, rates)))


def test_the_loss_where_it_ends_is_differentiable():
    """Learning through training: our gradient's loss after our unrolled training, against one graph."""
    network, theta, images, labels, _ = example()
    real, real_labels = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0])

    def ours(x):
        end = retort.unroll(theta, x, labels, 0.05, network=network, steps=5)
        return network.gradient(end, real, real_labels).loss

    def plain(x):
        end = plain_convnet.train(network, theta, x, labels, [0.05] * 5)
        return plain_convnet.loss(network, end, real, real_labels)

    agree(answers(ours, (images,)), answers(plain, (images,)))


def test_batches_go_over_the_whole_set_by_the_seed():
    network, theta, images, labels, _ = example(torch.float32)

    def end(seed, **more):
        return retort.unroll(theta, images, labels, 0.05, network=network, steps=4, batch=3, seed=seed, **more)

    assert torch.equal(end(0), end(0))
    assert not torch.equal(end(0), end(1))
    assert not torch.equal(end(0), end(0, augmentation="color_crop_cutout_flip_scale_rotate"))


def test_augmented_steps_go_back_to_the_images():
    _, _, images, labels, _ = example()
    network = retort.Network("convnet-w4-d2-swish", channels=3, side=8, classes=3)  # ReLU's kinks upset differences
    theta, target = network.initial(1).double(), network.initial(2).double()

    def ours(x):
        end = retort.unroll(theta, x, labels, 0.05, network=network, steps=3, batch=2, seed=3,
                            augmentation="color_crop_cutout_flip_scale_rotate")
        return (end - target).square().sum()

    value, (slope,) = answers(ours, (images,))
    direction, step = torch.randn_like(images), 1e-5
    difference = (ours(images + step * direction) - ours(images - step * direction)) / (2 * step)
    assert abs(float((slope * direction).sum() - difference)) < 1e-6 * abs(float(difference))


def test_losses_come_along_and_a_window_is_shorter():
    network, theta, images, labels, target = example()
    end, losses = retort.unroll(theta, images, labels, 0.05, network=network, steps=6, with_losses=True)
    assert losses.shape == (6,) and losses[-1] < losses[0]

    def by(**more):
        x = images.clone().requires_grad_(True)
        now = retort.unroll(theta, x, labels, 0.05, network=network, steps=6, **more)
        return torch.autograd.grad((now - target).square().sum(), x)[0]

    assert torch.equal(by(window=6), by())
    assert not torch.equal(by(window=2), by())
    assert not torch.equal(by(hessian=False), by())


def test_a_kept_graph_goes_back_twice():
    network, theta, images, labels, target = example()
    x = images.clone().requires_grad_(True)
    far = (retort.unroll(theta, x, labels, 0.05, network=network, steps=3) - target).square().sum()
    first, = torch.autograd.grad(far, x, retain_graph=True)
    second, = torch.autograd.grad(far, x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("changed,text", [
    (dict(steps=0), "steps"),
    (dict(steps=2.5), "steps"),
    (dict(steps=-1), "steps"),
    (dict(rate=float("nan")), "rate is not finite"),
    (dict(rate=torch.zeros(3)), "rate"),
    (dict(rate=0.0, momentum=0.9), "rate is 0"),
    (dict(batch=7), "there are 6 images"),
    (dict(batch=0), "batch"),
    (dict(batch=2, rows=[torch.tensor([0])] * 2), "one of them"),
    (dict(rows=[torch.tensor([6])] * 2), "there are 6"),
    (dict(rows=[torch.tensor([0])]), "2 are expected"),
    (dict(momentum=1.0), "momentum"),
    (dict(weight_decay=-1.0), "weight_decay"),
    (dict(images=torch.full((6, 3, 8, 8), float("inf"))), "not finite"),
    (dict(labels=torch.tensor([0, 1, 2, 3, 0, 1])), "classes from 0 to 2"),
    (dict(theta=torch.zeros(4)), "parameters"),
    (dict(augmentation="colour"), "color"),
])
def test_bad_input_is_refused(changed, text):
    network, theta, images, labels, _ = example(torch.float32)
    given = dict(theta=theta, images=images, labels=labels, rate=0.05, steps=2)
    given.update(changed)
    positional = [given.pop(name) for name in ("theta", "images", "labels", "rate")]
    with pytest.raises(ValueError, match=text):
        retort.unroll(*positional, network=network, **given)


def test_another_network_is_refused():
    with pytest.raises(TypeError, match="retort.Network"):
        retort.unroll(torch.zeros(1), torch.zeros(1, 3, 8, 8), torch.zeros(1), 0.1, network="convnet", steps=1)
