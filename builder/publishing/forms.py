"""The forms of the book beside the site: which to write, and one in one framework."""

from collections.abc import Sequence
from pathlib import Path

from builder.notebooks.edition import Edition, editions
from builder.publishing import epub, pdf, single, slides, student, xelatex
from builder.source.book import Book

# By their folders in _build; those that take longest come first.
FORMS = {
    "pdf": "PDF",
    "epub": "EPUB",
    "slides": "slides",
    "student": "students' notebooks",
}
QUICK = ("epub", "slides")  # written without being asked for, in seconds


def chosen(book: Book, everything: bool) -> tuple[list[str], list[str]]:
    """The forms to write, `everything` or those that are quick or there already.

    With them, a sentence for each reason why others are left out.
    """
    forms, later, reasons = [], [], []
    for form, title in FORMS.items():
        if form == "slides" and not any(map(slides.has_slides, book.chapters)):
            continue
        if not (everything or form in QUICK or is_there(book.root, form)):
            later.append(title)
        elif form == "pdf" and (missing := xelatex.missing()):
            reasons.append(
                f"no PDF: it needs {missing}, and python build.py pdf says how to "
                "install that"
            )
        else:
            forms.append(form)
    if later:
        reasons.append(
            f"not written: {' and '.join(later)}; python build.py --all-forms adds them"
        )
    return forms, reasons


def is_there(root: Path, form: str) -> bool:
    """Whether the form was written before, in some framework."""
    return any((root / "_build" / form).glob("*"))


def write(form: str, root: Path, backend: str) -> None:
    """Write the form for readers of `backend`."""
    own = list(editions(Book(root), backends=[backend]))
    if form == "slides":
        slides.build(own, root / "_build" / form / backend)
    elif form == "student":
        student.build(own, root / "_build")
    else:
        write_volume(form, own)


def write_volume(
    form: str, own: Sequence[Edition], solutions: bool = True
) -> tuple[Path, bool]:
    """Write the PDF or EPUB of one framework's editions: its path, and if it changed."""
    root, backend = own[0].book.root, own[0].backend
    out = root / "_build" / form / single.file_name(backend, solutions, form)
    build = {"pdf": pdf.build, "epub": epub.build}[form]
    return out, build(root, out, single.pages(own, solutions), backend)
