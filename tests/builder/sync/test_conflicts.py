"""What two sides changed is refused or merged; what fails changes nothing."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from shared.blocks_book import ALL, CHAPTER, tagged

from builder import files
from builder.command import main as cli
from builder.errors import BookError
from builder.notebooks import store
from builder.notebooks.edition import check_unedited, editions
from builder.source.book import Book
from d2lext.core.frameworks import IDS


def test_a_notebook_with_edits_is_not_written_anew(small):
    """Empty lines around a cell are no edit."""
    book = Book(small.root)

    def add_lines(cells):
        for cell in cells:
            cell.source = f"\n{cell.source}\n\n"

    small.edit("torch", add_lines)
    check_unedited(editions(book, backends=IDS))
    small.replace("More text", "Much more **text**", "jax")
    with pytest.raises(BookError, match=r"jax/.*\.ipynb was edited.*build\.py sync"):
        check_unedited(editions(book, backends=IDS))
    check_unedited(editions(book, backends=["torch"]))
    assert small.sync() != []
    another = nbformat.v4.new_notebook(cells=small.read("jax").cells)
    nbformat.write(another, small.path("jax"))
    with pytest.raises(BookError, match="move the file away"):
        check_unedited(editions(book, backends=["jax"]))
    small.path("jax").unlink()
    check_unedited(editions(book, backends=IDS))


def test_two_notebooks_that_disagree(small):
    before = small.text
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    small.replace("c, k = 3, 10", "c, k = 5, 10", "jax")
    small.replace("More text", "Less text", "jax")
    with pytest.raises(BookError, match="01-blocks.md:.*two notebooks") as error:
        small.sync()
    assert "-c, k = 4, 10" in str(error.value)
    assert "+c, k = 5, 10" in str(error.value)
    assert "--- notebooks/torch/01-blocks.ipynb" in str(error.value)
    assert "+++ notebooks/jax/01-blocks.ipynb" in str(error.value)
    assert small.text == before
    # One of them alone can be asked for.
    small.sync(["torch"])
    assert "c, k = 4, 10" in small.text
    assert "c, k = 5, 10" in dict(small.shown("jax"))["code"] or any(
        "c, k = 5, 10" in source for _, source in small.shown("jax")
    )


def test_deleted_here_and_changed_there(small):
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    small.edit("jax", lambda cells: cells.pop(4))
    assert all("c, k" not in source for _, source in small.shown("jax"))
    with pytest.raises(BookError, match=r"(?s)two notebooks.*\(deleted\)"):
        small.sync()


@pytest.mark.parametrize(
    ("old", "new", "mine"),
    [
        ("print(total)", "print(k, total)", "print(total, k)"),
        ("More text", "Some text", "Most text"),
        ("More text", "Some text", None),
    ],
)
def test_chapter_and_notebook_disagree(small, old, new, mine):
    if mine:
        small.replace(old, mine, "jax")
    else:
        small.edit("jax", lambda cells: cells.pop(0))
    edited = small.text.replace(old, new)
    small.chapter.write_text(edited)
    with pytest.raises(BookError, match="changed here and in notebooks/jax") as error:
        small.sync()
    assert new in str(error.value)
    assert mine is None or mine in str(error.value)
    assert small.text == edited


def test_what_only_the_chapter_changed_stays(small):
    small.replace("print(total)", "print(total, k)", "jax")
    changes = {
        "More text": "Some text",
        "import torch": "import numpy, torch",
        "PyTorch has": "New.\n\n```{code-cell}\nnew = 1\n```\n\nPyTorch has",
        "Two of them share a paragraph, after {numref}`sec-count`.\n\n+++\n\n": "",
        # Another number for a reference in cells that nobody edited:
        ":::{figure}": ":::{figure} img/box.svg\n:alt: One more.\n\nOne more.\n:::\n\n"
        ":::{figure}",
    }
    text = small.text
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    small.chapter.write_text(text)
    small.sync()
    assert small.text == text.replace("print(total)", "print(total, k)")


def test_an_interrupted_sync_goes_on(small):
    small.replace("print(total)", "print(total, k)", "jax")
    small.edit("jax", lambda cells: cells.insert(3, new_code_cell("z = 1")))
    notebook = small.path("jax").read_bytes()
    small.sync()
    text = small.text
    small.path("jax").write_bytes(notebook)  # the chapter was written, this was not
    assert small.sync() == []
    assert small.text == text
    # Nor is the notebook in anyone's way any more.
    book = Book(small.root)
    check_unedited(editions(book, backends=IDS))


def test_tags_that_disagree(small):
    small.edit("jax", tagged("c, k", "slide"))
    small.edit("torch", tagged("c, k", "export"))
    with pytest.raises(
        BookError, match=r"(?s)two notebooks.*\['export'\].*\['slide'\]"
    ):
        small.sync()
    small.edit("torch", tagged("c, k"))
    text = small.text.replace("expect: |", "tags: [exercise]\nexpect: |")
    small.chapter.write_text(text)
    with pytest.raises(BookError, match="changed here and in notebooks/jax") as error:
        small.sync()
    assert "-tags: [exercise]\n+tags: [slide]" in str(error.value)
    small.edit("jax", tagged("c, k"))
    assert small.sync() == []
    assert small.text == text


def test_a_notebook_that_does_not_say_what_it_was_split_from(small):
    """Such as one of an earlier version, or of nobody's."""

    def forget(notebook):
        del notebook.metadata[store.KEY][store.SPLIT_FROM]
        nbformat.write(notebook, small.path("jax"))

    before = small.text
    forget(small.read("jax"))
    assert small.sync() == []  # it is as the chapter has it
    check_unedited(editions(Book(small.root), backends=IDS))
    small.replace("More text", "Less text", "jax")
    forget(small.read("jax"))
    with pytest.raises(
        BookError, match="does not say what it was split from.* move it"
    ):
        small.sync()
    assert small.text == before


def test_both_sides_may_change_a_cell(small):
    small.replace("total = c + k", "total = c * k", "jax")
    small.replace("More text", "Less text", "jax")
    changes = {"print(total)": "print(total, k)", "Read {num": "See {num"}
    text = small.text
    for old, new in changes.items():
        text = text.replace(old, new)
    small.chapter.write_text(text)
    assert len(small.sync()) == 2
    text = text.replace("total = c + k", "total = c * k").replace("More", "Less")
    assert small.text == text


def test_an_edit_that_was_made_by_hand_is_no_edit(small):
    """As the message asks for; what else is edited comes back."""
    small.replace("*Figure 1.1.*", "*Figure 1.1.* New:", "torch")
    small.replace("as (1.1) says", "as (1.2) says", "torch")
    small.replace("*this*", "*that*", "torch")
    with pytest.raises(BookError, match="make this edit here"):
        small.sync()
    text = small.text.replace("What a layer", "New: What a layer")
    text = text.replace("as {eq}`eq-sum` says", "as (1.2) says")
    small.chapter.write_text(text)
    assert len(small.sync()) == 1
    assert small.text == text.replace("*this*", "*that*")


def test_notebooks_that_were_split_from_different_chapters(small):
    small.replace("return 2 * x", "return 3 * x", "jax")
    small.replace("More text", "Less text", "jax")
    jax = small.path("jax").read_bytes()
    small.reset(CHAPTER.replace("# Dense", "# Thin").replace("go on", "stay"))
    small.path("jax").write_bytes(jax)
    text = small.text
    small.replace("*this*", "*that*", "torch")
    small.replace("More text", "Less text", "torch")
    assert len(small.sync()) == 4
    for old, new in ("2 * x", "3 * x"), ("More", "Less"), ("*this*", "*that*"):
        text = text.replace(old, new)
    assert small.text == text


def test_a_new_cell_in_each_at_one_place(small):
    small.edit("jax", lambda cells: cells.insert(-3, new_code_cell("z = 1")))
    other = "```{code-cell}\ny = 1\n```\n\n"
    small.chapter.write_text(small.text.replace("(sec-count)=", f"{other}(sec-count)="))
    before = small.text
    with pytest.raises(BookError, match="changed here and in notebooks/jax"):
        small.sync()
    assert small.text == before


def test_deleted_there_and_moved_here(small):
    def delete(cells):
        cells.remove(next(cell for cell in cells if "All of" in cell.source))

    small.edit("jax", delete)
    small.chapter.write_text(small.text.replace(ALL, "") + "\n" + ALL)
    before = small.text
    with pytest.raises(
        BookError, match=r"md:\d+: .*deleted here and, differently, in notebooks/jax"
    ):
        small.sync()
    assert small.text == before


def test_text_and_tags_in_two_notebooks(small):
    text = small.text
    small.edit("jax", tagged("c, k", "slide"))
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    [line] = small.sync()
    assert ": changed, tags, from notebooks/torch/" in line
    text = text.replace("expect: |", "tags: [slide]\nexpect: |")
    assert small.text == text.replace("c, k = 3, 10", "c, k = 4, 10")


def test_deleted_in_both(small):
    def delete(cells):
        cells[:] = [cell for cell in cells if "All of" not in cell.source]

    small.edit("jax", delete)
    small.replace("More text", "Less text", "jax")
    text = small.text.replace(ALL, "")
    small.chapter.write_text(text)
    small.sync()
    assert small.text == text.replace("More text", "Less text")


@pytest.mark.parametrize("error", [KeyboardInterrupt, BookError("disk full")])
@pytest.mark.parametrize("written", [0, 1, 4])
def test_what_is_interrupted_changes_nothing(small, monkeypatch, error, written):
    small.replace("print(total)", "print(total, k)", "jax")
    before = {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}
    write, calls = files.write, []

    def stop(path, text):
        calls.append(path)
        if len(calls) == written + 1:
            raise error
        return write(path, text)

    monkeypatch.setattr(files, "write", stop)
    with pytest.raises((KeyboardInterrupt, BookError)):
        small.sync()
    assert {path: path.read_bytes() for path in small.root.rglob("*.[im]*")} == before
    assert len(small.sync()) == 1


def test_the_command_says_what_it_did(small, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ROOT", small.root)
    assert cli.main(["sync"]) == 0
    assert "no notebook was edited" in capsys.readouterr().out
    small.replace("return 2 * x", "return 3 * x", "jax")
    assert cli.main(["sync", "blocks", "--backend", "jax"]) == 0
    line = CHAPTER[: CHAPTER.index("def jax_alone")].count("\n") + 1
    assert (
        f"chapters/01-blocks.md:{line}: changed (JAX), from notebooks/jax/01-blocks.ipynb"
        in capsys.readouterr().out
    )
    small.path("jax").write_text("{")
    assert cli.main(["sync"]) == 1
    assert "cannot be read as a notebook" in capsys.readouterr().err
