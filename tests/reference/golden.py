"""Makes tests/golden: lets the authors' own code answer the inputs that the tests wrote down.

    golden.py INPUTS GOLDEN --condensation DIR --mtt DIR --datm DIR --frepo DIR --dd DIR --rtp DIR
              [--only NAME ...]

INPUTS is the folder that the tests filled (RETORT_GOLDEN_INPUTS, see tests/golden/README.md). The
DIRs are working copies of the authors' repositories; none of their lines is here. All is computed
in float64. FRePo's and KIP's functions need jax (with flax; KIP's kernel: neural-tangents),
DD's needs six.
"""
import argparse
import importlib.util
import json
import math
import os
import struct
import sys
import types
from unittest import mock

import numpy as np
import torch

TYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8, "I32": np.int32,
         "BOOL": np.bool_}


def read(path):
    """The tensors of a safetensors file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        found[name] = torch.from_numpy(values.copy())
    return found


def write(path, tensors):
    header, parts, offset = {}, [], 0
    names = {np.dtype(kind): name for name, kind in TYPES.items()}
    for name, tensor in sorted(tensors.items()):
        values = np.ascontiguousarray(tensor.detach().numpy())
        raw = values.tobytes()
        header[name] = {"dtype": names[values.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        parts.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def hashed(count, salt):
    """As in tests/support/golden_tensors.h: numbers between -1 and 1."""
    x = (np.arange(count, dtype=np.uint64) + salt * 0x9E3779B9) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    return torch.from_numpy(x.astype(np.float64) / 2147483648.0 - 1)


def load(folder, module, name=None):
    """A module of an authors' repository under a name of its own."""
    if (name or module) in sys.modules:
        return sys.modules[name or module]
    path = os.path.join(folder, *module.split(".")) + ".py"
    spec = importlib.util.spec_from_file_location(name or module, path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name or module] = made
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(made)
    finally:
        sys.path.remove(folder)
    return made


def load_apart(folder, module, name):
    """The same for a file that imports packages whose names other repositories have as well."""
    def take():
        return {key: sys.modules.pop(key) for key in list(sys.modules)
                if key.split(".")[0] in ("basics", "datasets", "models", "networks", "utils")}
    others = take()
    try:
        return load(folder, module, name)
    finally:
        take()
        sys.modules.update(others)


def absent(*names):
    """Modules that an authors' file imports and what is used here does not need."""
    for name in names:
        sys.modules.setdefault(name, mock.MagicMock())


# --- FRePo ---------------------------------------------------------------------------------------

def frepo_whitening(given, where):
    jnp = jax_in_double().numpy
    absent("tensorflow", "tensorflow_datasets", "tqdm")
    ops = load(where.frepo, "lib.dataset.ops", "frepo_ops")
    images = given["images"].double().permute(0, 2, 3, 1).numpy() / 255  # theirs is N, H, W, C
    mean, std = images.mean((0, 1, 2)), images.std((0, 1, 2))
    rows = jnp.asarray(((images - mean) / std).reshape(len(images), -1))
    zca_mean = rows.mean(0)
    covariance = (rows - zca_mean).T @ (rows - zca_mean) / len(images)
    transform, back = ops.get_whitening_transform(covariance, len(images), zca_reg=0.1)
    forward, reverse = ops.get_preprocess_op_np(mean=mean, std=std, zca_mean=zca_mean,
                                                whitening_transform=transform,
                                                rev_whitening_transform=back)
    white = np.asarray(forward(jnp.asarray(images)))

    def planes(x):
        return torch.from_numpy(np.ascontiguousarray(np.asarray(x).transpose(0, 3, 1, 2)))
    return {"whitened": planes(white), "restored": planes(reverse(jnp.asarray(white)))}


# --- networks --------------------------------------------------------------------------------------

ACTIVATIONS = {"relu": "relu", "sigmoid": "sigmoid", "leaky": "leakyrelu", "swish": "swish"}
NORMS = {"in": "instancenorm", "bn": "batchnorm", "ln": "layernorm", "gn": "groupnorm",
         "nonorm": "none"}
POOLS = {"avgpool": "avgpooling", "maxpool": "maxpooling", "nopool": "none"}


def network(where, name, channels=3, side=32, classes=10):
    """The authors' module of our name, in double and in train mode."""
    theirs = load(where.condensation, "networks", "condensation_networks")
    words = name.split("-")
    plain = {"mlp": "MLP", "lenet": "LeNet", "alexnet": "AlexNet", "alexnet-bn": "AlexNetBN",
             "vgg11": "VGG11", "vgg11-bn": "VGG11BN", "resnet18": "ResNet18",
             "resnet18-bn": "ResNet18BN", "resnet18-bn-ap": "ResNet18BN_AP"}
    if words[0] != "convnet":
        return getattr(theirs, plain[name])(channel=channels, num_classes=classes).double().train()

    def word(table, usual):
        return next((table[w] for w in words if w in table), usual)

    def number(letter, usual):
        return next((int(w[1:]) for w in words[1:] if w[0] == letter and w[1:].isdigit()), usual)
    made = theirs.ConvNet(channel=channels, num_classes=classes, net_width=number("w", 128),
                          net_depth=number("d", 3), net_act=word(ACTIVATIONS, "relu"),
                          net_norm=word(NORMS, "instancenorm"),
                          net_pooling=word(POOLS, "avgpooling"), im_size=(side, side))
    return made.double().train()


def fill(module, theta):
    """Parameters from one flat vector, in the module's order."""
    torch.nn.utils.vector_to_parameters(theta.double().clone(), module.parameters())


def hashed_theta(module, salt=1):
    theta = hashed(sum(p.numel() for p in module.parameters()), salt)
    at = 0
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        for index, parameter in enumerate(own):
            piece = theta[at:at + parameter.numel()]
            if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
                piece.mul_(1 / math.sqrt(part.weight[0].numel()))
            elif index == 0:
                piece.mul_(0.3).add_(1)
            else:
                piece.mul_(0.3)
            at += parameter.numel()
    return theta


def with_features(module, images):
    """Logits and what enters the last linear layer."""
    seen = []
    last = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = module(images)
    hook.remove()
    return logits, seen[0]


def networks(given, where):
    name = given["name"]
    grey = name.endswith("_grey")
    name = name.replace("network_", "").replace("_grey", "")
    side = 28 if grey else 64 if "-d4" in name else 32
    module = network(where, name, 1 if grey else 3, side)
    fill(module, hashed_theta(module))
    images = (2 * hashed(2 * (1 if grey else 3) * side * side, 2)).view(2, -1, side, side)
    images.requires_grad_(True)
    logits, features = with_features(module, images)
    loss = torch.nn.functional.cross_entropy(logits, given["labels"])
    parameters = list(module.parameters())
    found = torch.autograd.grad(loss, parameters + [images], create_graph=True)
    sizes = [p.numel() for p in parameters]

    def products(parts):
        by = hashed(sum(sizes), 3).split(sizes)
        return torch.stack([(p.flatten() * b).sum() for p, b in zip(parts, by)])

    def of_images(x):
        return (x * hashed(x.numel(), 4).view(x.shape)).sum((1, 2, 3))
    answers = {"logits": logits,
               "features": (features * hashed(features.numel(), 6).view(features.shape)).sum(1),
               "loss": loss.view(1),
               "d_theta": products(found[:-1]), "d_images": of_images(found[-1])}
    along = hashed(sum(sizes), 5).split(sizes)
    slope = sum((g.flatten() * v).sum() for g, v in zip(found[:-1], along))
    second = torch.autograd.grad(slope, parameters + [images], allow_unused=True)
    second = [torch.zeros_like(x) if s is None else s
              for s, x in zip(second, parameters + [images])]
    answers.update({"loss_along": slope.view(1), "theta_along": products(second[:-1]),
                    "images_along": of_images(second[-1])})
    return answers


# --- siamese augmentation --------------------------------------------------------------------------

IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]  # include/retort/augment/siamese.h


def operation_of(rows):
    """Which operation the rows stand for; nothing where they change nothing."""
    differs = (rows - torch.tensor(IDENTITY).to(rows)).abs().gt(0).any(0)
    for name, columns in (("rotate", [1, 3]), ("scale", [0, 4]), ("crop", [6, 7]),
                          ("cutout", [8, 9, 10, 11]), ("flip", [12]), ("color", [13, 14, 15])):
        if any(differs[c] for c in columns):
            return name
    return None


def condensation(where):
    absent("torchvision", "torchvision.datasets", "torchvision.transforms",
           "scipy.ndimage.interpolation")
    return load(where.condensation, "utils", "condensation_utils")


def augmented(where, images, rows, shared):
    """The authors' function of the operation, with the draws that the rows stand for."""
    theirs = condensation(where)
    rows = rows.double()
    name = operation_of(rows)
    if name is None:
        return images
    height, width = images.shape[2:]
    least, most = 1 / 1.2, 1.2
    draws = {
        "scale": [(rows[:, 0] - least) / (most - least), (rows[:, 4] - least) / (most - least)],
        "rotate": [torch.atan2(rows[:, 3], rows[:, 0]) / math.pi * 180 / 30 + 0.5],
        "crop": [rows[:, 6], rows[:, 7]],
        "cutout": [rows[:, 8] + int(0.5 * height + 0.5) // 2,
                   rows[:, 10] + int(0.5 * width + 0.5) // 2],
        "flip": [1 - rows[:, 12]],
        "color": [rows[:, 13] + 0.5, rows[:, 14] / 2, rows[:, 15] - 0.5],
    }[name]
    param = theirs.ParamDiffAug()
    # Newer PyTorch refuses their in-place sharing for one image, where it changes nothing.
    param.Siamese, param.latestseed = shared and len(images) > 1, -1

    def next_draw(shape, kind):
        values = draws.pop(0).to(kind)
        return values.expand(images.shape[0]).clone().view(shape)

    def rand(*shape, **_):
        return next_draw(shape, torch.float64)

    def randint(low, high, size, **_):
        return next_draw(size, torch.int64)
    grid = torch.nn.functional.affine_grid
    sample = torch.nn.functional.grid_sample
    with mock.patch.object(torch, "rand", rand), mock.patch.object(torch, "randint", randint), \
            mock.patch.object(torch, "float", torch.float64), \
            mock.patch.object(torch.nn.functional, "affine_grid",
                              lambda t, s: grid(t, s, align_corners=False)), \
            mock.patch.object(torch.nn.functional, "grid_sample",
                              lambda x, g: sample(x, g, align_corners=False)):
        for function in theirs.AUGMENT_FNS[name]:
            images = function(images, param)
    return images.contiguous()


def augment(given, where):
    images = given["images"].requires_grad_(True)
    seen = augmented(where, images, given["rows"], bool(given["shared"]))
    weights = hashed(images.numel(), 2).view(images.shape)
    return {"seen": seen, "d_images": torch.autograd.grad((seen * weights).sum(), images)[0]}


# --- gradient matching and distribution matching -----------------------------------------------------

def match_loss(where, synthetic, real, metric):
    theirs = condensation(where)
    args = types.SimpleNamespace(device="cpu", dis_metric=metric)
    return theirs.match_loss(synthetic, real, args)


def gradient_distance(given, where):
    shapes = [(3, 2, 2, 1), (3,), (2, 2, 1), (2, 5)]
    sizes = [math.prod(shape) for shape in shapes]

    def parts(vector):
        return [p.view(shape) for p, shape in zip(vector.split(sizes), shapes)]
    answers = {}
    for metric in ("ours", "mse", "cos"):
        a = given["a"].clone().requires_grad_(True)
        value = match_loss(where, parts(a), parts(given["b"]), metric)
        answers["value_" + metric] = value.detach().view(1)
        answers["derivative_" + metric] = torch.autograd.grad(value, a)[0]
    return answers


def toy_network(where, name):
    """The network of the tests' toy data."""
    return network(where, name, 3, 8, 3)


def by_class(given, key="offsets"):
    offsets = given[key].tolist()
    return list(zip(offsets[:-1], offsets[1:]))


def dm(given, where):
    module = toy_network(where, {"dm_all": "convnet-w4-d2-swish", "dm_scale": "convnet-w4-d2",
                                 "dm_bn": "convnet-w4-d2-bn"}[given["name"]])
    fill(module, given["theta"])
    images = given["images"].double().requires_grad_(True)
    real = given["real"].double().split(7)
    rows, spans = given["rows"], by_class(given)
    seen_real = [augmented(where, x, rows[c:c + 1], True) for c, x in enumerate(real)]
    seen = [augmented(where, images[a:b], rows[c:c + 1], True) for c, (a, b) in enumerate(spans)]
    if given["name"] == "dm_bn":  # all classes in one batch
        means_real = [x.mean(0) for x in module.embed(torch.cat(seen_real)).split(7)]
        embedded = module.embed(torch.cat(seen))
        means = [embedded[a:b].mean(0) for a, b in spans]
    else:
        means_real = [module.embed(x).mean(0) for x in seen_real]
        means = [module.embed(x).mean(0) for x in seen]
    loss = sum(((a - b) ** 2).sum() for a, b in zip(means_real, means))
    return {"loss": loss.detach().view(1), "d_images": torch.autograd.grad(loss, images)[0]}


def gradient_matching(given, where):
    name = given["name"]
    metric = name[3:] if name in ("dc_ours", "dc_mse", "dc_cos") else "ours"
    bn = name == "dc_bn"
    module = toy_network(where, "convnet-w4-d2-bn-swish" if bn else "convnet-w4-d2-swish")
    fill(module, given["theta"])
    spans, labels, dsa = by_class(given), given["labels"], "rows0" in given
    criterion = torch.nn.functional.cross_entropy
    answers = {}
    for step in (0, 1):
        images = given["images"].double().requires_grad_(True)
        if step == 1:  # the network trains on the set between the two
            sgd = torch.optim.SGD(module.parameters(), lr=0.01)
            module.train()
            for epoch in (0, 1):
                order = given[f"order{epoch}"]
                batch = images.detach()[order]
                if dsa:
                    batch = augmented(where, batch, given[f"inner_rows{epoch}"], False)
                sgd.zero_grad()
                criterion(module(batch), labels[order]).backward()
                sgd.step()
        if bn:
            module.train()
            module(given[f"calibration{step}"].double())
            for part in module.modules():
                if "BatchNorm" in part._get_name():
                    part.eval()
        total = 0
        parameters = list(module.parameters())
        for c, (a, b) in enumerate(spans):
            real, own = given[f"real{step}"].double().split(7)[c], images[a:b]
            if dsa:
                row = given[f"rows{step}"][c:c + 1]
                real, own = augmented(where, real, row, True), augmented(where, own, row, True)
            wanted = torch.autograd.grad(
                criterion(module(real), torch.full((7,), c)), parameters)
            found = torch.autograd.grad(criterion(module(own), torch.full((b - a,), c)),
                                        parameters, create_graph=True)
            total = total + match_loss(where, found, wanted, metric)
        answers[f"loss{step}"] = total.detach().view(1)
        answers[f"d_images{step}"] = torch.autograd.grad(total, images)[0]
    return answers


# --- trajectories ----------------------------------------------------------------------------------

def gsam(given, where):
    absent("torch.distributed.ReduceOp")
    package = types.ModuleType("gsam_of_ftd")
    package.__path__ = [os.path.join(where.datm, "buffer", "gsam")]
    sys.modules["gsam_of_ftd"] = package
    theirs = load(where.datm, "buffer.gsam.gsam", "gsam_of_ftd.gsam")
    answers = {}
    for adaptive in (True, False):
        module = toy_network(where, "convnet-w4-d2-swish")
        fill(module, given["theta"])
        base = torch.optim.SGD(module.parameters(), lr=0.1)
        rho = types.SimpleNamespace(step=lambda: 0.05)
        optimiser = theirs.GSAM(module.parameters(), base, module, gsam_alpha=0.3,
                                rho_scheduler=rho, adaptive=adaptive)
        optimiser.set_closure(torch.nn.functional.cross_entropy, given["images"], given["labels"])
        optimiser.step()
        answers["adaptive" if adaptive else "plain"] = \
            torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    return answers


def flat_network(where):
    """theta [P] and images to logits, through the authors' ReparamModule."""
    theirs = load(where.mtt, "reparam_module", "mtt_reparam")
    module = theirs.ReparamModule(toy_network(where, "convnet-w4-d2-swish"))
    return lambda images, theta: module(images, flat_param=theta)


def soft_cross_entropy(logits, targets):
    return -(targets * torch.log_softmax(logits, 1)).sum(1).mean()


def inner_steps(given, where, images, labels, rate, theta, prefix="", constant=False):
    """The parameters after the steps that `given` has the draws of, and every step's gradient."""
    logits_of, gradients = flat_network(where), []
    for k in range(sum(key.startswith(prefix + "rows") for key in given)):
        rows = given[f"{prefix}rows{k}"]
        seen = augmented(where, images[rows], given[f"{prefix}augment{k}"], False)
        loss = soft_cross_entropy(logits_of(seen, theta), labels[rows])
        gradients.append(torch.autograd.grad(loss, theta, create_graph=True)[0])
        theta = theta - rate * gradients[-1]
        if constant:  # every step's parameters are constants to the sum of gradients
            theta = theta.detach().requires_grad_(True)
    return theta, gradients


def trajectory(given, where):
    logits_of, name = flat_network(where), given["name"]
    images = given["images"].double().requires_grad_(True)
    rate = torch.tensor(0.05, requires_grad=True)
    start, target = given["start"].double(), given["target"].double()
    inputs = [images, rate]
    labels = torch.nn.functional.one_hot(given["labels"], 3).double()
    answers = {}
    if name == "datm":
        raw = given["label_logits"].double().requires_grad_(True)
        labels = torch.softmax(raw, 1)
        inputs.append(raw)
        said = torch.stack([logits_of(images, given[f"last{e}"].double()) for e in (0, 1)])
        right = (said.argmax(2) == given["labels"]).double().unsqueeze(2)
        answers["logits"] = ((said * right).sum(0) / right.sum(0)).detach()
    if name == "tesla_teacher":
        labels = torch.softmax(logits_of(images, target), 1).detach()
    tesla = name.startswith("tesla")
    end, steps = inner_steps(given, where, images, labels, rate, start.clone().requires_grad_(True),
                             constant=tesla)
    distance = ((start - target) ** 2).sum()
    if tesla:
        end = start - rate * sum(steps)
    loss = ((end - target) ** 2).sum() / distance
    found = torch.autograd.grad(loss, inputs)
    answers.update({"loss": loss.detach().view(1), "d_images": found[0],
                    "d_rate": found[1].view(1)})
    if name == "datm":
        answers["d_logits"] = found[2]
    return answers


def ftd(given, where):
    moving = load(where.datm, "distill.model_ema", "ftd_model_ema")
    images = given["images"].double().requires_grad_(True)
    rate = torch.tensor(0.05, requires_grad=True)
    labels = torch.nn.functional.one_hot(given["labels"], 3).double()
    descents = [torch.optim.SGD([images], lr=100, momentum=0.5),
                torch.optim.SGD([rate], lr=5e-4, momentum=0.5)]
    average = moving.ModelEmaV2([images], decay=0.9)
    answers = {}
    for prefix in ("first_", "second_"):
        start, target = given[prefix + "start"].double(), given[prefix + "target"].double()
        end, _ = inner_steps(given, where, images, labels, rate,
                             start.clone().requires_grad_(True), prefix)
        loss = ((end - target) ** 2).sum() / ((start - target) ** 2).sum()
        for descent in descents:
            descent.zero_grad()
        loss.backward()
        for descent in descents:
            descent.step()
        average.update([images])
        answers[prefix + "loss"] = loss.detach().view(1)
    return {**answers, "images_after": images, "average": average.module[0],
            "rate_after": rate.view(1)}


# --- training gone back through ------------------------------------------------------------------------

def dd(given, where):
    absent("matplotlib", "matplotlib.pyplot", "torchvision", "torchvision.datasets",
           "torchvision.transforms", "tqdm")
    theirs = load_apart(where.dd, "train_distilled_image", "dd_train")
    reparam = load_apart(where.dd, "networks.utils", "dd_reparam")

    class Network(reparam.ReparamModule):
        def __init__(self, state):
            super().__init__()
            self.network = toy_network(where, "convnet-w4-d2-swish")

        def forward(self, images):
            return self.network(images)
    batches = [given["offsets"][:-1] + i for i in (0, 1)]  # the i-th image of every class
    state = types.SimpleNamespace(
        distill_steps=2, distill_epochs=3, distill_lr=0.02, num_classes=3,
        distilled_images_per_class_per_step=1, nc=3, input_size=8, lr=0.01, decay_epochs=40,
        decay_factor=0.5, mode="distill_basic", device="cpu", distributed=False)
    trainer, model = theirs.Trainer(state, None), Network(state)
    answers = {"rates_at_first": trainer.raw_distill_lrs.detach().flatten().clone()}
    with torch.no_grad():
        model.flat_w.copy_(given["theta"])
        trainer.raw_distill_lrs.copy_(given["rates"].view(-1, 1))
        for part, rows in zip(trainer.data, batches):
            part.copy_(given["images"][rows])
    real = given["real"].double(), given["real_labels"]
    steps = trainer.get_steps()
    loss, saved = trainer.forward(model, *real, steps)
    trainer.accumulate_grad([trainer.backward(model, *real, steps, saved)])
    images = torch.empty(given["images"].shape)
    for part, rows in zip(trainer.data, batches):
        images[rows] = part.grad
    trainer.optimizer.step()
    return {**answers, "loss": loss.detach().view(1), "d_images": images,
            "d_rates": trainer.raw_distill_lrs.grad.flatten(),
            "first_image_after": trainer.data[0][0],
            "rates_after": trainer.raw_distill_lrs.flatten()}


def bptt_memories(given, where):
    absent("torchvision", "torchvision.datasets", "torchvision.transforms")
    theirs = load_apart(where.rtp, "models.compressor_bptt_standard", "rtp_bptt")
    networks_of_rtp = load_apart(where.rtp, "models.networks", "rtp_networks")
    synthesiser = load_apart(where.rtp, "compressors.imgs_embedding_basis_minibatch",
                             "rtp_memories")
    backbone = networks_of_rtp.ConvNet(3, 3, 4, 2, "sigmoid", "instancenorm", "avgpooling", (8, 8))
    fill(backbone, given["theta"])
    memories = synthesiser.Net(3, 3, (8, 8), 3, "cpu", n_basis=4, downsample_scale=2, n_per_c=2)
    with torch.no_grad():
        memories.basis.weight.copy_(given["bases"].flatten(1))
        memories.imgs.weight.copy_(given["coefficients"])
    augmentations = [given[f"augment{k}"] for k in range(4)]
    augmentations = augmentations + [given["augment_real"]] + augmentations[::-1]

    def augmentation(images, dtype, seed):
        return augmented(where, images, augmentations.pop(0), True)
    inner = types.SimpleNamespace(optimizer="SGD", lr=0.05, momentum=0.9)
    config = types.SimpleNamespace(backbone=types.SimpleNamespace(name="ConvNet"),
                                   bptt=types.SimpleNamespace(inner_steps=4), bptt_optim=inner)
    whole = theirs.CompressorBPTT(memories, config, (3, (8, 8)), augmentation, 3,
                                  coeff_reg="l2", coeff_reg_alpha=1)  # which reaches nothing
    classes = given["classes"].tolist()
    draws = [rows for k in range(4) for rows in given[f"rows{k}"].view(len(classes), 2) % 3]
    with mock.patch.object(theirs, "get_network", lambda *_: backbone), \
            mock.patch.object(torch, "randperm", lambda _: draws.pop(0)):
        loss, found, _ = whole([*classes], [given["real"].double(), given["real_labels"]], 0)
    answers = {"loss": loss.detach().view(1), "d_bases": found[0].clone(),
               "d_coefficients": found[1].clone(),
               "images": memories.get_compressors().detach()[::3]}
    # As their runner goes on.
    descent = torch.optim.SGD(memories.parameters(), lr=20, momentum=0.5)
    memories.assign_grads([part.flatten() for part in found], classes)
    torch.nn.utils.clip_grad_norm_(memories.parameters(), max_norm=0.005)
    descent.step()
    return {**answers, "bases_after": memories.basis.weight.view(given["bases"].shape),
            "coefficients_after": memories.imgs.weight}


def bptt_window(given, where):
    logits_of = flat_network(where)
    images = given["images"].double().requires_grad_(True)
    labels = given["label_values"].double().requires_grad_(True)
    rate = torch.tensor(0.05, requires_grad=True)
    theta, velocity = given["theta"].double().requires_grad_(True), 0
    for k in range(4):
        if k == 2:  # what is before the window is given
            theta = theta.detach().requires_grad_(True)
            velocity = velocity.detach()
        rows = given[f"rows{k}"]
        loss = soft_cross_entropy(logits_of(images[rows], theta), labels[rows])
        gradient = torch.autograd.grad(loss, theta, create_graph=True)[0] + 0.01 * theta
        velocity = 0.9 * velocity + gradient
        theta = theta - rate * velocity
    loss = torch.nn.functional.cross_entropy(logits_of(given["real"].double(), theta),
                                             given["real_labels"])
    found = torch.autograd.grad(loss, [images, rate, labels])
    return {"loss": loss.detach().view(1), "d_images": found[0], "d_rate": found[1].view(1),
            "d_labels": found[2]}


# --- kernel regression -------------------------------------------------------------------------------

def jax_in_double():
    import jax
    jax.config.update("jax_enable_x64", True)
    import jax.scipy
    import flax.training.checkpoints  # looks for tensorflow, so it comes before what absent() does
    solve = jax.scipy.linalg.solve
    if not getattr(solve, "translated", False):  # an argument that newer releases call otherwise
        def translated(a, b, sym_pos=False):
            return solve(a, b, assume_a="pos" if sym_pos else "gen")
        translated.translated = True
        jax.scipy.linalg.solve = translated
    return jax


def frepo_modules(where):
    absent("tensorflow", "tensorflow_datasets", "tqdm", "clu", "pandas", "matplotlib",
           "matplotlib.pyplot")
    for package in ("frepo_lib", "frepo_lib.datadistillation", "frepo_lib.training",
                    "frepo_lib.models", "frepo_lib.dataset"):
        made = types.ModuleType(package)
        made.__path__ = [os.path.join(where.frepo, "lib", *package.split(".")[1:])]
        sys.modules.setdefault(package, made)
    return (load(where.frepo, "lib.datadistillation.frepo", "frepo_lib.datadistillation.frepo"),
            load(where.frepo, "lib.models.networks", "frepo_lib.models.networks"),
            load(where.frepo, "lib.training.utils", "frepo_lib.training.utils"),
            load(where.frepo, "lib.training.metrics", "frepo_lib.training.metrics"))


def frepo(given, where):
    jax = jax_in_double()
    jnp = jax.numpy
    import flax
    import optax
    method, models, training, metrics = frepo_modules(where)
    bn = given["name"].endswith("bn")
    model = models.Conv(depth=2, width=4, num_classes=3,
                        normalization="batch" if bn else "identity", output="feat_fc",
                        dtype="float64")

    def pictures(x):
        return jnp.asarray(x.double().numpy().transpose(0, 2, 3, 1))

    def planes(x):
        return torch.from_numpy(np.ascontiguousarray(np.asarray(x).transpose(0, 3, 1, 2)))

    # Ours in order: conv1, (norm2,) conv2, classifier; its columns go by channel, then by pixel.
    shapes = [(4, 3, 3, 3), (4,)] + ([(4,), (4,)] if bn else []) + \
             [(8, 4, 3, 3), (8,), (3, 32), (3,)]
    parts = [p.view(s) for p, s in zip(given["theta"].double().split(
        [math.prod(s) for s in shapes]), shapes)]
    scale_shift = [parts.pop(2), parts.pop(2)] if bn else None

    def kernel(w):
        return jnp.asarray(w.numpy().transpose(2, 3, 1, 0))

    def dense(w):  # [3, 8 * 2 * 2] to [2 * 2 * 8, 3]
        return jnp.asarray(w.view(3, 8, 2, 2).permute(2, 3, 1, 0).reshape(32, 3).numpy())
    params = {"Conv_0": {"kernel": kernel(parts[0]), "bias": jnp.asarray(parts[1].numpy())},
              "Conv_1": {"kernel": kernel(parts[2]), "bias": jnp.asarray(parts[3].numpy())},
              "Dense_0": {"kernel": dense(parts[4]), "bias": jnp.asarray(parts[5].numpy())}}
    statistics = {}
    if bn:
        params["BatchNorm_0"] = {"scale": jnp.asarray(scale_shift[0].numpy()),
                                 "bias": jnp.asarray(scale_shift[1].numpy())}
        statistics = {"BatchNorm_0": {"mean": jnp.zeros(4), "var": jnp.ones(4)}}

    class State(flax.training.train_state.TrainState):
        batch_stats: object = None
    state = State.create(apply_fn=model.apply, params=params, tx=optax.adam(3e-4),
                         batch_stats=statistics)
    labels = jnp.asarray(given["label_values"].double().numpy())
    real, targets = pictures(given["real"]), jnp.asarray(given["targets"].double().numpy())
    feat = lambda x, s: method.nn_feat_fn(x, s, has_bn=bn)
    real_features = feat(real, state)

    def loss_of(images, values):
        margin = method.lb_margin_th(values).mean()
        if int(given["flip"]):
            images = jnp.concatenate([images, jnp.flip(images, axis=-2)])
            values = jnp.concatenate([values, values])
        predicted = method.nfr(real_features, images, values, state, feat)
        return metrics.mean_squared_loss(predicted, targets).mean() + margin
    x = pictures(given["images"])
    loss, (d_images, d_labels) = jax.value_and_grad(loss_of, argnums=(0, 1))(x, labels)
    with mock.patch.object(training, "compute_metrics", lambda *_: {}):  # wants five classes
        after, _ = training.train_step(state, {"image": x, "label": labels},
                                       jax.random.PRNGKey(0), metrics.mean_squared_loss,
                                       has_feat=True, has_bn=bn, use_pmap=False)

    def back(kernel_):
        return torch.from_numpy(np.asarray(kernel_).transpose(3, 2, 0, 1).copy()).flatten()

    def vector(values):
        return torch.from_numpy(np.asarray(values).copy()).flatten()
    p = after.params
    flat = [back(p["Conv_0"]["kernel"]), vector(p["Conv_0"]["bias"])]
    if bn:
        flat += [vector(p["BatchNorm_0"]["scale"]), vector(p["BatchNorm_0"]["bias"])]
    flat += [back(p["Conv_1"]["kernel"]), vector(p["Conv_1"]["bias"]),
             torch.from_numpy(np.asarray(p["Dense_0"]["kernel"]).reshape(2, 2, 8, 3)
                              .transpose(3, 2, 0, 1).copy()).flatten(),
             vector(p["Dense_0"]["bias"])]
    answers = {"loss": vector(loss), "d_images": planes(d_images),
               "d_labels": torch.from_numpy(np.asarray(d_labels).copy()),
               "theta_after": torch.cat(flat)}
    if bn:
        kept = after.batch_stats["BatchNorm_0"]
        answers["statistics_after"] = torch.cat([vector(kept["mean"]), vector(kept["var"])])
    return answers


def kip(given, where):
    jax = jax_in_double()
    jnp = jax.numpy
    absent("tensorflow", "tf2jax", "jax.experimental.jax2tf")
    from neural_tangents import stax

    def kernel_of(layers):
        # The notebook's fully connected network: weights of variance 2, biases of deviation 0.1.
        dense = dict(W_std=math.sqrt(2), b_std=0.1)
        parts = []
        for _ in range(layers):
            parts += [stax.Dense(1024, **dense), stax.Relu()]
        return lambda a, b: stax.serial(*parts, stax.Dense(3, **dense))[2](a, b, "ntk")

    def points(x):
        return jnp.asarray(x.double().flatten(1).numpy())
    x, real = points(given["images"]), points(given["real"])
    targets = jnp.asarray(given["targets"].double().numpy())
    labels = jnp.asarray(given["label_values"].double().numpy())
    kernel = kernel_of(2)

    def loss_of(x, y):
        k_ss, k_ts = kernel(x, x), kernel(real, x)
        ridge = k_ss + 0.01 * jnp.trace(k_ss) / len(k_ss) * jnp.eye(len(k_ss))
        return 0.5 * jnp.mean((k_ts @ jax.numpy.linalg.solve(ridge, y) - targets) ** 2)
    loss, (d_images, d_labels) = jax.value_and_grad(loss_of, argnums=(0, 1))(x, labels)

    def tensor(values):
        return torch.from_numpy(np.asarray(values).copy())
    return {"kernel1": tensor(kernel_of(1)(x, x)), "kernel2": tensor(kernel(x, x)),
            "loss": tensor(loss).view(1), "d_images": tensor(d_images), "d_labels": tensor(d_labels)}


ANSWERS = {  # by the beginning of a file's name, the longest that fits
    "frepo_whitening": frepo_whitening,
    "network_": networks,
    "augment_": augment,
    "gradient_distance": gradient_distance,
    "dm_": dm,
    "dc_": gradient_matching,
    "dsa": gradient_matching,
    "gsam": gsam,
    "mtt": trajectory,
    "tesla": trajectory,
    "datm": trajectory,
    "ftd": ftd,
    "dd": dd,
    "bptt_memories": bptt_memories,
    "bptt_window": bptt_window,
    "frepo": frepo,
    "kip": kip,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inputs")
    parser.add_argument("golden")
    for name in ("condensation", "mtt", "datm", "frepo", "dd", "rtp"):
        parser.add_argument("--" + name)
    parser.add_argument("--only", nargs="*", default=[])
    where = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    for file in sorted(os.listdir(where.inputs)):
        name = os.path.splitext(file)[0]
        if where.only and name not in where.only:
            continue
        maker = next((ANSWERS[key] for key in sorted(ANSWERS, key=len, reverse=True)
                      if name.startswith(key)), None)
        if maker is None:
            sys.exit(f"nothing answers {name}")
        given = read(os.path.join(where.inputs, file))
        answers = maker({**given, "name": name}, where)
        write(os.path.join(where.golden, file), {**given, **answers})
        print(name, {key: tuple(value.shape) for key, value in answers.items()})


if __name__ == "__main__":
    main()
