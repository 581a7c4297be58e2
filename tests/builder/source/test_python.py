"""IPython's magics and shell commands: parsed as IPython does, and part of the code."""

import ast
import traceback

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from shared import small_book

from builder.command import check
from builder.errors import BookError
from builder.notebooks import run
from builder.notebooks.edition import Edition
from builder.source import export, python


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline",
        "!pip install x",
        "if ready:\n    !ls\n    %cd ..",
        "files = !ls -l",
        "len?",
        "?len",
        "len??",
        "%%bash\necho $HOME",
        "%%writefile a.yaml\ncost: $5",
        "x = %env HOME",
        "!!ls",
        "  x = 1\n  y = 2",
        "%foo\nx = 1\n\n!ls {x}",
    ],
)
def test_a_cell_means_what_ipython_makes_of_it(source):
    tree = ast.parse(TransformerManager().transform_cell(source))
    assert python.dump(python.parse(source)) == python.dump(tree)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("%matplotlib inline\nx = = 1", 2),
        ("!pip install \\\n  x \\\n  y\nx = = 1", 4),
        ("if ready:\n    files = !ls \\\n      -l\n    x = = 1", 4),
        ("%%time\nx = = 1", 2),
        ("\n\n%%capture shown\n\nx = = 1", 5),
        ("%%prun\n!ls \\\n  -l\nx = = 1", 4),
    ],
)
def test_a_mistake_keeps_its_line(source, line):
    with pytest.raises(SyntaxError) as error:
        python.parse(source)
    assert error.value.lineno == line


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n1 / 0",
        "\n\nx = 1\n1 / 0",
        "x = !true \\\n  HOME\n\n1 / 0",
        "if True:\n    !true \\\n      HOME\n    y = !true \\\n      HOME\n    1 / 0",
        "  x = 1\n  1 / 0",
    ],
)
def test_an_error_is_at_the_line_that_raised_it(source, capsys):
    shell = InteractiveShell()
    shell.system = shell.getoutput = str  # a process that trains is not to be forked
    error = shell.run_cell(source).error_in_exec
    frames = traceback.extract_tb(error.__traceback__)
    line = source[: source.index("1 / 0")].count("\n") + 1
    assert python.line_of(source, frames[-1].lineno) == line


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("%%time\n\nx = f(2)", 3),
        ("%%capture shown\nx = f(2)", 2),
        ("%time x = f(2)", 1),
        ("%timeit -n 10 -r 3 x = f(2)", 1),
        ("%prun -q x = f(2)", 1),
    ],
)
def test_python_that_a_magic_runs_counts_as_code(source, line):
    statement = python.parse(source).body[1]
    assert ast.unparse(statement) == "x = f(2)"
    assert statement.lineno == line


@pytest.mark.parametrize(
    ("source", "other", "is_same"),
    [
        ("%matplotlib inline", "%matplotlib qt", False),
        ("!pip install x", "!pip install y", False),
        ("%%bash\nls", "%%bash\npwd", False),
        ("%%time\nx = 1", "%%time\nx = 2", False),
        ("%%time\nx = 1", "%%time\nx = 1  # one", True),
        ("!ls\nx = 1", "!ls\n\nx = 1  # one", True),
    ],
)
def test_what_changes_the_code(source, other, is_same):
    assert (python.dump_source(source) == python.dump_source(other)) is is_same


CELLS = {
    "%matplotlib inline": "",
    "words = !echo one two": "",
    "if words:\n    !echo three": "three",
    "%%bash\necho $((2 + 2))": "4",
    "%%capture shown\nprint(5)": "",
    "print(words[0], shown.stdout)": "one two 5",
    "len?": "",
}
CHAPTER = "# Commands\n" + "".join(
    f'\n```{{code-cell}}\n---\nexpect: "{shown}"\n---\n{source}\n```\n'
    for source, shown in CELLS.items()
)


def test_a_chapter_with_commands_is_recorded_and_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    book = small_book.write(tmp_path, CHAPTER)
    run.record(Edition(book, book.chapters[0], "torch"), progress=lambda line: None)
    assert check.problems(tmp_path, ["torch"]) == []
    for old, new in (("%matplotlib inline", "%matplotlib agg"), ("2 + 2", "3 + 1")):
        book = small_book.write(tmp_path, CHAPTER.replace(old, new))
        assert Edition(book, book.chapters[0], "torch").is_stale, old


@pytest.mark.parametrize("command", ["%matplotlib inline", "def f():\n    !ls", "f?"])
def test_an_exported_cell_holds_no_commands(tmp_path, command):
    cell = f"```{{code-cell}}\n:tags: [torch, export]\nX = 1\n\n{command}\n```\n"
    with pytest.raises(BookError) as error:
        small_book.write(tmp_path, f"# Sums\n\n{cell}")
    line = 7 + command.count("\n")
    assert str(error.value).startswith(f"chapters/01-sums.md:{line}: an exported cell ")
    assert "to a cell without the tag export" in str(error.value)


def test_commands_beside_an_exported_cell(tmp_path):
    cells = "```{code-cell}\n!ls\nimport math\n```\n\n```{code-cell}\n:tags: [export]\n"
    cells += "def root(x):\n    return math.sqrt(x)\n```\n"
    book = small_book.write(tmp_path, f"# Sums\n\n{cells}")
    text = export.exported(book.chapters[0], export.CORE)
    names = {}
    exec(text, names)
    assert names["root"](9) == 3
