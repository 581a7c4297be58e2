"""Notebooks as files: a damaged one is left to its owner."""

import nbformat
import pytest

from builder.command import main as cli


@pytest.mark.parametrize(
    "damaged",
    ['{"cells": [', "", "[]", "\xff{", '{"cells": 3, "nbformat": 4, "metadata": {}}'],
)
def test_a_damaged_notebook_is_left_to_its_owner(copy, damaged, monkeypatch, capsys):
    copy.edit("See ", "Look at ")
    path = copy.path("torch")
    path.write_text(damaged, encoding="latin-1")
    monkeypatch.setattr(cli, "ROOT", copy.root)
    for verb in ["notebooks"], ["run", "--backend", "torch"], ["html"], []:
        assert cli.main(verb) == 1
        message = capsys.readouterr().err
        assert "error: notebooks/torch/01-tiny.ipynb is damaged" in message
        assert "restore it" in message
        assert "or move it away" in message
        assert path.read_text(encoding="latin-1") == damaged
    path.unlink()
    assert cli.main(["notebooks"]) == 0
    assert "Look at" in nbformat.read(path, as_version=4).cells[0].source
