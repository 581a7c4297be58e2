"""The verbs that write the book's forms."""

import pytest

from builder.command import main as cli
from builder.notebooks import edition
from builder.publishing import epub, pdf, sphinx_build
from builder.sphinxext import katex


@pytest.mark.parametrize("verb", ["slides", "student", "pdf", "epub"])
def test_each_chapter_is_split_once(tiny, verb, monkeypatch, capfd):
    """To tell which notebooks are stale, and to write them."""
    tiny.edit("tags: [train]", "tags: [train, slide]")
    settings = 'title = "Tiny"\nauthor = "A. Author"\nyear = 2026\n'
    (tiny.root / "chapters" / "book.toml").write_text(settings)
    made = []

    def counted(book, chapter, backend):
        made.append(backend)
        return split(book, chapter, backend)

    split = edition.split
    monkeypatch.setattr(edition, "split", counted)
    monkeypatch.setattr(cli, "ROOT", tiny.root)
    monkeypatch.setattr(katex, "folder", lambda: tiny.root)
    monkeypatch.setattr(sphinx_build, "build", lambda *args, **kwargs: True)
    for form in (epub, pdf):
        monkeypatch.setattr(form, "build", lambda root, out, pages, backend: pages)
    assert cli.main([verb, "--backend", "torch"]) == 0
    assert made == ["torch"]
    assert (
        "01-tiny (PyTorch) is stale, as it was never recorded" in capfd.readouterr()[0]
    )
