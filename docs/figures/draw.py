#!/usr/bin/env python3
"""Draws the figures of docs/design.md: docs/figures/draw.py writes the .svg files beside itself.

A figure is rows of boxes (a title, the file that does it, a line of what) and arrows between them.
Needs Python's standard library only; tests/structure holds the file names against the tree.
"""
import html
import pathlib

WIDTH, PAD, GAP, DROP = 1000, 20, 18, 44  # of the page, its edge, between boxes, between rows
FILL = {"data": "#e8f1fb", "set": "#fdf0e3", "work": "#eaf6ea", "plain": "#f4f4f4"}
STYLE = """text{font-family:system-ui,sans-serif;fill:#1c1c1c;font-size:13px}
.t{font-weight:600}.f{font-family:ui-monospace,monospace;font-size:11px;fill:#444}
.w{font-size:12px;fill:#333}.a{font-size:11px;fill:#555;font-style:italic}
rect{stroke:#777;rx:6}path{stroke:#555;fill:none;marker-end:url(#h)}"""


class Box:
    def __init__(self, key, title, files="", what=(), kind="plain", span=1):
        self.key, self.title, self.kind, self.span = key, title, kind, span
        self.files = files.split() if files else []
        self.what = [what] if isinstance(what, str) else list(what)

    def height(self):
        return 26 + 15 * len(self.files) + 16 * len(self.what)


def lay_out(rows, drop):
    """Sets x, y, width of every box; returns the boxes by key and the height of the page."""
    y, boxes = PAD, {}
    for row in rows:
        total = sum(box.span for box in row)
        unit = (WIDTH - 2 * PAD - GAP * (len(row) - 1)) / total
        x, tall = PAD, max(box.height() for box in row)
        for box in row:
            box.x, box.y, box.w, box.h = x, y, unit * box.span, tall
            x += box.w + GAP
            boxes[box.key] = box
        y += tall + drop
    return boxes, y - drop + PAD


def box_svg(box):
    lines = [f'<rect x="{box.x:.0f}" y="{box.y}" width="{box.w:.0f}" height="{box.h}" '
             f'fill="{FILL[box.kind]}"/>']
    y = box.y + 18
    for style, texts, step in (("t", [box.title], 15), ("f", box.files, 15), ("w", box.what, 16)):
        for text in texts:
            lines.append(f'<text class="{style}" x="{box.x + 10:.0f}" y="{y}">{html.escape(text)}</text>')
            y += step
    return lines


def arrow_svg(a, b, text):
    """Down from a to b, sideways within a row, or up again beside them."""
    if a.y == b.y:
        right = b.x > a.x
        x1, x2, y = (a.x + a.w, b.x, a.y + 13) if right else (a.x, b.x + b.w, a.y + a.h - 10)
        path, tx, ty = f"M{x1:.0f} {y} L{x2:.0f} {y}", (x1 + x2) / 2, y - 4
    elif a.y < b.y:
        left, right = max(a.x, b.x), min(a.x + a.w, b.x + b.w)
        x1 = x2 = (left + right) / 2
        if left >= right:
            x1, x2 = a.x + a.w / 2, b.x + b.w / 2
        y1, y2 = a.y + a.h, b.y
        path, tx, ty = f"M{x1:.0f} {y1} L{x2:.0f} {y2}", (x1 + x2) / 2 + 6, (y1 + y2) / 2 + 4
    else:
        x = max(a.x + a.w, b.x + b.w) - 14
        path, tx, ty = f"M{x:.0f} {a.y} L{x:.0f} {b.y + b.h}", x - 6, (a.y + b.y + b.h) / 2 + 4
    anchor = "" if a.y < b.y else f' text-anchor="{"middle" if a.y == b.y else "end"}"'
    label = f'<text class="a" x="{tx:.0f}" y="{ty:.0f}"{anchor}>{html.escape(text)}</text>' if text else ""
    return [f'<path d="{path}"/>', label]


def draw(name, title, rows, arrows):
    boxes, height = lay_out(rows, DROP if arrows else GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
             f'aria-label="{html.escape(title)}">', f"<style>{STYLE}</style>",
             '<defs><marker id="h" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
             '<path d="M0 0 L8 4 L0 8 z" style="fill:#555;stroke:none;marker-end:none"/></marker></defs>',
             f'<rect x="0" y="0" width="{WIDTH}" height="{height}" fill="#fff" style="stroke:none"/>']
    for box in boxes.values():
        parts += box_svg(box)
    for a, b, text in arrows:
        parts += arrow_svg(boxes[a], boxes[b], text)
    path = pathlib.Path(__file__).parent / f"{name}.svg"
    path.write_text("\n".join(p for p in parts if p) + "\n</svg>\n")


B = Box
draw("rooms", "The rooms of the sources, by level: a room includes rooms of the levels below it only", [
    [B("cli", "7  cli", "src/cli", "one file a command: words in, text and pages out", "plain")],
    [B("eval", "6  eval", "src/eval", "protocols that judge a set with fresh students", "work")],
    [B("methods", "5  methods", "src/methods", ["objectives, a folder a family;", "the one distillation loop"], "set"),
     B("continual", "5  continual", "src/continual", ["tasks one after another,", "learned from stored sets"], "work"),
     B("studies", "5  studies", "src/studies", ["what sets and teachers", "are like, measured"], "work")],
    [B("teachers", "4  teachers", "src/teachers", "their pretraining, files and soft labels", "work"),
     B("trajectories", "4  trajectories", "src/trajectories", "experts and the files of their training", "work")],
    [B("synthetic", "3  synthetic", "src/synthetic", "how a set is stored, exported and imported", "set"),
     B("train", "3  train", "src/train", "the one training loop; training unrolled", "work")],
    [B("data", "2  data", "src/data", "readers, splits, whitening, batches, samplers", "data"),
     B("nets", "2  nets", "src/nets", "networks as functions of theta; their engines", "work")],
    [B("io", "1  io", "src/io", "file formats", "data"), B("augment", "1  augment", "src/augment", "siamese views", "data"),
     B("losses", "1  losses", "src/losses", "of tensors", "work"), B("optim", "1  optim", "src/optim", "optimizers, schedules", "work"),
     B("report", "1  report", "src/report", "pictures, the page", "plain")],
    [B("core", "0  core", "src/core", "errors, options, random streams, records, progress, device", "plain")],
], [])

draw("real_image", "The way of a real image: from a file to the loss", [
    [B("file", "a file", "", ["my_images/cat/1.jpg, an idx", "or .npz file, a pack"], "data"),
     B("reader", "reader", "src/data/layouts.cpp src/data/image_folder.cpp", "which layout, which part", "data"),
     B("decode", "decoding", "src/data/decode.cpp src/data/images/", ["bytes to pixels: upright,", "RGB, cropped, resized"], "data")],
    [B("raw", "RawDataset", "include/retort/data/raw.h", ["uint8 pixels, labels, names;", "what was passed over is a note"], "data"),
     B("split", "split", "src/data/split.cpp", ["training, validation, test:", "its hash goes into every file"], "data"),
     B("dataset", "Dataset", "include/retort/data/dataset.h", ["bytes stay bytes; mean,", "deviation, whitening known"], "data")],
    [B("sampler", "ClassSampler", "src/data/class_sampler.cpp", ["rows of a class by a named stream;", "bytes to float32 input, on the device"], "data"),
     B("source", "BatchSource", "src/data/batch_source.cpp", ["shuffled batches of a training"], "data")],
    [B("augment", "the same view for both", "src/augment/siamese.cpp", "one row of numbers says the view of a class", "work"),
     B("train", "trainer", "src/train/trainer.cpp", "students, experts, teachers", "work")],
    [B("nets", "Network", "src/nets/network.cpp src/nets/engines.cpp", "observe, gradient or gradient_jvp of a batch, by the first engine that accepts it", "work")],
    [B("objective", "objective", "src/methods/matching/dm.cpp", "the features or gradients that the synthetic set is held against", "set"),
     B("theta", "theta", "include/retort/train/trainer.h", "a trained network, as one vector", "work")],
], [("file", "reader", ""), ("reader", "decode", ""), ("decode", "raw", ""), ("raw", "split", ""), ("split", "dataset", ""),
    ("dataset", "sampler", ""), ("dataset", "source", ""), ("sampler", "augment", "[N, C, H, W]"), ("source", "train", "batches"),
    ("augment", "nets", ""), ("train", "nets", ""), ("nets", "objective", ""), ("nets", "theta", "gradient")])

draw("synthetic_image", "The way of a synthetic image: around the distillation loop and out", [
    [B("start", "start", "src/methods/start.cpp", "real images, noise, or a bundle", "set")],
    [B("stored", "Parametrisation: compact tensors", "src/synthetic/pixels.cpp src/synthetic/memories.cpp", "pixels, bases and coefficients, mosaics, frequencies", "set"),
     B("step", "optimizer step, then project", "src/optim/ src/methods/outer_loop.cpp", "each group at its own rate; clipping, EMA, checkpoint", "work")],
    [B("decode", "decode", "include/retort/synthetic/parametrisation.h", "images [M, C, H, W], without a graph", "set"),
     B("pullback", "pullback", "include/retort/synthetic/parametrisation.h", "cotangents of images to those of the compact tensors", "set")],
    [B("objective", "Objective::evaluate", "include/retort/methods/method.h", "a loss and its cotangents by the images: views, Network calls, training unrolled (src/train/unroll.cpp)", "work")],
    [B("bundle", "bundle", "src/synthetic/bundle.cpp", ["distilled.safetensors: images, compact tensors,", "labels, recipe, split, hashes"], "set"),
     B("eval", "evaluation", "src/eval/evaluate.cpp", ["fresh students beside random real images,", "the test part once"], "work"),
     B("page", "page", "src/report/run_page.cpp", ["report.html"], "plain")],
], [("start", "stored", ""), ("stored", "decode", "every iteration"), ("decode", "objective", "X"), ("objective", "pullback", "dL/dX"),
    ("pullback", "step", "gradients"), ("step", "stored", ""), ("objective", "bundle", "at the end"), ("bundle", "eval", ""),
    ("eval", "page", "")])

draw("option", "The way of an option: declared once, read from flags and recipes, kept in the result", [
    [B("declare", "declared once", "src/methods/matching/dm.cpp include/retort/core/options.h",
       ["a name, a field with its default, limits, a line of help"], "set")],
    [B("help", "help, completion, describe", "src/cli/describe_command.cpp docs/methods.md", "printed from the declaration", "plain"),
     B("flags", "flags", "src/cli/arguments.cpp", "--real-batch 64", "plain"),
     B("recipe", "recipe", "recipes/ src/core/options.cpp", "real_batch = 64; flags override it", "data"),
     B("program", "a program's own words", "include/retort/methods/experiment.h", "e.set({{\"real_batch\", \"64\"}})", "work", 1.15)],
    [B("set", "OptionSet", "src/core/options.cpp", "all problems at once, with the nearest spelling, before the first tensor", "set")],
    [B("run", "Experiment::run", "src/methods/experiment.cpp", ["the field holds the value:", "the method reads plain C++"], "work"),
     B("folder", "run folder", "src/methods/run_folder.cpp", ["recipe.toml: another value of what changes", "the result is refused, naming the key"], "data"),
     B("bundle", "bundle and page", "src/synthetic/bundle.cpp src/report/run_page.cpp", ["the recipe travels with the set"], "set")],
], [("declare", "help", ""), ("declare", "flags", ""), ("declare", "recipe", ""), ("declare", "program", ""),
    ("flags", "set", ""), ("recipe", "set", ""), ("program", "set", ""), ("set", "run", ""), ("run", "folder", ""), ("folder", "bundle", "")])
