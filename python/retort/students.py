"""Modules of PyTorch as students: trained by the named protocol, beside the networks of retort."""

import contextlib
import functools

import torch


def split(networks):
    """(names for the option `networks`, {name: factory} of modules).

    A factory is anything that can be called without arguments and answers with a fresh `torch.nn.Module`: a function,
    a lambda, a class of modules. A pair (name, factory) gives it a name for the table.
    """
    if isinstance(networks, str) or callable(networks):
        networks = [networks]
    names, factories = [], {}
    for one in networks or []:
        if isinstance(one, str):
            names += [name for name in one.split(",") if name]
            continue
        name, factory = one if isinstance(one, tuple) and len(one) == 2 else (None, one)
        if isinstance(factory, torch.nn.Module):
            raise TypeError(f"networks hold a {type(factory).__name__} that is made already; every student needs a "
                            f"fresh one: give a function, such as lambda: {type(factory).__name__}(...)")
        if not callable(factory):
            raise TypeError(f"networks hold {factory!r}; a name, or a function that makes a torch.nn.Module, is "
                            f"expected")
        name = name or _name_of(factory)
        known, copy = name, 2
        while name in factories:
            name, copy = f"{known} {copy}", copy + 1
        factories[name] = factory
    return names, factories


def check(factories, shape, classes):
    """Makes every module once and asks it about blank images [2, *shape]: ValueError where it does not fit."""
    for name, factory in factories.items():
        with _seeded(0, torch.device("cpu")):
            module = _made(name, factory).eval()
            try:
                with torch.no_grad():
                    logits = module(torch.zeros(2, *shape))
            except Exception as problem:
                raise ValueError(f"'{name}' does not take images {'x'.join(map(str, shape))}: {problem}") from problem
        _require_logits(name, logits, 2, classes)


def learners(factories, classes):
    """{name: function of a lesson}, as `_core.run` takes them."""
    return {name: functools.partial(_train, name, factory, classes) for name, factory in factories.items()}


def _train(name, factory, classes, lesson):
    """Trains one module by a lesson; (predict, predict by averages or None)."""
    device = torch.device(lesson.device)
    with _seeded(lesson.seed, device), torch.enable_grad():
        module = _made(name, factory).to(device)
        optimizer = _optimizer(module, lesson.training)
        average = _Average(module, lesson.training.average_decay) if lesson.training.average_decay > 0 else None
        for epoch in range(lesson.epochs):
            if lesson.resets(epoch):
                optimizer = _optimizer(module, lesson.training)
            module.train()
            total, rows = torch.zeros((), dtype=torch.float64, device=device), 0
            for number in range(lesson.batches):
                batch = lesson.batch(epoch, number)
                loss = _step(name, module, optimizer, batch, lesson.rate(epoch, number), classes)
                total += loss.double() * len(batch.images)
                rows += len(batch.images)
                if average is not None:
                    average.update()
            if not lesson.done(epoch, float(total) / rows, _asking(name, module, classes)):
                break
    by_average = _asking(name, average.module(), classes) if average is not None else None
    return _asking(name, module, classes), by_average


def _step(name, module, optimizer, batch, rate, classes):
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    logits = module(batch.images)
    _require_logits(name, logits, len(batch.images), classes)
    loss = batch.loss(logits)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _optimizer(module, training):
    """That of the protocol, over all parameters of the module that are trained."""
    parameters = [one for one in module.parameters() if one.requires_grad]
    groups = [{"params": parameters, "weight_decay": training.weight_decay}]
    if training.decay_weights_only:  # biases and the scales of norms do not decay
        groups = [{"params": [one for one in parameters if one.dim() > 1], "weight_decay": training.weight_decay},
                  {"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum)
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=training.learning_rate, betas=(training.momentum, 0.999))
    raise ValueError(f"the protocol trains with {training.optimizer}; modules are trained with sgd or adamw")


class _Average:
    """The moving average of parameters and floating statistics, from where the training begins."""

    def __init__(self, module, decay):
        import copy

        self._live, self._decay = module, decay
        self._module = copy.deepcopy(module)

    @torch.no_grad()
    def update(self):
        for mine, its in zip(self._module.state_dict().values(), self._live.state_dict().values()):
            if mine.dtype.is_floating_point:
                mine.lerp_(its, 1 - self._decay)
            else:
                mine.copy_(its)

    def module(self):
        return self._module


def _asking(name, module, classes):
    """Logits of a batch by the module in use."""

    def predict(images):
        training = module.training
        module.eval()
        with torch.no_grad():
            logits = torch.cat([module(part) for part in images.split(256)])
        module.train(training)
        _require_logits(name, logits, len(images), classes)
        return logits

    return predict


def _made(name, factory):
    module = factory()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"'{name}' makes a {type(module).__name__}; a torch.nn.Module is expected")
    return module


def _require_logits(name, logits, count, classes):
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (count, classes):
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(f"'{name}' answers with {found}; logits [{count}, {classes}], one for each of {classes} "
                         f"classes, are expected")


def _name_of(factory):
    if isinstance(factory, functools.partial):
        return _name_of(factory.func)
    name = getattr(factory, "__name__", type(factory).__name__)
    if name != "<lambda>":
        return name
    with _seeded(0, torch.device("cpu")):
        return type(_made("lambda", factory)).__name__


@contextlib.contextmanager
def _seeded(seed, device):
    """PyTorch's own generators at a seed, and as they were afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed % 2**63)
        yield
