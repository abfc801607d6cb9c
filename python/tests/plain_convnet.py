"""The ConvNet written once more, in plain torch functions of a dictionary of parameters."""

import torch
from torch.func import grad, functional_call  # noqa: F401  torch.func is what the tests compare with
from torch.nn import functional as F


def logits(parameters, images):
    """ConvNet of instance norm, ReLU and average pooling; parameters by the names of `retort.Network.named`."""
    x, block = images, 1
    while f"block{block}.conv.weight" in parameters:
        def of(name, block=block):
            return parameters[f"block{block}.{name}"]

        x = F.conv2d(x, of("conv.weight"), of("conv.bias"), padding=1)
        x = F.group_norm(x, x.shape[1], of("norm.weight"), of("norm.bias"))
        x = F.avg_pool2d(F.relu(x), 2)
        block += 1
    return F.linear(x.flatten(1), parameters["classifier.weight"], parameters["classifier.bias"])


def loss(network, theta, images, labels):
    """Mean cross-entropy; floating labels are weights of the classes."""
    found = torch.log_softmax(logits(network.named(theta), images), 1)
    if labels.dtype.is_floating_point:
        return -(labels * found).sum(1).mean()
    return F.nll_loss(found, labels)


def train(network, theta, images, labels, rates, rows=None, momentum=0.0, decay=0.0):
    """Every step in one graph."""
    velocity = torch.zeros_like(theta)
    for k, rate in enumerate(rates):
        own = slice(None) if rows is None else rows[k]
        g = grad(lambda at, own=own: loss(network, at, images[own], labels[own]))(theta)
        velocity = momentum * velocity + g + decay * theta
        theta = theta - rate * velocity
    return theta
