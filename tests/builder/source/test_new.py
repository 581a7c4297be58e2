"""A chapter's skeleton: it is a chapter by the book's own rules, and it runs."""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import nbformat
import pytest
from shared.selected import BACKENDS

from builder.command import main as cli
from builder.errors import BookError
from builder.notebooks import outputs
from builder.notebooks.edition import Edition
from builder.publishing import tabs
from builder.source import new
from builder.source.book import Book
from d2lext.core.frameworks import IDS


@pytest.fixture
def folder(tmp_path, root):
    """The project with its chapters, to add one."""
    shutil.copytree(root / "chapters", tmp_path / "chapters")
    (tmp_path / "d2lext").symlink_to(root / "d2lext")
    return tmp_path


def test_it_has_the_next_number_and_a_name_from_its_title(folder, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ROOT", folder)
    last = max(int(path.name[:2]) for path in folder.glob("chapters/[0-9]*.md"))
    assert cli.main(["new", "Größer & Wider: 2 Networks"]) == 0
    path = f"chapters/{last + 1:02}-grosser-wider-2-networks.md"
    assert f"wrote {path}" in capsys.readouterr().out
    assert "# Größer & Wider: 2 Networks\n" in (folder / path).read_text()
    assert cli.main(["new", "Grösser, wider 2 networks!"]) == 1
    assert f"error: {path} already has this name" in capsys.readouterr().err
    assert cli.main(["new", "中文"]) == 1
    assert "must have a letter from a to z" in capsys.readouterr().err
    assert cli.main(["new", "Wide\x1b[0m"]) == 1
    assert "and no invisible characters, got 'Wide\\x1b[0m'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Größe", "grosse"),
        ("GRÖẞE", "grosse"),
        ("Ørsted, Æther und Łódź", "orsted-aether-und-lodz"),
        ("Þór og Guðrún", "thor-og-gudrun"),
        ("121 Layers", "121-layers"),
        ("Dense–Sparse: x_1", "dense-sparse-x-1"),
        ("XOR", "xor"),
    ],
)
def test_no_letter_of_a_title_is_dropped(folder, title, name):
    assert new.write(folder, title).stem.partition("-")[2] == name


def test_it_keeps_the_rules_of_a_chapter(folder):
    new.write(folder, "Wide Networks")
    book = Book(folder)
    chapter = book.find("wide-networks")
    assert chapter.title == "Wide Networks"
    number = book.labels["chap-wide-networks"].number
    assert book.labels["eq-wide-networks"].number == f"{number}.1"
    assert "sec-wide-networks-exercises" in book.labels
    for backend in IDS:
        edition = Edition(book, chapter, backend)
        notebook = edition.notebook
        nbformat.validate(notebook)
        assert edition.is_stale  # `python build.py` runs it
        assert sum(cell.cell_type == "code" for cell in notebook.cells) == 3
        text = "\n".join(cell.source for cell in notebook.cells)
        assert f"By ({number}.1), the output" in text
    page = tabs.merged([Edition(book, chapter, backend) for backend in IDS])
    tags = [cell.metadata.tags for cell in page.cells]
    assert ["solution"] in tags
    assert all([f"tab-{backend}"] in tags for backend in IDS)


def test_what_it_writes_is_in_the_books_style(folder, root):
    path = new.write(folder, "Wide Networks")
    book = Book(folder)
    for backend in IDS:
        chapter = book.find("wide-networks")
        Edition(book, chapter, backend).write()
    command = [sys.executable, "-m", "ruff", "check", "--select=E,F,W"]
    command += ["--ignore=E402,E741,F401", "--isolated", "--line-length=79"]
    found = subprocess.run([*command, folder / "notebooks"], capture_output=True)
    assert found.returncode == 0, found.stdout
    assert path.read_text().endswith("```\n")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS or IDS)
def test_its_cells_show_what_they_state(backend, folder):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    new.write(folder, "Wide Networks")
    book = Book(folder)
    chapter = book.find("wide-networks")
    cells = [c for c in chapter.cells_for(backend) if c.kind == "code"]
    code = "\n".join(cell.source for cell in cells[:-1])
    code = re.sub(r"^Y\.shape$", "print(repr(Y.shape))", code, flags=re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == cells[1].expect[backend], done.stderr
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        print(eval(cells[-1].source))
    assert shown.getvalue().strip() == cells[-1].expect[backend] == "10"


def test_a_failed_run_says_where(folder):
    path = new.write(folder, "Wide Networks")
    text = path.read_text()
    path.write_text(text.replace('"(2, 6)"', '"(2, 7)"', 1))
    book = Book(folder)
    chapter = book.find("wide-networks")
    edition = Edition(book, chapter, "mxnet")
    output = nbformat.v4.new_output("execute_result", data={"text/plain": "(2, 6)"})
    code = [cell for cell in edition.notebook.cells if cell.cell_type == "code"]
    code[1].outputs = [output]
    errors = outputs.differences(edition)
    line = text[: text.index("X = np.ones")].count("\n") + 1
    assert any(f"{path.name}:{line}:" in str(error) for error in errors)
    with pytest.raises(BookError, match="already has this name"):
        new.write(folder, "wide networks")
