"""Notebooks as readers get them: plain Markdown, images that exist, a cell for Colab."""

import re
import sys

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from markdown_it import MarkdownIt
from shared import ROOT
from shared.tiny_book import Tiny

from builder.command import check
from builder.notebooks import downloads, markdown, store
from builder.publishing import tabs
from d2lext.core.frameworks import IDS

NOTEBOOKS = sorted(ROOT.glob("notebooks/*/*.ipynb"))
LEFTOVER = re.compile(
    r"\{[\w:-]+\}`"  # a role
    r"|^ *[:`~]{3,} *\{"  # a directive
    r"|:{3,}"
    r"|^\([\w-]+\)="  # a label
    r"|\$\$ *\([\w-]+\)"
    r"|^\+\+\+|^%"  # a cell's beginning, a comment
    r"|^ *\{[.#][^}]*\} *$",  # attributes
    re.MULTILINE,
)


def markdown_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def tokens(text):
    """All tokens of a text as code hosts parse it, those inside of lines, too."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def images(text):
    return [token.attrs["src"] for token in tokens(text) if token.type == "image"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_notebooks_are_plain_markdown(path):
    assert markdown_of(path)
    for text in markdown_of(path):
        assert not LEFTOVER.search(re.sub(r"`[^`\n]+`", "", text)), text
        # Formulas stand between dollars, which every viewer knows, and numbers in them.
        assert text.count("$$") % 2 == 0
        outside = re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL)
        assert outside.count("$") % 2 == 0
        assert "\\begin{" not in outside
        for source in images(text):
            assert (path.parent / source).is_file(), source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_tables_and_links_are_ones_to_other_viewers(path):
    for text in markdown_of(path):
        kinds = [token.type for token in tokens(text)]
        lines = re.findall(r"^\|[-:| ]+\|$", text, re.MULTILINE)
        assert kinds.count("table_open") == len(lines)
        # A stroke inside a formula would begin another column, and GitLab shows no
        # formula inside a table.
        for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
            assert "$" not in table
            assert len({row.count("|") for row in table.strip().split("\n")}) == 1
        for token in tokens(text):
            if token.type == "link_open":
                assert re.match(r"https?://", token.attrs["href"])


FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$]+)\$", re.DOTALL)


def misread(text):
    """The formulas in a text that one of the usual viewers does not take for one.

    VS Code and GitLab have KaTeX, JupyterLab, Colab and GitHub MathJax; what is between
    dollars is Markdown to GitLab first, which only keeps backslashes.
    """
    text = re.sub(r"```.*?```|`[^`\n]+`", "", text, flags=re.DOTALL)
    gfm = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    leaves = [
        leaf.content if leaf.type == "text" else "\n"
        for token in gfm.parse(text.replace("\\", "\\\\"))
        for leaf in token.children or ()
        if leaf.type in ("text", "softbreak", "hardbreak")
    ]
    parsed = "".join(leaves)
    found = []
    for match in FORMULA.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if match["display"]:
            # A paragraph of its own; a number as \tag is an error to GitLab's KaTeX.
            fits = re.search(r"(\A|\n[> ]*\n[> ]*)\Z", before) and re.match(
                r"[ ]*(\Z|\n[> ]*(\n|\Z))", after
            )
            fits = fits and "\\tag" not in match[0]
        else:
            fits = match[0][1:-1].strip() == match[0][1:-1]
            fits = fits and re.search(r"(\A|[\s(\[*-])\Z", before)
            fits = fits and re.match(r"\Z|[\s.,;:?!)\]*-]", after)
        if not fits or re.sub(r"\n[> ]*", "\n", match[0]) not in parsed:
            found.append(match[0])
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_formulas_are_ones_to_every_viewer(path):
    assert [formula for text in markdown_of(path) for formula in misread(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "$a$5",
        "x$a$",
        "$ a $ and",
        "Of $a*b$ and $c*d$.",
        "$a~~b$ is $c~~d$",
        "$<b>$",
        "Then\n$$\na\n$$\n",
        "$$\na\n$$\nFor $a$.",
        "$$\na \\tag{1}\n$$",
        "$$\na\n- b\n$$",
    ],
)
def test_formulas_that_a_viewer_misreads_are_found(text):
    assert misread(text)


@pytest.mark.parametrize(
    "text",
    [
        r"Of $\mathbf{x}_1$, ($f_1(\mathbf{x})_1$) and $[\,\cdot\,]$-$k$, `a$5`.",
        "Here\n\n$$\nf_1(x_1) \\\\\ng \\qquad (1.1)\n$$\n\nand *$a$*.",
        "> A note.\n>\n> $$\n> a\n> $$\n>\n> The end.",
        "| $a$ | b |\n|---|---|\n| $c_1$ | $d_1$ |",
    ],
)
def test_formulas_that_no_viewer_misreads(text):
    assert misread(text) == []


def test_what_no_viewer_knows_is_found():
    left = ["{eq}`eq-sum`", ":::{note}", "(sec-x)=\n## X", "$$a$$ (eq-a)", "% later"]
    assert all(LEFTOVER.search(text) for text in left)


@pytest.fixture
def hosted(tmp_path, root):
    """A tiny book with an address."""
    tiny = Tiny(tmp_path, root)
    settings = 'title = "T"\nauthor = "A"\nyear = 2026\n'
    settings += 'repository = "https://github.com/owner/book.git"\nbranch = "read"\n'
    (tmp_path / "chapters" / "book.toml").write_text(settings)
    return tiny


def written(tiny, backend="torch"):
    tiny.edition(backend).write()
    notebook = nbformat.read(tiny.path(backend), as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_comments_stay_with_their_author():
    text = "% only for us\nYou read this.\n\n$$\n% of the formula\na\n$$\n\n"
    text += "```\n%time f()\n```\n\n% last"
    shown = markdown.plain(text, None, None, "torch")
    assert "only for us" not in shown
    assert "last" not in shown
    assert shown.startswith("You read")
    assert "% of the formula" in shown
    assert "%time" in shown


def test_a_download_does_not_hold_what_it_was_split_from(tmp_path, root):
    tiny = Tiny(tmp_path, root)
    notebook = written(tiny)
    before = notebook.metadata[store.KEY][store.SPLIT_FROM]
    assert "\n".join(before.chapter) == tiny.book.chapters[0].text
    download = downloads.embedded(notebook, tiny.root, "torch")
    assert store.SPLIT_FROM not in download.metadata[store.KEY]
    assert store.SPLIT_FROM in notebook.metadata[store.KEY]
    assert not store.differs(notebook)


def test_without_an_address_there_is_nothing_to_install_from(tmp_path, root):
    tiny = Tiny(tmp_path, root)
    cells = written(tiny).cells
    assert [cell.source for cell in cells] == [
        cell.source for cell in tiny.notebook("torch").cells
    ]
    assert images(cells[0].source) == ["../../chapters/img/box.svg"]


def test_with_an_address_the_first_code_cell_installs(hosted):
    notebook = written(hosted)
    sources = [cell.source for cell in notebook.cells]
    assert [cell.cell_type for cell in notebook.cells[:2]] == ["markdown", "code"]
    assert images(sources[0]) == [
        "https://raw.githubusercontent.com/owner/book/read/chapters/img/box.svg"
    ]
    assert "git+https://github.com/owner/book@read" in sources[1]
    assert "flax" not in sources[1]
    assert sources[1].count("%pip install") == 1  # this code needs nothing more
    hosted.edit("x = 2", "import d2lext\nx = 2")
    assert "flax" in written(hosted, "jax").cells[1].source
    assert "mxnet==1.9.1" in written(hosted, "mxnet").cells[1].source


def on_colab(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)


def on_kaggle(monkeypatch):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")


def on_studio_lab(monkeypatch):
    monkeypatch.setenv("HOME", "/home/studio-lab-user")


def run_cell(shell, source):
    """The commands for pip of an install cell, each as a list of words."""
    asked = []
    shell.register_magic_function(asked.append, magic_name="pip")
    shell.run_cell(source).raise_error()
    return [line.split() for line in asked]


@pytest.mark.parametrize("on", [on_colab, on_kaggle, on_studio_lab])
def test_the_cell_installs_on_hosts_alone(hosted, monkeypatch, on):
    hosted.edit("x = 1", "import d2lext\nx = 1")
    source, shell = written(hosted).cells[1].source, InteractiveShell()
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    assert run_cell(shell, source) == []
    on(monkeypatch)
    noted, *installs = run_cell(shell, source)
    assert noted[:2] == ["list", "--format=freeze"]
    file = noted[noted.index(">") + 1]
    assert [words[:2] for words in installs] == [["install", "--quiet"]] * 2
    # Their own versions may be loaded by then: what is there stays as it is.
    for words in installs:
        assert "--no-deps" in words or words[words.index("--constraint") + 1] == file


@pytest.mark.slow
def test_the_cell_is_no_part_of_the_code(hosted, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    hosted.record(*IDS)
    assert hosted.stale() == set()
    assert [line for line in check.problems(hosted.root) if "ipynb" in line] == []
    page = tabs.merged([hosted.edition(backend) for backend in IDS])
    assert not any("colab" in cell.source for cell in page.cells)
    code = hosted.notebook("torch").metadata[store.KEY]["code"]
    (hosted.root / "chapters" / "book.toml").unlink()
    assert hosted.notebook("torch").metadata[store.KEY]["code"] == code
    assert hosted.stale() == set()
