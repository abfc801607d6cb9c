"""The program's commands as functions: their options are keywords, with the names that flags have.

All of them take the options of the command of that name (`retort.options("distill", method="mtt")` lists them);
a wrong name is refused with the nearest one. They hold no GIL while they work, write nothing to the terminal but a
progress bar (`progress=False` for none), and leave torch's settings as they were. Ctrl-C, and an exception of a
callback, let a run write its checkpoint first; the same call goes on from there. Notes go to the logger "retort".
Where torch.distributed is initialised, all processes make a call and share its work (`retort.alone`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import _core, processes, students
from .callbacks import Callback, listeners
from .images import data_argument
from .objective import method_argument
from .sets import SyntheticSet, load

Option = namedtuple("Option", "name type default help choices group")
Option.__doc__ = "One option of a command: `type` is text, integer, number, list or yes|no; `default` is text."

_log = logging.getLogger("retort")


def options(command: str, **given: Any) -> list[Option]:
    """The options of a command; some depend on others, which are given: `options("distill", method="mtt")`."""
    return [Option(**one) for one in _core.options(command, _words(given)) if one["name"] != "json"]


def distill(*, data: Any, out: str | os.PathLike, method: Any = None,
            callbacks: Callback | Callable | Iterable[Callback | Callable] = (), progress: bool = True,
            **options: Any) -> SyntheticSet | list[SyntheticSet]:
    """Distils `data` into a small set by `method` ("dm", "mtt", ... or a Python objective); the run lies in folder `out`.

    `data` is a path, "shapes" (built in), a pair (images, labels), a torch Dataset, a Hugging Face split or `Images`.
    Usual options: `images_per_class`, `iterations`, `network`, `seed`, `augmentation`, `device`, `recipe` (a TOML
    file), `experts` (of trajectory matching). A folder that holds the same run is gone on with, or its result is
    returned; the same options and seed give the same bytes as `retort distill`. `callbacks` are functions of
    (iteration, loss) or `Callback`s, or one of these. The set that comes back has `run`, a dictionary of how it went.
    With `seeds=[0, 1, 2]` it is a list of sets, one for each.
    """
    named, handle = method_argument(method)
    given = {"out": out, **({} if named is None else {"method": named}), **options}
    callbacks = [callbacks] if callable(callbacks) or isinstance(callbacks, Callback) else list(callbacks)
    listening = [callback for callback in callbacks if isinstance(callback, Callback)]
    with contextlib.ExitStack() as closing:
        for callback in listening:
            closing.callback(callback.close)
            callback.begin({"data": str(data) if isinstance(data, (str, os.PathLike)) else repr(data), **given})
        run = _command("distill", given, data=data, progress=progress, callbacks=callbacks, method=handle)
        sets = []
        for about in run.get("sets", [run]):
            sets.append(load(about["out"]))
            sets[-1].run = about
        for callback in listening:
            for made in sets:
                callback.end(made)
    return sets if "sets" in run else sets[0]


class Evaluation(Mapping):
    """What an evaluation found: a mapping as records hold it, printed as a table.

    `results` has a dictionary for every network and subject ("distilled", "random"): `accuracies` as fractions,
    `mean`, `deviation` over students, `class_accuracies` and what it took.
    """

    def __init__(self, record: dict):
        self._record = record

    def __getitem__(self, key):
        return self._record[key]

    def __iter__(self):
        return iter(self._record)

    def __len__(self):
        return len(self._record)

    @property
    def results(self) -> list[dict]:
        return self._record["results"]

    @property
    def accuracy(self) -> float:
        """Mean accuracy of the first network on the set, a fraction."""
        return self.results[0]["mean"]

    @property
    def deviation(self) -> float:
        """Its standard deviation over students."""
        return self.results[0]["deviation"]

    def __str__(self):
        lines = [f"{'network':<24} {'trained on':<12} {'images':>7} {'accuracy %':>14}"]
        for result in self.results:
            spread = f" ± {100 * result['deviation']:.1f}" if len(result["accuracies"]) > 1 else ""
            lines.append(f"{result['network']:<24} {result['subject']:<12} {result['images']:>7} "
                         f"{100 * result['mean']:>7.1f}{spread}")
        return "\n".join(lines)

    __repr__ = __str__


def evaluate(set: SyntheticSet | str | os.PathLike, data: Any, *, networks: Any = None, progress: bool = True,
             **options: Any) -> Evaluation:
    """Trains fresh students on a set and tests them once, beside random real images of the same bytes.

    `set` is a run folder, a bundle or a `SyntheticSet`; a run keeps the figures in its records and page. `data` is
    what it was made from. `networks` are the students: names ("convnet", "resnet18", ...) and functions that make a
    fresh `torch.nn.Module`, or pairs (name, function); a list, or one. Modules are trained by the same protocol.
    Usual options: `students`, `protocol`, `part` ("test" or "validation"), `random_baseline`, `teacher`, `device`.
    """
    names, modules = students.split(networks)
    if names:
        options["networks"] = names
    learners = {}
    if modules:
        about = set if isinstance(set, SyntheticSet) else load(set)
        students.check(modules, about.images.shape[1:], len(about.class_names))
        learners = students.learners(modules, len(about.class_names))
    with _file_of(set) as target:
        return Evaluation(_command("eval", options, target, data=data, progress=progress, learners=learners))


def experts(*, data: Any, out: str | os.PathLike, progress: bool = True, **options: Any) -> dict:
    """Trains the experts of trajectory matching in folder `out`, or imports published ones (`import_`).

    Usual options: `count`, `epochs`, `network`, `flat`, `normalisation`. Goes on with what is there.
    """
    return _command("experts", {"out": out, **options}, data=data, progress=progress)


def squeeze(*, data: Any, out: str | os.PathLike, progress: bool = True, **options: Any) -> dict:
    """Trains a teacher on the whole of `data`; the answer's "out" is its file. Usual options: `network`, `epochs`,
    `objective` ("supervised", "moco", "simsiam")."""
    return _command("squeeze", {"out": out, **options}, data=data, progress=progress)


def relabel(set: SyntheticSet | str | os.PathLike, *, teacher: str | os.PathLike, progress: bool = True,
            **options: Any) -> dict:
    """Stores a teacher's labels of the views that students will see, beside the run or in file `out`."""
    with _file_of(set) as target:
        return _command("relabel", {"teacher": teacher, **options}, target, progress=progress)


def reproduce(recipe: str | os.PathLike, *, data: Any, out: str | os.PathLike, set: Mapping[str, Any] | None = None,
              progress: bool = True, **options: Any) -> dict:
    """Runs a recipe whole (experts, distillation, evaluation); the answer holds our and the published accuracy.

    `recipe` is a TOML file or the name of one that comes with the package, "dm/cifar10-ipc10". `set` replaces keys
    of the recipe.
    """
    known = Path(__file__).parent / "recipes" / f"{os.fspath(recipe)}.toml"
    if not os.path.exists(recipe) and known.exists():
        recipe = known
    changes = ",".join(f"{key}={_text(value)}" for key, value in (set or {}).items())
    given = {"out": out, **({"set": changes} if changes else {}), **options}
    return _command("reproduce", given, os.fspath(recipe), data=data, progress=progress)


def zoo(name: str | None = None) -> SyntheticSet | list[dict]:
    """A set that comes with the package, or, without a name, the cards of all.

    A card says the recipe, the protocol, a student's accuracy (percent, mean and deviation over `students`), the published
    one, the licence of the data. Sets of whitened images take their whitening from the data (`retort.evaluate(set, data)`).
    """
    folder = Path(__file__).parent / "zoo"
    if name is None:
        return _command("zoo", {"folder": folder}, progress=False)
    _command("zoo", {"folder": folder}, name, progress=False)  # refuses a name that is not there
    return load(folder / f"{name}.safetensors")


def import_published(path: str | os.PathLike, *, out: str | os.PathLike | None = None, data: Any = None,
                     **options: Any) -> SyntheticSet:
    """A published set (DC's res_*.pt, MTT's images_*.pt, .npz, a folder of pictures, ...) as a `SyntheticSet`.

    `data` is what it was made from, where the file does not say its classes and normalisation. Options: `labels`,
    `pixels`, `which`, `mosaic`, and those of the data. With `out` it is kept there as a bundle.
    """
    with tempfile.TemporaryDirectory(prefix="retort-") as folder:
        target = Path(out) if out is not None else Path(folder) / "set.safetensors"
        with contextlib.nullcontext() if out is not None else processes.alone():
            run = _command("import", {"out": target, **options}, os.fspath(path), data=data, progress=False)
        made = load(target)
    made.path = None if out is None else target
    made.run = run
    return made


class _file_of:
    """The path of a set for a command: its own, or a file that is there for the time of the call."""

    def __init__(self, set: SyntheticSet | str | os.PathLike):
        self._set = set
        self._folder: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> str:
        if isinstance(self._set, SyntheticSet):
            if self._set.path is not None:
                return os.fspath(self._set.path)
            self._folder = tempfile.TemporaryDirectory(prefix="retort-")
            return os.fspath(self._set.save(Path(self._folder.name) / "set.safetensors"))
        return os.fspath(self._set)

    def __exit__(self, *_):
        if self._folder is not None:
            self._folder.cleanup()


def _command(command: str, given: Mapping[str, Any], *positionals: str, data: Any = None, progress: bool = True,
             callbacks: Iterable[Callback | Callable] = (), method: Any = None,
             learners: Mapping[str, Callable] | None = None) -> dict:
    held = None
    if data is not None:
        text, held = data_argument(data)
        given = {**given, "data": text}
    words = [*positionals, *_words(given), "--json=yes"]
    group = processes.current()
    with listeners(callbacks, progress) as functions:
        _, out, err = _core.run(command, words, held._handle if held else None, method, functions, learners or {}, group)
    for line in filter(None, err.splitlines() if group is None or group.rank == 0 else []):
        _log.info(line.removeprefix("note: "))
    return json.loads(out)


def _words(given: Mapping[str, Any]) -> list[str]:
    """Keywords as flags. An underscore at the end keeps apart from Python's own words: `import_`."""
    return [f"--{name.rstrip('_').replace('_', '-')}={_text(value)}" for name, value in given.items()
            if value is not None and name != "json"]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(_text(one) for one in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return str(value)
