"""TensorBoard and Weights & Biases are told of a run."""

import sys
import types

import pytest
from conftest import QUICK

import retort

LOGGED = {**QUICK, "iterations": 4, "validate_every": 4, "validation_fraction": 0.2, "protocol": "demo"}


def test_tensorboard_reads_what_was_written(small, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    losses = []
    retort.distill(data=small, out=tmp_path / "run", **LOGGED,
                   callbacks=[retort.TensorBoard(str(tmp_path / "events"), every=2), lambda _, loss: losses.append(loss)])
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    found = [(one.step, one.value) for one in events.Scalars("loss")]
    assert found == [(2, pytest.approx(losses[1])), (4, pytest.approx(losses[3]))]
    assert [one.step for one in events.Scalars("validation accuracy")] == [4]
    assert 0 <= events.Scalars("validation accuracy")[0].value <= 1
    picture = events.Images("set")[0]
    assert (picture.width, picture.height) == (3 * 16, 16)


class Recorder:
    """In place of the package wandb: what it is asked for, in order."""

    def __init__(self, monkeypatch):
        self.calls = []
        run = types.SimpleNamespace(log=lambda values, step=None: self.calls.append(("log", step, *values)),
                                    finish=lambda exit_code=0: self.calls.append(("finish", exit_code)))
        module = types.ModuleType("wandb")
        module.Image = lambda picture: picture
        module.init = lambda **given: self.calls.append(("init", given)) or run
        monkeypatch.setitem(sys.modules, "wandb", module)


def test_weights_and_biases_is_told(small, tmp_path, monkeypatch):
    recorder = Recorder(monkeypatch)
    retort.distill(data=small, out=tmp_path / "run", **LOGGED, callbacks=[retort.WandB(every=2, project="sets")])
    (_, given), *rest = recorder.calls
    assert given["project"] == "sets" and given["config"]["method"] == "dm" and given["config"]["iterations"] == "4"
    assert rest == [("log", 2, "loss"), ("log", 4, "loss"), ("log", 4, "validation accuracy"), ("log", None, "set"),
                    ("finish", 0)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_run_that_was_stopped_failed_there(small, tmp_path, monkeypatch, stop):
    def raising(iteration, loss):
        raise stop("on purpose")

    recorder = Recorder(monkeypatch)
    with pytest.raises(stop):
        retort.distill(data=small, out=tmp_path / "run", **QUICK, callbacks=[retort.WandB(every=1), raising])
    assert [call[0] for call in recorder.calls] == ["init", "log", "finish"] and recorder.calls[-1] == ("finish", 1)


def test_weights_and_biases_itself_without_a_network(small, tmp_path):
    pytest.importorskip("wandb")
    retort.distill(data=small, out=tmp_path / "run", **LOGGED,
                   callbacks=[retort.WandB(every=2, mode="offline", dir=str(tmp_path))])
    written, = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = written.read_bytes()
    assert all(word in content for word in (b"loss", b"validation accuracy", b"convnet-w8"))


def test_all_are_closed_however_a_run_ended(small, tmp_path):
    class Closing(retort.Callback):
        closed = 0

        def close(self):
            self.closed += 1

    one, other = Closing(), Closing()
    with pytest.raises(retort.ConfigError):
        retort.distill(data=small, out=tmp_path / "run", **{**QUICK, "iterations": -1}, callbacks=[one, other])
    assert (one.closed, other.closed) == (1, 1)
