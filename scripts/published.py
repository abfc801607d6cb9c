#!/usr/bin/env python3
"""Recipes at their published size through `retort reproduce`, and our figures beside the published ones: one markdown table.

    scripts/published.py build/release/retort OUT --data cifar-10-batches-bin
    scripts/published.py build/release/retort OUT --data cifar-10-batches-bin --only dm/cifar10-ipc1,dsa/cifar10-ipc1
    scripts/published.py build/release/retort OUT --data cifar-10-batches-bin --table      # of what is finished

Hours to days; what was stopped goes on from OUT with the same command. Nothing is changed but the number of experts of
trajectory matching and, where no label comes of their last epochs, how many epochs are trained, and by --set; the table says so.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

# Recipe, and what is changed of it. Experts of few epochs suffice where matching begins early.
JOBS = {
    "dsa/cifar10-ipc1": "",
    "dc/cifar10-ipc1": "",
    "dm/cifar10-ipc1": "",
    "mtt/cifar10-ipc1": "experts_count=20,experts_epochs=3",
    "ftd/cifar10-ipc1": "experts_count=20,experts_epochs=3",
    "tesla/cifar10-ipc1": "experts_count=20,experts_epochs=6",
    "datm/cifar10-ipc1": "experts_count=20",
    "frepo/cifar10-ipc1": "",
    "dm/cifar10-ipc10": "",
    "dsa/cifar10-ipc10": "",
}


def folder_of(options, recipe):
    return options.out / recipe.replace("/", "-")


def said(command, recipe):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{recipe}: stopped; give the same command to go on")
    return done.stdout


def reproduce(options, recipe):
    """What `retort reproduce` says of a recipe, run or gone on with; of an average, the set itself is judged as well."""
    out = folder_of(options, recipe)
    command = [options.program, "reproduce", f"recipes/{recipe}.toml", "--data", options.data, "--out", str(out), "--students",
               str(options.students), "--threads", str(options.threads), "--json=yes"]
    changes = dict(change.split("=", 1) for text in (JOBS.get(recipe), options.set) if text for change in text.split(","))
    if changes:
        command += ["--set", ",".join(f"{key}={value}" for key, value in changes.items())]
    answer = json.loads(said(command, recipe))
    itself = out / "run" / "not_averaged.safetensors"
    if itself.exists():
        answer["not_averaged"] = json.loads(said(
            [options.program, "eval", str(itself), "--data", options.data, "--students", str(options.students), "--threads",
             str(options.threads), "--random-baseline=no", "--json=yes"], recipe))["results"][0]
    (out / "result.json").write_text(json.dumps(answer, indent=1) + "\n")


def hours(options, recipe):
    """Of the distillation, and of the experts."""
    seconds = [0.0, 0.0]
    run = folder_of(options, recipe) / "run"
    for line in (run / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "finish":
            seconds[0] = record["seconds"]
        if record["kind"] == "needed" and record.get("seconds"):
            seconds[1] = record["seconds"]
    return seconds


def percent(result):
    return f"{100 * result['mean']:.1f} ± {100 * result['deviation']:.1f}"


def rows(options, recipe):
    answer = json.loads((folder_of(options, recipe) / "result.json").read_text())
    found = {one["subject"]: one for one in answer["evaluation"]["results"]}
    published, deviation = answer["published_accuracy"], answer["published_deviation"]
    random = percent(found["random"]) if "random" in found else "-"
    own, experts = hours(options, recipe)
    taken = f"{own / 3600:.1f}" + (f" + {experts / 3600:.1f}" if experts else "")
    labels = "soft" if answer["evaluation"].get("soft_labels") else "hard"
    for name, ours in ((f"`{recipe}`", found["distilled"]), (f"`{recipe}`, not averaged", answer.get("not_averaged"))):
        if ours:
            yield (f"| {name} | {labels} | {percent(ours)} | {random} | "
                   f"{published if deviation is None else f'{published:.1f} ± {deviation:.1f}'} | {100 * ours['mean'] - published:+.1f} | "
                   f"{', '.join(answer['changed']) or '-'} | {taken} |")


def table(options, recipes):
    print("| recipe | labels | ours | random | published | gap | changed | hours, + experts |\n"
          "| --- | --- | --- | --- | --- | --- | --- | --- |")
    for recipe in recipes:
        if (folder_of(options, recipe) / "result.json").exists():
            print("\n".join(rows(options, recipe)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--only", help="recipes, as dm/cifar10-ipc1,dsa/cifar10-ipc1; all where absent")
    parser.add_argument("--set", help="changes, as iterations=1000; more iterations go on with what was run")
    parser.add_argument("--students", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    recipes = options.only.split(",") if options.only else list(JOBS)
    options.out.mkdir(parents=True, exist_ok=True)
    for recipe in [] if options.table else recipes:
        reproduce(options, recipe)
    table(options, recipes)


if __name__ == "__main__":
    main()
