"""What the processes of a torch.distributed job do in test_processes.py: `shared_work.py FOLDER`, under torchrun."""

import json
import sys
from pathlib import Path

import torch
from conftest import QUICK as SETTINGS
from conftest import drawn

import retort

# One thread, and a network of which a smaller batch has the same bits (docs/scale.md).
QUICK = {**SETTINGS, "threads": 1, "network": "convnet-w16"}


def student():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3))


def work(folder: Path) -> dict:
    """Every kind of call; what each answers."""
    small = retort.Images(drawn(60, 0), drawn(30, 1), class_names=["red", "green", "blue"])
    made = retort.distill(data=small, out=folder / "dm", **QUICK)
    retort.experts(data=small, out=folder / "experts", count=3, epochs=2, network="convnet-w16", threads=1,
                   progress=False)
    retort.distill(data=small, out=folder / "ncfm", **{**QUICK, "method": "ncfm"}, experts=folder / "experts",
                   frequency_arguments=40)
    retort.squeeze(data=small, out=folder / "teacher", network="convnet-w8-bn", epochs=1, threads=1, progress=False)
    retort.distill(data="shapes", out=folder / "dsa", **{**QUICK, "method": "dsa"}, outer_loop=2)
    retort.distill(data="shapes", out=folder / "frepo", **{**QUICK, "method": "frepo", "real_batch": 600})
    found = retort.evaluate(made, small, networks=["convnet-w8", ("linear", student)], students=3,
                            evaluation_epochs=2, threads=1, progress=False)
    return {"rows": [row["accuracies"] for row in found.results], "images": made.images.tolist()}


def refused(call, kind) -> str:
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


def main(folder: Path) -> None:
    torch.distributed.init_process_group("gloo")
    rank, heard = torch.distributed.get_rank(), []
    small = retort.Images(drawn(60, 0), drawn(30, 1), class_names=["red", "green", "blue"])

    def interrupts(iteration, loss):
        heard.append(iteration)
        if rank == 1 and iteration == 2:
            raise KeyError("mine alone")

    answer = work(folder)
    answer["name"] = refused(lambda: retort.distill(data=small, out=folder / "no", network="nonsense", progress=False),
                             retort.ConfigError)
    kind = KeyError if rank == 1 else retort.StateError
    answer["stopped"] = refused(
        lambda: retort.distill(data=small, out=folder / "stopped", callbacks=[interrupts], **QUICK), kind)
    answer["heard"] = heard
    # What is wrong with one of them alone ends the call of all.
    mine = folder / ("no folder" if rank == 1 else "dm")
    answer["lost"] = refused(lambda: retort.evaluate(mine, small, progress=False), retort.DataError)
    with retort.alone():
        answer["alone"] = float(retort.distill(data=small, out=folder / f"alone{rank}", **QUICK).images.sum())
    (folder / f"answer{rank}.json").write_text(json.dumps(answer))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
