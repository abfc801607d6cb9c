"""Runs: the command's bytes, refusals, callbacks, Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from conftest import QUICK, drawn

import retort

PROGRAM = Path(retort.__file__).parent / "bin" / "retort"
SHAPES = {**QUICK, "data": "shapes", "iterations": 6, "checkpoint_every": 2}


def program(*words):
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=300)


def flags(**options):
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "progress"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    out = tmp_path_factory.mktemp("straight") / "run"
    done = program("distill", *flags(**SHAPES), f"--out={out}")
    assert done.returncode == 0, done.stderr
    return (out / "distilled.safetensors").read_bytes()


def test_the_same_bytes_as_the_command(straight, tmp_path):
    before = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.autocast("cpu"):
            made = retort.distill(out=tmp_path / "run", **SHAPES)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before[1])
    assert (tmp_path / "run" / "distilled.safetensors").read_bytes() == straight
    assert torch.get_num_threads() == before[0]
    assert made.run["iterations"] == 6 and not made.run["already_finished"]
    assert retort.distill(out=tmp_path / "run", **SHAPES).run["already_finished"]


def test_nothing_is_printed(tmp_path, capfd):
    retort.distill(out=tmp_path / "run", **{**SHAPES, "progress": True})
    assert capfd.readouterr() == ("", "")


def test_a_callback_that_raises_leaves_a_run_that_goes_on(straight, tmp_path):
    class Wrong(Exception):
        pass

    def callback(iteration, loss):
        if iteration == 3:
            raise Wrong("on purpose")

    with pytest.raises(Wrong, match="on purpose"):
        retort.distill(out=tmp_path / "run", callbacks=[callback], **SHAPES)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert not (tmp_path / "run" / "distilled.safetensors").exists()
    retort.distill(out=tmp_path / "run", **SHAPES)
    assert (tmp_path / "run" / "distilled.safetensors").read_bytes() == straight


def test_ctrl_c_writes_a_checkpoint(straight, tmp_path):
    def callback(iteration, loss):
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        retort.distill(out=tmp_path / "run", callbacks=[callback], **SHAPES)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    retort.distill(out=tmp_path / "run", **SHAPES)
    assert (tmp_path / "run" / "distilled.safetensors").read_bytes() == straight


def test_ctrl_c_reaches_work_in_c_plus_plus(small, tmp_path):
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        retort.distill(data=small, out=tmp_path / "run", **{**QUICK, "iterations": 1_000_000})
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_callbacks_are_told(small, tmp_path):
    class Told(retort.Callback):
        def __init__(self):
            self.heard = []

        def begin(self, options):
            self.heard.append(options["method"])

        def iteration(self, iteration, loss):
            self.heard.append(iteration)

        def record(self, record):
            self.heard.append(record["kind"])

        def end(self, set):
            self.heard.append(len(set))

    told, plain = Told(), []
    retort.distill(data=small, out=tmp_path / "run", callbacks=[told, lambda *heard: plain.append(heard)], **QUICK)
    assert [entry[0] for entry in plain] == [1, 2, 3, 4] and all(entry[1] > 0 for entry in plain)
    alone = []
    retort.distill(data=small, out=tmp_path / "alone", callbacks=lambda *heard: alone.append(heard), **QUICK)
    assert alone == plain
    assert told.heard[0] == "dm" and told.heard[-1] == 3 and {1, 4, "finish"} <= set(told.heard)
    with pytest.raises(TypeError, match="callback"):
        retort.distill(data=small, out=tmp_path / "other", callbacks=[3], **QUICK)


def test_the_gil_is_free_while_a_run_works(small, tmp_path):
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            stop.wait(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    retort.distill(data=small, out=tmp_path / "run", **{**QUICK, "iterations": 30})
    stop.set()
    thread.join()
    assert counted[0] > 20


def test_runs_work_on_other_threads(small, made, tmp_path):
    result = []
    thread = threading.Thread(target=lambda: result.append(retort.distill(data=small, out=tmp_path / "run", **QUICK)))
    thread.start()
    thread.join()
    assert torch.equal(result[0].images, made.images)


@pytest.mark.parametrize("change, words", [
    ({"imges_per_class": 2}, "imges_per_class; did you mean images_per_class"),
    ({"method": "dmm"}, "dm"),
    ({"images_per_class": 0}, "images_per_class"),
    ({"network": "convnett"}, "convnet"),
    ({"iterations": "many"}, "iterations"),
    ({"data": None}, "missing: data"),
])
def test_wrong_options_are_refused(change, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        retort.distill(**{**SHAPES, **change}, out=tmp_path / "run")
    assert isinstance(caught.value, retort.ConfigError) and "--" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_another_run_in_the_folder_is_refused(made, small):
    with pytest.raises(retort.StateError, match="seed"):
        retort.distill(data=small, out=made.path, **{**QUICK, "seed": 4})


def test_data_that_change_are_refused(made):
    with pytest.raises(retort.Error):
        retort.distill(data=retort.Images(drawn(60, 9), drawn(30, 1), class_names=["red", "green", "blue"]), out=made.path,
                       **{**QUICK, "iterations": 8})


def test_evaluation_of_a_run_and_of_a_set_in_memory(made, small):
    found = retort.evaluate(made, small, students=1, evaluation_epochs=20, networks=["convnet-w8"], progress=False)
    assert [result["subject"] for result in found.results] == ["distilled", "random"]
    assert 0.3 < found.accuracy <= 1 and found["students"] == 1 and "convnet" in str(found)
    assert any('"evaluation"' in line for line in (made.path / "records.jsonl").read_text().splitlines())
    held = retort.from_tensors(made.images, made.labels, class_names=made.class_names, normalize=made.normalize,
                               network="convnet-w8", name="memory")
    again = retort.evaluate(held, small, students=1, evaluation_epochs=20, random_baseline=False, progress=False)
    assert 0.3 < again.accuracy <= 1
    with pytest.raises(retort.StateError):
        retort.evaluate(held, retort.Images(drawn(60, 0, classes=2), drawn(30, 1, classes=2)), progress=False)


def test_experts_and_trajectory_matching(small, tmp_path):
    made = retort.experts(data=small, out=tmp_path / "experts", count=1, epochs=3, network="convnet-w8", progress=False)
    assert made["made"] == 1
    matched = retort.distill(data=small, out=tmp_path / "run", method="mtt", experts=tmp_path / "experts", iterations=2,
                             images_per_class=1, network="convnet-w8", expert_epochs=1, max_start_epoch=1, inner_steps=2,
                             progress=False)
    assert len(matched) == 3 and matched.student_learning_rate > 0


def test_teacher_labels_and_students_of_them(small, tmp_path):
    teacher = retort.squeeze(data=small, out=tmp_path / "teacher", network="convnet-w8-bn", epochs=1, progress=False)["out"]
    retort.distill(data=small, out=tmp_path / "run", method="rded", teacher=teacher, images_per_class=1, mosaic=2,
                   network="convnet-w8-bn", progress=False)
    labels = retort.relabel(tmp_path / "run", teacher=teacher, progress=False)
    assert Path(labels["out"]).exists()


def test_a_recipe_of_the_package(tmp_path):
    with pytest.raises(retort.ConfigError, match="itterations"):
        retort.reproduce("dm/cifar10-ipc1", data="shapes", out=tmp_path / "out", set={"itterations": 1}, progress=False)
    done = retort.reproduce("dm/cifar10-ipc1", data="shapes", out=tmp_path / "out", students=1, progress=False,
                            set={"iterations": 1, "real_batch": 4, "network": "convnet-w8", "evaluation_epochs": 1})
    assert done["changed"] and done["evaluation"]["students"] == 1


def test_options_are_listed():
    names = {one.name for one in retort.options("distill", method="mtt")}
    assert {"images_per_class", "inner_steps", "seed"} <= names and "json" not in names
    assert "inner_steps" not in {one.name for one in retort.options("distill", method="dm")}


def test_an_import_beside_another_pytorch_names_both(tmp_path):
    words = "import torch; torch.__version__ = '2.1.0'; import retort"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    from retort import _build

    assert done.returncode != 0 and "ImportError" in done.stderr
    assert _build.TORCH in done.stderr and "2.1.0" in done.stderr


def command(*words, path=""):
    """The command as pip's script starts it; `path` is looked through first."""
    words = ["-c", "import retort_program; retort_program.main()", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=60)


def test_the_command_is_started_by_python():
    assert retort.__version__ in command("--version").stdout
    apart = "import sys, retort_program; print(not {'torch', 'retort'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", apart], capture_output=True, text=True).stdout == "True\n"


def test_the_command_beside_another_pytorch_names_both(tmp_path):
    about = tmp_path / "torch-2.1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.1.0\n")
    done = command("--version", path=tmp_path)
    from retort import _build

    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert _build.TORCH in done.stderr and "2.1.0" in done.stderr


def test_versions_agree():
    assert retort.__version__ in program("--version").stdout
    from retort import _core

    assert _core.version() == retort.__version__
