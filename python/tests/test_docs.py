"""The examples of the README and of docs/python.md run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def example(page: str, heading: str) -> str:
    section = (ROOT / page).read_text().split(f"## {heading}\n", 1)[1]
    return re.search(r"```python\n(.*?)```", section, re.S).group(1)


@pytest.mark.parametrize("page, heading", [("README.md", "From Python"), ("docs/python.md", "A first run")])
def test_examples_run(page, heading, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(example(page, heading), page, "exec"), {})
    assert "distilled" in capsys.readouterr().out
