"""Edits of cells' texts come back to the chapter; all else in it stays."""

import re
import shutil

import nbformat
import pytest
from shared import ROOT
from shared.blocks_book import CHAPTER

from builder.errors import BookError
from builder.notebooks.edition import Edition
from builder.source.book import Book
from builder.sync import sync
from d2lext.core.frameworks import IDS


def test_split_then_sync_changes_nothing(small):
    before = {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}
    assert small.sync() == []
    assert before == {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}


@pytest.mark.slow
def test_the_books_own_chapters_stay_as_they_are(tmp_path):
    shutil.copytree(ROOT / "chapters", tmp_path / "chapters")
    (tmp_path / "d2lext").symlink_to(ROOT / "d2lext")
    book = Book(tmp_path)
    for chapter in book.chapters:
        for backend in IDS:
            edition = Edition(book, chapter, backend)
            for cell in edition.notebook.cells:
                cell.source += "\n"  # white space at the end is no edit
                if cell.cell_type == "code":
                    cell.execution_count = 7  # nor is what a run leaves
                    cell.outputs = [nbformat.v4.new_output("stream", text="x")]
            edition.write()
    assert sync.sync(book, book.chapters, IDS) == []
    for path in (ROOT / "chapters").glob("*.md"):
        assert (tmp_path / "chapters" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("backends", [("jax",), IDS])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c, k = 3, 10", "c, k = 4, 10\nassert k"),  # code of all
        ("More text", "Much more **text**"),  # prose of all
        ("mixes its terms", "mixes them"),  # in a line with roles
        ("f(x) = x", "f(x) = 1 \\cdot x"),  # a formula with a number
        ("A box beside", "A crate beside"),  # a figure's description
        ("a layer adds", "each layer adds"),  # its caption
        ("in code.", "in code.\n\nAnd more."),
        ("A note, ", "A remark, "),
        ("# Dense Blocks", "# Denser Blocks"),
        ("## Counting", "## To Count"),
    ],
)
def test_an_edit_of_a_shared_cell(small, old, new, backends):
    # An arithmetic of bytes: exactly this, exactly there.
    old_text, before = small.text, small.shown("tensorflow")
    small.replace(old, new, *backends)
    edited = small.shown(backends[0])
    assert len(small.sync()) == 1
    assert small.text == old_text.replace(old, new)
    small.split()
    assert small.shown(backends[0]) == edited
    changed = [a != b for a, b in zip(before, small.shown("tensorflow"), strict=True)]
    assert sum(changed) == 1


@pytest.mark.parametrize(
    ("backend", "old", "new"),
    [
        ("torch", "  # the first one", ""),
        ("jax", "return 2 * x", "return 3 * x"),
        ("torch", "*this*", "*that*"),
        ("jax", "share a paragraph", "share it"),
    ],
)
def test_an_edit_of_one_frameworks_cell(small, backend, old, new):
    old_text, other = small.text, small.shown("tensorflow")
    small.replace(old, new, backend)
    assert len(small.sync()) == 1
    assert small.text == old_text.replace(old, new)
    small.split()
    assert small.shown("tensorflow") == other


TYPED = """Typed: it's "quoted", 'single', a -- b --- c ... and "so on".
A \\"word\\" &quot;here&quot;, `"code"`, $f'(x)$: "**bold**" isn't "{eq}`eq-sum`"."""
SHOWN = """Typed: it’s “quoted”, ‘single’, a – b — c … and “so on”.
A “word” “here”, `"code"`, $f'(x)$: “**bold**” isn’t “(1.1)”."""


@pytest.mark.parametrize(
    ("old", "new", "typed"),
    [
        ("quoted", "said", ("quoted", "said")),
        ("it’s “quoted”", "it’s “now quoted”", ('"quoted"', '"now quoted"')),
        ("it’s", "that’s", ("it's", "that's")),
        ("a – b", "a – c", ("a -- b", "a -- c")),
        ("b — c …", "b — d …", ("--- c ...", "--- d ...")),
        (" — c", "", (" --- c", "")),
        ("“so on”", "so on", ('"so on"', "so on")),
        ("“here”", '"there" now', ("&quot;here&quot;", '"there" now')),
        ("“word”", "“other”", ('\\"word\\"', '\\"other\\"')),
        ("isn’t", "was not", ("isn't", "was not")),
        ("“**bold**” isn’t", "“*bold*” isn’t", ("**bold**", "*bold*")),
        ("‘single’", "‘single’ -- or 'not'", ("'single'", "'single' -- or 'not'")),
        ("“(1.1)”", "(1.1)", ('"{eq}`eq-sum`"', "{eq}`eq-sum`")),
        ("a – b", "(a – b", ("a -- b", "(a -- b")),
        ("“quoted”", "(quoted”", ('"quoted"', '(quoted"')),
        ("“quoted”", "“quoted,", ('"quoted"', '"quoted,')),
    ],
)
def test_an_edit_beside_typographic_characters(small, old, new, typed):
    # The chapter keeps all that was typed, whatever notebooks show for it.
    text = small.text.replace("More text", f"{TYPED}\n\nMore text")
    small.chapter.write_text(text, encoding="utf-8")
    small.split()
    assert any(SHOWN in source for _, source in small.shown("jax"))
    before = small.text
    small.replace(old, new, "jax")
    small.sync()
    assert small.text == before.replace(*typed)


def test_references_elsewhere_in_a_paragraph_stay(small):
    small.replace(
        "A sum mixes its terms (He *et al.*, 2016a), as (1.1) says.\nRead Figure 1.1 "
        "beside it.",
        "See Figure 1.1.\nBy (1.1), and not only by it, a sum mixes terms.",
        "jax",
    )
    small.sync()
    assert (
        "See {numref}`fig-box`.\n"
        "By {eq}`eq-sum`, and not only by it, a sum mixes terms." in small.text
    )
    assert "% Only the author reads this line." in small.text


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Read Figure 1.1", "Read Figure 1.2", 10),
        ("as (1.1) says", "as (2.7) says", 9),
        ("(He *et al.*, 2016a)", "(He *et al.*, 2015)", 9),
        (r"\qquad (1.1)", r"\qquad (1.3)", 15),
        ("img/box.svg", "img/other.svg", 20),
        ("*Figure 1.1.*", "*Drawing 1.1.*", 20),
        ("*Figure 1.1.* ", "", 20),
    ],
)
def test_what_is_generated_cannot_be_edited(small, old, new, line):
    before = small.text
    small.replace(old, new, "torch")
    with pytest.raises(BookError) as error:
        small.sync()
    assert re.search(r"chapters/01-blocks.md:(\d+): ", str(error.value))[1] in (
        str(line),
        str(line - 1),
        str(line + 1),
    )
    assert "generated from the chapter" in str(error.value)
    assert "notebooks/torch/01-blocks.ipynb" in str(error.value)
    assert small.text == before


def test_a_figure_can_be_deleted(small):
    small.edit(
        "torch",
        lambda cells: cells[0].update(
            source=re.sub(
                r"Read Figure 1.1 beside it. *\n|!\[.*says\.\n\n(?=More)|!\[.*?(?=More)",
                "",
                cells[0].source,
                flags=re.S,
            )
        ),
    )
    small.sync()
    assert "figure" not in small.text
    assert ":::\n\nMore" not in small.text
    assert "$$ (eq-sum)\n\nMore text" in small.text


def test_new_references_may_be_written_in_a_notebook(small):
    small.replace("More text", "By {cite:p}`huang2017densely`, more text", "torch")
    small.sync()
    assert "By {cite:p}`huang2017densely`, more text" in small.text
    assert "By (Huang *et al.*, 2017), more text" in small.shown("jax")[0][1]


def test_an_unknown_label_is_refused(small):
    small.replace("More text", "By {eq}`eq-nothing`, more text", "torch")
    with pytest.raises(BookError, match="eq-nothing.*does not define"):
        small.sync()


def test_a_label_in_use_cannot_be_deleted(small):
    before = small.text
    small.replace("## Counting", "Counting", "torch")
    with pytest.raises(BookError, match="unknown label 'sec-count'"):
        small.sync()
    assert small.text == before


def test_a_cell_that_would_not_stay_one_is_refused(small):
    before = small.text
    small.replace("More text", "+++\n\nMore text", "torch")
    with pytest.raises(BookError, match="would not"):
        small.sync()
    assert small.text == before


def test_images_inside_cells_are_refused(small):
    small.replace("More text", "![x](attachment:x.png) More text", "torch")
    with pytest.raises(BookError, match="inside a cell"):
        small.sync()


@pytest.mark.parametrize(("mark", "end"), [("", "\r\n"), ("", "\r"), ("\ufeff", "\n")])
def test_marks_and_line_ends_stay(small, mark, end):
    small.reset(mark + CHAPTER.replace("\n", end))
    small.replace("print(total)", "print(total)\nprint(k)", "jax")
    small.sync()
    text = CHAPTER.replace("print(total)", "print(total)\nprint(k)")
    assert small.text == mark + text.replace("\n", end)


@pytest.mark.parametrize("last", ["...", "-----", "---  "])
def test_front_matter_may_end_as_yaml_allows(small, last):
    text = CHAPTER.replace("---\n\n(chap", f"{last}\n\n(chap")
    small.reset(text)
    small.replace("More text", "Much more text", "jax")
    small.sync()
    assert small.text == text.replace("More text", "Much more text")


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_in_a_notebooks_cells_are_no_edit(small, end):
    def change(cells):
        for cell in cells:
            cell.source = cell.source.replace("\n", end)

    before = small.text
    for backend in IDS:
        small.edit(backend, change)
    assert small.sync() == []
    assert small.text == before
    # Nor if a tool has changed all texts in the file.
    path = small.path("jax")
    path.write_text(path.read_text().replace("\\r\\n", "\\n").replace("\\n", "\\r\\n"))
    assert small.sync() == []
    small.replace("print(total)", "print(total)\nprint(k)", "jax")
    assert len(small.sync()) == 1
    assert small.text == before.replace("print(total)", "print(total)\nprint(k)")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("![A box", "New.\n\n![A box"),  # before a figure, and what it shows
        ("![A box beside", "New.\n\n![One box beside"),
        ("\n\nMore text", "\n\nNew.\n\nMore text"),  # behind it
        ("by (1.1).", "by (1.1), and more."),  # its caption goes on
        ("et al.* (2016a).", "et al.* (2016a). And more."),  # so does a note at the end
        ("$$\nf(x)", "New.\n\n$$\nf(x)"),  # before an equation, and its last sign
        ("g(x). ", "g(x), "),
        ("# Dense", "New.\n\n# Dense"),  # before a heading with a label
        ("(1.1) says.", "(1.1) says;"),  # beside references
        (" (He *et al.*, 2016a), as", " as (He *et al.*, 2016a), and as"),
    ],
)
def test_an_edit_beside_what_is_generated(small, old, new):
    labels = re.findall(r"\(\S+\)=|:name: .*|\$\$ \(.*\)|\{.*?`.*?`", small.text)
    small.replace(old, new, "jax")
    edited = small.shown("jax")
    assert len(small.sync()) == 1
    assert small.shown("jax") == edited
    assert (
        re.findall(r"\(\S+\)=|:name: .*|\$\$ \(.*\)|\{.*?`.*?`", small.text) == labels
    )


def test_text_behind_a_directive_at_the_end_of_a_cell(small):
    small.edit(
        "jax", lambda cells: cells[-1].update(source=f"{cells[-1].source}\n\nNew.")
    )
    small.sync()
    assert small.text.endswith("{cite:t}`he2016deep`.\n:::\n\nNew.\n")


def test_what_is_typed_like_a_reference_stays_as_typed(small):
    small.replace("More text", "(1.1) More text", "jax")
    small.sync()
    assert "(1.1) More text" in small.text


def test_numbers_of_today_in_an_edited_cell(small):
    """The chapter has another equation now, so the notebook's numbers are old ones."""
    small.replace("More text", "Less text", "jax")
    text = small.text.replace("% Only", "$$\na\n$$ (eq-a)\n\n% Only")
    small.chapter.write_text(text)
    assert len(small.sync()) == 1
    assert small.text == text.replace("More text", "Less text")
    assert "as (1.2) says" in small.shown("jax")[0][1]


def test_without_git_the_error_says_what_to_install(small, monkeypatch):
    monkeypatch.setenv("PATH", "")
    small.replace("return 2 * x", "return 3 * x", "jax")
    assert len(small.sync()) == 1  # nothing to merge
    small.replace("More text", "Less text", "jax")
    with pytest.raises(BookError, match=r"^sync needs git .*install it.*$"):
        small.sync()
