"""Who is told of a run: plain functions, TensorBoard, Weights & Biases, and the progress bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Callback:
    """What a run calls; override what is wanted. No callback changes the result. An exception of one ends the run
    after it wrote a checkpoint, and reaches the caller."""

    def begin(self, options: dict) -> None:
        """Before the run, with its options as they were given."""

    def iteration(self, iteration: int, loss: float) -> None:
        """After every iteration, counted from 1."""

    def record(self, record: dict) -> None:
        """Every record that the run writes: "kind" is "run", "iteration", "validation", "finish", ..."""

    def end(self, set: Any) -> None:
        """After the run, with the `SyntheticSet`; not where it was stopped."""

    def close(self) -> None:
        """Last of all, however the run ended."""


class TensorBoard(Callback):
    """Writes the loss of every so many iterations, the accuracies of validations (fractions) and the set to an event
    file in folder `log_dir`. ImportError where there is no package tensorboard."""

    def __init__(self, log_dir: str | None = None, every: int = 10):
        from torch.utils.tensorboard import SummaryWriter

        self._writer, self._every = SummaryWriter(log_dir), every

    def iteration(self, iteration, loss):
        if iteration % self._every == 0:
            self._writer.add_scalar("loss", loss, iteration)

    def record(self, record):
        if record["kind"] == "validation":
            self._writer.add_scalar("validation accuracy", record["mean"], record["iteration"])

    def end(self, set):
        self._writer.add_images("set", set.pixels[:64])

    def close(self):
        self._writer.close()


class WandB(Callback):
    """Logs the same to Weights & Biases; keywords are those of `wandb.init`. A run that was stopped counts there as
    failed. ImportError where there is no package wandb."""

    def __init__(self, every: int = 10, **init: Any):
        import wandb

        self._wandb, self._every, self._init, self._run = wandb, every, init, None

    def begin(self, options):
        self._run = self._wandb.init(config={name: str(value) for name, value in options.items()}, **self._init)

    def iteration(self, iteration, loss):
        if iteration % self._every == 0:
            self._run.log({"loss": loss}, step=iteration)

    def record(self, record):
        if record["kind"] == "validation":
            self._run.log({"validation accuracy": record["mean"]}, step=record["iteration"])

    def end(self, set):
        import io

        from PIL import Image

        self._run.log({"set": self._wandb.Image(Image.open(io.BytesIO(set._repr_png_())))})
        self._run.finish()
        self._run = None

    def close(self):
        if self._run is not None:
            self._run.finish(exit_code=1)
            self._run = None


class _Bars:
    """A tqdm bar for each piece of work that is under way; none where the output is no terminal."""

    def __init__(self):
        from tqdm.auto import tqdm

        self._tqdm, self._bars, self._shown = tqdm, {}, {}

    def __call__(self, label: str, done: int, total: int, loss: float | None) -> None:
        now = time.monotonic()
        if done < total and now - self._shown.get(label, 0) < 0.1:
            return
        self._shown[label] = now
        bar = self._bars.get(label)
        if bar is None:
            bar = self._bars[label] = self._tqdm(total=total, initial=0, desc=label, disable=None, leave=False)
        bar.n = done
        if loss is not None:
            bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
        bar.refresh()
        if done >= total:
            self._bars.pop(label).close()

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()


@contextlib.contextmanager
def listeners(callbacks: Iterable[Callback | Callable[[int, float], None]], progress: bool) -> Iterator[dict]:
    """The functions that a command is given, by what they are told."""
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback) and not callable(callback):
            raise TypeError(f"a callback is a function of (iteration, loss) or a retort.Callback, not {callback!r}")
    each = [one.iteration if isinstance(one, Callback) else one for one in callbacks]
    records = [one.record for one in callbacks if isinstance(one, Callback)]

    def iteration(done, loss):
        for tell in each:
            tell(done, loss)

    def record(entry):
        for tell in records:
            tell(entry)

    bars = _Bars() if progress else None
    try:
        yield {"iteration": iteration if each else None, "record": record if records else None, "progress": bars}
    finally:
        if bars is not None:
            bars.close()
