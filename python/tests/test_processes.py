"""Several processes of torch.distributed: the same bytes as one, and what happens where one of them stops."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import shared_work
import torch

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """The folders of one process and of two."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    folder = tmp_path_factory.mktemp("jobs")
    for name in ("one", "two"):
        (folder / name).mkdir()
    (folder / "one" / "answer.json").write_text(json.dumps(shared_work.work(folder / "one")))
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                    HERE / "shared_work.py", folder / "two"], check=True, timeout=300,
                   env={**os.environ, "PYTHONPATH": path, "GLOO_SOCKET_IFNAME": "lo"})  # whatever the host is called
    return folder


def answers(jobs):
    return [json.loads((jobs / "two" / f"answer{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", ["dm/distilled.safetensors", "dm/checkpoint.safetensors",
                                  "ncfm/distilled.safetensors", "ncfm/checkpoint.safetensors",
                                  "dsa/distilled.safetensors", "frepo/checkpoint.safetensors",
                                  "teacher/teacher.safetensors"])
def test_two_processes_give_the_bytes_of_one(jobs, name):
    assert (jobs / "one" / name).read_bytes() == (jobs / "two" / name).read_bytes()


def test_experts_are_those_of_one_process(jobs):
    for file in sorted((jobs / "one" / "experts").glob("*.safetensors")):
        assert file.read_bytes() == (jobs / "two" / "experts" / file.name).read_bytes(), file.name


def test_all_processes_are_answered_what_one_is(jobs):
    one = json.loads((jobs / "one" / "answer.json").read_text())
    for answer in answers(jobs):
        assert {key: answer[key] for key in one} == one
    processes = [json.loads(line).get("processes") for line in (jobs / "two/dm/records.jsonl").read_text().splitlines()]
    assert 2 in processes


def test_what_stops_one_process_stops_all(jobs):
    first, second = answers(jobs)
    assert first["name"] == second["name"] and "nonsense" in first["name"]
    assert second["stopped"] == "'mine alone'" and "another process of the job was stopped" in first["stopped"]
    assert first["heard"] == second["heard"] == [1, 2]
    assert "no folder" in first["lost"] and first["lost"].startswith("process 1 of 2: ")


def test_a_process_may_work_by_itself(jobs):
    first, second = answers(jobs)
    assert first["alone"] == second["alone"]
    assert (jobs / "two/alone0/distilled.safetensors").read_bytes() == (jobs / "one/dm/distilled.safetensors").read_bytes()
