"""Which forms `python build.py` writes beside the site, and what it says of the others."""

import pytest

from builder.command import formulas, last_build
from builder.command import main as cli
from builder.command.verbs import authoring
from builder.errors import BookError
from builder.notebooks import run
from builder.publishing import forms, parallel, slides, xelatex
from builder.publishing.site import Site
from builder.sphinxext import katex

LATER = (
    "not written: PDF and students' notebooks; python build.py --all-forms adds them"
)


@pytest.fixture
def book(tiny, monkeypatch):
    """A book with slides, on a machine with all programs."""
    tiny.edit("tags: [train]", "tags: [train, slide]")
    monkeypatch.setattr(xelatex, "missing", lambda: "")
    return tiny.book


def test_quick_forms_are_written_and_others_when_asked_for(book):
    assert forms.chosen(book, everything=False) == (["epub", "slides"], [LATER])
    assert forms.chosen(book, everything=True) == ([*forms.FORMS], [])


def test_a_form_that_is_there_is_kept_up_to_date(book):
    (book.root / "_build" / "pdf").mkdir(parents=True)
    (book.root / "_build" / "pdf" / "torch-no-solutions.pdf").touch()
    chosen, left_out = forms.chosen(book, everything=False)
    assert chosen == ["pdf", "epub", "slides"]
    assert left_out == [LATER.replace("PDF and ", "")]


@pytest.mark.parametrize("everything", [False, True])
def test_without_tex_there_is_no_pdf(book, monkeypatch, everything):
    monkeypatch.setattr(xelatex, "missing", lambda: "latexmk and xelatex")
    (book.root / "_build" / "pdf").mkdir(parents=True)
    (book.root / "_build" / "pdf" / "torch.pdf").touch()
    chosen, left_out = forms.chosen(book, everything)
    assert "pdf" not in chosen
    assert left_out[0].startswith("no PDF: it needs latexmk and xelatex, and python")


def test_a_book_without_slides_has_none(tiny):
    assert not slides.has_slides(tiny.book.chapters[0])
    assert "slides" not in forms.chosen(tiny.book, everything=True)[0]


@pytest.fixture
def build(book, monkeypatch, capsys):
    """Runs `python build.py` with options; gives its status, and what it printed."""
    monkeypatch.setattr(cli, "ROOT", book.root)
    monkeypatch.setattr(parallel.processor, "num_cores", lambda: 1)
    monkeypatch.setattr(katex, "folder", lambda: book.root)
    monkeypatch.setattr(formulas, "check", lambda *args, **options: None)
    monkeypatch.setattr(authoring, "_install", lambda backends: None)
    monkeypatch.setattr(run, "record", lambda edition, **options: None)
    page = last_build.site(book.root)

    def written(site):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
        return page

    monkeypatch.setattr(Site, "write", written)

    def build(*options):
        status = cli.main([*options])
        return status, *capsys.readouterr()

    return build


def write(form, root, backend):
    path = root / "_build" / form / backend
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_the_site_comes_last_and_says_what_it_lacks(build, monkeypatch):
    made = []
    monkeypatch.setattr(forms, "write", lambda *task: made.append(task))
    status, said, _ = build("--backend", "jax", "--backend", "torch")
    assert status == 0
    assert [(form, backend) for form, _, backend in made] == [
        ("epub", "jax"),
        ("epub", "torch"),
        ("slides", "jax"),
        ("slides", "torch"),
    ]
    said = [line.partition(":")[0] for line in said.splitlines()[-4:]]
    assert said == ["EPUB", "slides", "site", "not written"]


def test_all_forms_are_written_though_nothing_has_changed(build, monkeypatch, book):
    monkeypatch.setattr(forms, "write", write)
    assert build()[0] == 0
    assert build()[1].startswith("nothing has changed; site: ")
    status, said, _ = build("--all-forms")
    assert (status, "PDF: " in said, "not written" in said) == (0, True, False)
    assert (book.root / "_build" / "student" / "jax").exists()


def test_a_mistake_in_one_form_keeps_none_of_the_others(build, monkeypatch, book):
    def fail(form, root, backend):
        if form == "slides":
            raise BookError("chapters/01-tiny.md:9: a slide has room for 18 lines")
        write(form, root, backend)

    monkeypatch.setattr(forms, "write", fail)
    status, said, errors = build()
    assert status == 1
    assert errors == "error: chapters/01-tiny.md:9: a slide has room for 18 lines\n"
    assert "EPUB: " in said
    assert "slides: " not in said
    assert last_build.site(book.root).exists()
    assert build()[0] == 1  # again, until it is corrected
