"""Which notebooks the verb `test` runs."""

from builder.command.verbs import project
from d2lext.core.frameworks import IDS


def test_equal_notebooks_are_tested_once(shared, capsys):
    chosen = project.notebooks_to_test(shared.root, IDS)
    assert chosen == ["notebooks/torch/01-tiny.ipynb"]
    assert project.notebooks_to_test(shared.root, ("jax",)) == []
    assert "needs all four frameworks" in capsys.readouterr().out


def test_one_framework_is_enough_for_code_that_names_none(tiny, capsys):
    text = "# Sums\n\n```{code-cell}\nimport math\n```\n"
    (tiny.root / "chapters" / "01-tiny.md").write_text(text)
    chosen = project.notebooks_to_test(tiny.root, ("jax",))
    assert chosen == ["notebooks/jax/01-tiny.ipynb"]
    assert capsys.readouterr().out == ""
