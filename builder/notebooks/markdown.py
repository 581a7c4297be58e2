"""A chapter's prose as plain Markdown for notebooks, without MyST roles and directives.

References become numbers, citations become authors and years, figures become images
with captions, and equations end with their numbers. All else stays as its author wrote it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder.source import references, typography
from builder.source.book import Book
from builder.source.chapter import Chapter
from builder.source.prose import REMARKS, Element, Prose, plain_text

IMAGES = "../../chapters/"  # from notebooks/<backend>/
Edit = tuple[int, int, str]  # of a text: from where to where, and what is there then


def plain(prose: Prose | str, chapter: Chapter, book: Book, backend: str) -> str:
    """The Markdown that any notebook viewer shows for `prose` in `chapter`.

    Raises KeyError for a label, citation or directive that the book does not define.
    """
    if isinstance(prose, str):
        prose = Prose(prose)
    return _Plain(chapter, book, backend).text(prose).strip("\n")


def with_references(prose: Prose, chapter: Chapter, book: Book, backend: str) -> str:
    """The MyST of `prose` with references as plain Markdown, for slides."""
    return _edited(prose.text, [*_references(prose, _Plain(chapter, book, backend))])


def as_in_chapter(text: str) -> str:
    """A notebook's `text` with the addresses of images that a chapter has."""
    return re.sub(rf"(\]\(<?){re.escape(IMAGES)}", r"\1", text)


def with_images(text: str, change: Callable[[Element], str]) -> str:
    """A notebook's plain `text` with each image as `change` writes it."""
    prose = Prose(text)
    images = prose.of("image")
    return _edited(text, [(e.start, e.end, change(e)) for e in images])


def _references(prose: Prose, plain: "_Plain", place: int = 0) -> Iterator[Edit]:
    """Edits of a text in which `prose` begins at `place`, also inside of directives."""
    for element in prose.elements:
        is_known = element.content in plain.book.labels
        if element.kind == "role" and (is_known or element.name.startswith("cite")):
            yield place + element.start, place + element.end, plain.role(element)
        # Other references are to what only slides have.
        start, end = element.start, len(element.written)
        for part in (element.body, element.caption):
            if part and (end := element.written.rfind(part.text, 0, end)) >= 0:
                yield from _references(part, plain, place + start + end)


def _edited(text: str, edits: list[Edit]) -> str:
    pieces, place = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        if start >= place:  # else inside of what is replaced
            pieces += [text[place:start], new]
            place = end
    return "".join([*pieces, text[place:]])


@dataclass
class _Plain:
    """Writes the prose of `chapter` for readers of `backend`."""

    chapter: Chapter
    book: Book
    backend: str

    def text(self, prose: Prose) -> str:
        """The Markdown of `prose`."""
        edits = [
            edit for element in prose.elements for edit in self._edits(prose, element)
        ]
        return _edited(prose.text, edits)

    def _edits(self, prose: Prose, element: Element) -> Iterator[Edit]:
        start, end, token = element.start, element.end, element.token
        match element.kind:
            case "label" | "comment" | "definition" | "attributes":
                is_block = token.block and token.type != "heading_open"
                yield _removed(prose.text, element) if is_block else (start, end, "")
            case "role":
                yield start, end, self.role(element)
            case "dollar":
                yield start, end, "\\$"
            case "typed":
                yield start, end, element.content
            case "span":
                yield start, start + 1, ""
                yield element.label_end, end, ""
            case "image" | "link" if prose.text[end - 1] == "]":
                folder = IMAGES if element.content.startswith("img/") else ""
                title = f' "{t}"' if (t := token.attrGet("title")) else ""
                address = _address(folder + element.content)
                yield element.label_end, end, f"]({address}{title})"
            case "image" if element.content.startswith("img/"):
                place = prose.text.find("img/", element.label_end)
                yield place, place, IMAGES
            case "equation":
                yield (
                    start,
                    end,
                    _around(prose, element, self._equation(prose, element)),
                )
            case "directive":
                yield start, end, _around(prose, element, self._directive(element))

    def _equation(self, prose: Prose, element: Element) -> str:
        number = self.book.labels[element.labels[0]].number
        formula = prose.source(element).rpartition("$$")[0]
        # Not as \tag: GitLab would show the formula's source.
        return f"{formula.rstrip()} \\qquad ({number})\n$$"

    def _directive(self, element: Element) -> str:
        content = self.text(element.body).strip() if element.body else ""
        match element.name:
            case "figure":
                alt, file = _description(element.options["alt"]), element.content
                image = f"![{alt}]({_address(IMAGES + file.strip())})"
                return f"{image}\n\n{self._caption(element)}{content}"
            case "table":
                if element.caption is None:
                    return content
                caption = self.text(element.caption)
                return f"{self._caption(element)}{caption}\n\n{content}"
            case "bibliography":
                return self._bibliography()
            case name if name in REMARKS:
                title = f"{name.capitalize()}."
                if element.caption:
                    title = self.text(element.caption)
                mark = "__" if "*" in title else "**"
                lines = "".join(f"\n> {line}".rstrip() for line in content.split("\n"))
                return f"> {mark}{title}{mark}\n>{lines}"
        raise KeyError(element.name)

    def _caption(self, element: Element) -> str:
        names = [name for name in element.labels if name in self.book.labels]
        number = self.book.labels[names[0]].number if names else element.number
        return f"*{element.name.capitalize()} {number}".rstrip() + ".* "

    def role(self, element: Element) -> str:
        """The text of a reference or citation."""
        role, target = element.name, element.content
        if role.startswith("cite:"):
            keys = dict.fromkeys(map(str.strip, target.split(",")))
            entries = references.style().sort(
                [self.book.references[key] for key in keys]
            )
            cited = [references.author_year(entry) for entry in entries]
            if role == "cite:p":
                return f"({'; '.join(f'{authors}, {year}' for authors, year in cited)})"
            return ", ".join(f"{authors} ({year})" for authors, year in cited)
        label = self.book.labels[target]
        if role == "eq":
            return f"({label.number})"
        if role == "numref":
            shown = element.title or f"{label.kind.capitalize()} %s"
            return shown.replace("%s", label.number)
        title = typography.shown(element.title)
        if not title:
            title = self.text(Prose(label.title, in_line=True))
        mark = "_" if "*" in title else "*"
        return f"{mark}{title}{mark}"

    def _bibliography(self) -> str:
        """The references that the chapter cites for its readers, sorted by author."""
        keys = {
            key.strip()
            for cell in self.chapter.cells_for(self.backend)
            if cell.kind == "markdown"
            for role in cell.prose.of("role")
            if role.name.startswith("cite")
            for key in role.content.split(",")
        }
        entries = [self.book.references[key] for key in sorted(keys)]
        return "\n".join(f"- {entry}" for entry in references.listed(entries))


def _removed(text: str, element: Element) -> Edit:
    """Without the lines of a block, and blank lines of which there would be too many."""
    start, end = text.rfind("\n", 0, element.start) + 1, element.end
    if text[start : element.start].strip():  # what is before it begins a list or quote
        return element.start, end, ""
    before, after = text[:start], text[end:]
    is_apart = not before or before.endswith("\n\n")
    if not is_apart and re.match(r"\n.*\S", after) and element.kind != "label":
        return start, end, ""  # it ended a paragraph: an empty line does, too
    blank = re.match(r"\n*" if is_apart or element.kind == "label" else r"\n?", after)
    assert blank
    return start, end + blank.end(), ""


def _around(prose: Prose, element: Element, new: str) -> str:
    """The `new` text of a block, each line inside the same lists and quotes."""
    line = prose.text.rfind("\n", 0, element.start) + 1
    around = re.sub(r"[^>\s]", " ", prose.text[line : element.start])
    first, *others = new.split("\n")
    return "\n".join([first, *(f"{around}{other}".rstrip() for other in others)])


def _description(text: str) -> str:
    """A figure's description, which is not Markdown, as that of an image."""
    [*_, line] = Prose(f"![{text}](x)", in_line=True).tokens
    image, *others = line.children or []
    if not others and image.type == "image" and plain_text(image) == text:
        return text
    return re.sub(r"([\\`*_\[\]<>&$!{}])", r"\\\1", text)


def _address(file: str) -> str:
    return file if re.fullmatch(r"[^\s()<>]+", file) else f"<{file}>"
