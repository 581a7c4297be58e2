"""Edits made in notebooks, brought back to the chapters that they were split from.

A cell for several frameworks is edited in one notebook or, equally, in several: it
changes for all. A new cell is for the frameworks in whose notebooks it stands, at the
same place and with the same text. `order` says where cells go that were moved.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from builder import files
from builder.errors import BookError
from builder.notebooks import split
from builder.notebooks.edition import Edition
from builder.source.book import Book
from builder.sync import blocks, order
from builder.sync.blocks import Block
from builder.sync.edits import DELETED, TAGS, TEXT, Edits, New, both
from d2lext.core.frameworks import IDS, TITLES


def sync(book, chapters, backends):
    """Carry the edits of the notebooks of `chapters` back; returns what was done.

    Raises BookError, and changes nothing, if any of them cannot be carried.
    """
    merges = [_Merge(book, ch, backends) for ch in chapters]
    if problems := [line for merge in merges for line in merge.problems]:
        raise BookError("\n\n".join([*problems, "nothing was changed"]))
    texts = {}
    for merge in merges:
        if merge.done:
            path = book.root / merge.chapter.path
            texts[path] = blocks.edited(merge.chapter, _read(path), merge.wanted)
    new = _checked(book, merges, texts)
    # What the notebooks were split from is now what they say.
    for merge in merges:
        ch = new.find(merge.chapter.name)
        for edits in merge.notebooks:
            edition = Edition(new, ch, edits.backend)
            if merge.done or edition.is_edited:
                texts[edition.path] = edition.text()
    _write(texts)
    return [line for merge in merges for line in merge.done]


class _Merge:
    """A chapter and its notebooks: the Blocks `wanted`, what is `done`, or `problems`."""

    def __init__(self, book, ch, backends):
        self.chapter = ch
        self.notebooks = [
            Edits(book, ch, backend)
            for backend in backends
            if Edition(book, ch, backend).path.exists()
        ]
        self.problems = [line for edits in self.notebooks for line in edits.problems]
        self.changed = self._changed()
        self.new, self.moved = [], defaultdict(list)
        self.wanted = [] if self.problems else self._wanted()
        self.done = self._done()

    def _changed(self):
        """The edits of cells by (number, TEXT or TAGS): what all notebooks agree on."""
        versions = defaultdict(dict)
        for edits in self.notebooks:
            for key, value in edits.changed.items():
                versions[key].setdefault(value, edits.shown)
        for (number, what), found in versions.items():
            if len(found) > 1:
                texts = [
                    f"tags: {list(new)}" if what == TAGS and new else new
                    for new in found
                ]
                message = "two notebooks changed this cell differently"
                self._disagree(number, message, [*found.values()], texts)
        return {key: next(iter(found)) for key, found in versions.items()}

    def _disagree(self, number, message, names, texts):
        difference = both(names[0], texts[0], names[1], texts[1])
        message = f"{message}: make them equal, or undo one\n{difference}"
        error = self.chapter.error(self.chapter.lecture[number].line, message)
        self.problems.append(str(error))

    def _cell(self, cell):
        return cell if isinstance(cell, New) else self.chapter.lecture[cell]

    def _wanted(self):
        """The chapter's Blocks, in their new order."""
        gone = {number for (number, _), new in self.changed.items() if new is DELETED}
        own = [n for n in range(len(self.chapter.lecture)) if n not in gone]
        edited = [edits for edits in self.notebooks if edits.cells]
        sides = [order.Side(str(self.chapter.path), own, [e.was for e in edited])]
        for edits in edited:
            cells = [cell for cell in edits.cells if cell not in gone]
            sides.append(order.Side(edits.shown, cells, [edits.was]))
        for side in sides:
            side.find_moved(own, lambda cell: len(self._cell(cell).backends))
        for n, side in enumerate(sides[1:], 1):
            self._share(side, sides[:n])
            for number in side.moved:
                self.moved[number].append(side.name)
        try:
            cells = order.merged(
                sides, lambda c: len(self._cell(c).backends) < len(IDS)
            )
        except order.Disagreement as error:
            names = [side.name for side in error.sides]
            message = f"{' and '.join(names)} have this cell in different places"
            shared = set.intersection(*(set(side.cells) for side in error.sides))
            texts = [
                "\n".join(
                    self._cell(cell).source.split("\n")[0]
                    for cell in side.cells
                    if cell in shared
                )
                for side in error.sides
            ]
            self._disagree(error.cell, message, names, texts)
            return []
        return [self._block(cell) for cell in cells]

    def _share(self, side, others):
        """Make the new cells of `side` one with those that `others` have there, too."""
        for place, new in enumerate(side.cells):
            if not isinstance(new, New):
                continue
            for cell in [*others[0].cells, *self.new]:
                known, cells = self._cell(cell), [*side.cells]
                cells[place] = cell
                # The chapter has one for this framework, another notebook not yet.
                is_free = (known is cell) != (new.backends[0] in known.backends)
                if (
                    (known.kind, known.source, split.without_frameworks(known.tags))
                    == (new.kind, new.source, split.without_frameworks(new.tags))
                    and is_free
                    and cell not in side.cells
                    and _have_an_order([*others, replace(side, cells=cells)])
                ):
                    side.cells = cells
                    if known is cell:
                        known.backends += new.backends
                    break
            else:
                self.new.append(new)

    def _block(self, cell):
        own = self._cell(cell)
        if own is not cell:
            source = self.changed.get((cell, TEXT), own.source)
            return Block(
                cell, own.kind, source, self.changed.get((cell, TAGS), own.tags)
            )
        # In a chapter whose code is the same for all, so is what is added to it.
        for_all = self.chapter.is_shared or set(own.backends) == set(IDS)
        named = {*own.tags, *(() if for_all else own.backends)}
        tags = (*(b for b in IDS if b in named), *split.without_frameworks(own.tags))
        return Block(None, own.kind, own.source, tags)

    def _done(self):
        """A line for each cell that is changed, with the notebooks that changed it."""
        lines = []
        for number, cell in enumerate(self.chapter.lecture):
            what, names = [], {}
            for key in ((number, TEXT), (number, TAGS)):
                if key in self.changed:
                    new = self.changed[key]
                    words = (
                        "changed"
                        if key[1] == TEXT
                        else f"tags [{', '.join(new or ())}]"
                    )
                    what.append("deleted" if new is DELETED else words)
                    names |= {e.shown: 1 for e in self.notebooks if key in e.changed}
            if number in self.moved:
                what.append("moved")
                names |= dict.fromkeys(self.moved[number])
            if what:
                whom = (
                    f" ({TITLES[cell.backends[0]]})" if len(cell.backends) == 1 else ""
                )
                what = ", ".join(dict.fromkeys(what)) + whom
                lines.append((f"{self.chapter.path}:{cell.line}: {what}", names))
        for new in self.new:
            names = [e.shown for e in self.notebooks if e.backend in new.backends]
            lines.append((f"{self.chapter.path}: a new {new.kind} cell", names))
        return [f"{line}, from {', '.join(names)}" for line, names in lines]


def _have_an_order(sides):
    try:
        order.graph(sides)
    except order.Disagreement:
        return False
    return True


def _checked(book, merges, texts):
    """The book with the new `texts`; raises unless it has the cells that are wanted."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "chapters").mkdir()
        for path in (book.root / "chapters").iterdir():
            if path.is_file():
                shutil.copy(path, folder / "chapters")
            else:
                os.symlink(path.resolve(), folder / "chapters" / path.name)
        for path, text in texts.items():
            new = folder / path.relative_to(book.root)
            new.write_text(text, encoding="utf-8", newline="")
        try:
            new = Book(folder)
        except BookError as error:
            raise BookError(
                f"with the notebooks' edits: {error}\nnothing was changed"
            ) from error
    new.root = book.root
    for merge in merges:
        cells = new.find(merge.chapter.name).lecture if merge.done else ()
        wanted = merge.wanted if merge.done else ()
        for pair in zip_longest(wanted, cells):
            one, other = [
                (c.kind, c.source, sorted(c.tags)) if c else None for c in pair
            ]
            if one != other:
                raise BookError(
                    f"{merge.chapter.path}: an edited cell would not stay one cell, so "
                    "nothing was changed: make this edit in the chapter\n"
                    + (one or other)[1]
                )
    return new


def _write(texts):
    """Write all of the `texts`, by path, or none."""
    before = {}
    try:
        for path, text in texts.items():
            before[path] = _read(path)
            files.write(path, text)
    except BaseException:  # Ctrl-C, too
        for path, text in before.items():
            files.write(path, text)
        raise


def _read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()
