"""Carries edits made in notebooks back to the chapters that they were split from.

A cell for several frameworks may be edited in one notebook or, identically, in several:
it changes for all. A new cell is for the frameworks whose notebooks have it, at the same
place and with the same text. All edits are applied to the chapter as it was split, and
git merges the result with the current chapter.
"""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from difflib import Match, SequenceMatcher
from pathlib import Path

from builder import files
from builder.errors import BookError
from builder.notebooks.edition import editions
from builder.notebooks.markdown import plain
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from builder.source.reader import parse
from builder.sync import cells, checks, places
from builder.sync.edits import DELETED, MOVED, TAGS, TEXT, Edits, misplaced
from builder.sync.merge import Conflict, both, merged
from builder.sync.places import New
from d2lext.core.frameworks import TITLES


def sync(book: Book, chapters: Iterable[Chapter], backends: Iterable[str]) -> list[str]:
    """Carry the edits in the notebooks of `chapters` back; return what was done.

    Raises BookError, and changes nothing, if any edit cannot be carried back.
    """
    backends = list(backends)
    merges = [_Merge(book, chapter, backends) for chapter in chapters]
    if problems := [problem for merge in merges for problem in merge.problems]:
        raise BookError("\n\n".join([*problems, "nothing was changed"]))
    texts = {}
    for merge in merges:
        if merge.done:
            path = book.root / merge.chapter.path
            texts[path] = files.as_in(path, merge.text)
    new = _with_texts(book, texts)
    for merge in merges:
        for edition in editions(new, [new.find(merge.chapter.name)], backends):
            if edition.file.exists() and (merge.done or edition.is_edited):
                texts[edition.file] = edition.text()
    _write(texts)
    return [line for merge in merges for line in merge.done]


class _Merge:
    """The new `text` of a chapter and what was `done` to it, or the `problems`."""

    def __init__(self, book: Book, chapter: Chapter, backends: list[str]) -> None:
        self.book, self.chapter, self.text = book, chapter, chapter.text
        self.done: list[str] = []
        self.problems: list[str] = []
        groups: dict[str, list[Edits]] = {}  # by the text that they were split from
        for edition in editions(book, [chapter], backends):
            if (edits := Edits(edition)).order:
                groups.setdefault(edits.old.text, []).append(edits)
        for notebooks in groups.values():
            self.old, self.notebooks = notebooks[0].old, notebooks
            self.changed = self._changed()
            order = self._order()
            if not self.problems:
                self._bring_back(order)

    def _changed(self):
        """The changes to cells, with the paths of the notebooks that made them."""
        changed: dict = {}
        for edits in self.notebooks:
            for line, message in edits.problems:
                self._refuse(line, message)
            for key, new in edits.changed.items():
                known, paths = changed.setdefault(key, (new, []))
                if known != new:
                    one, two = (
                        f"tags: {[*value]}" if isinstance(value, tuple) else value
                        for value in (known, new)
                    )
                    self._refuse(
                        self.old.lecture[key[0]].line,
                        "two notebooks changed this cell differently: make them equal, or "
                        f"undo one\n{both(paths[0], one, edits.path, two)}",
                    )
                paths.append(edits.path)
        return changed

    def _order(self) -> list[int | New]:
        """The cells in their new order."""
        gone = {key[0] for key, (new, _) in self.changed.items() if new is DELETED}
        order = [n for n in range(len(self.old.lecture)) if n not in gone]
        for edits in self.notebooks:
            mine = [cell for cell in edits.order if isinstance(cell, int)]
            left = [cell for cell in mine if cell not in gone]
            if mine != sorted(mine) and left == sorted(left):
                cell = next(cell for cell in mine if cell in gone)
                self._refuse(
                    self.old.lecture[cell].line,
                    f"this cell was moved in {edits.path} and deleted in another "
                    "notebook: undo one",
                )
        self.moves = places.moves(order, self.notebooks)
        if not self.moves:
            return places.placed(order, self.notebooks, self.old.lecture)
        found = places.moved(order, self.notebooks, self.old.lecture)
        if not found:
            self._refuse_moves()
            return [*order]
        self.changed[found[0], MOVED] = True, [*self.moves]
        return found[1]

    def _bring_back(self, order: list[int | New]) -> None:
        """Apply all edits to the chapter as it was split; merge it with the current one."""
        wanted = [self._wanted(item) for item in order]
        text = cells.edited(self.old, wanted)
        paths = " or ".join(edits.path for edits in self.notebooks)
        try:
            new = merged(self.old.text, self.text, text)
        except Conflict as error:
            self._refuse_moves()
            if not self.moves:
                message = error.message(self.chapter.path, paths)
                self.problems.append(str(self.chapter.error(error.line + 1, message)))
            return
        self._check(wanted, text, new, paths)
        if new != self.text and not self.problems:
            self.text = new
            self.done += self._lines(order)

    def _check(
        self, wanted: list[tuple[int | None, Cell]], text: str, new: str, paths: str
    ) -> None:
        """Refuse if the edited `text` of the old chapter, or the `new` one, is wrong."""
        old, edited = self.old.lecture, [cell for _, cell in wanted]
        now, result = self._cells(self.text), self._cells(new)
        checks.stay_whole(self.chapter.path, edited, self._cells(text))
        problems = [*checks.lost_or_doubled(old, now, edited, result, paths)]
        if problems:
            self._refuse_moves()
        pairs = [
            (old[number], cell)
            for number, cell in wanted
            if number is not None and (number, TEXT) in self.changed
        ]
        problems += checks.other_frameworks(pairs, result, paths)
        problems += checks.pasted_references(self.old, text, self._shown, paths)
        for line, message in problems:
            self._refuse(line, message)

    def _shown(self, role: str) -> str:
        try:
            return plain(role, self.old, self.book, self.notebooks[0].edition.backend)
        except KeyError:  # no longer in the book
            return ""

    def _cells(self, text: str) -> tuple[Cell, ...]:
        try:
            return parse(text, self.chapter.path).lecture
        except BookError as error:
            raise _not_valid(error) from error

    def _wanted(self, item: int | New) -> tuple[int | None, Cell]:
        """What a cell becomes, with its number in the chapter, None if it is new."""
        if isinstance(item, New):
            return None, item.cell(self.old)
        cell = self.old.lecture[item]
        source, _ = self.changed.get((item, TEXT), (cell.source, []))
        tags, _ = self.changed.get((item, TAGS), (cell.tags, []))
        return item, replace(cell, source=source, tags=tags)

    def _lines(self, order: list[int | New]) -> list[str]:
        """A line for each cell that is changed, with the notebooks that changed it."""
        did: dict[int, tuple[dict[str, None], dict[str, None]]] = {}
        for (number, what), (new, paths) in sorted(self.changed.items()):
            words, known = did.setdefault(number, ({}, {}))
            words["deleted" if new is DELETED else what] = None
            known |= dict.fromkeys(paths)
        lines = []
        for number, (words, known) in did.items():
            cell, done = self.old.lecture[number], ", ".join(words)
            if len(cell.backends) == 1:
                done += f" ({TITLES[cell.backends[0]]})"
            lines.append(f":{self._line(cell.line)}: {done}, from {', '.join(known)}")
        for item in order:
            if isinstance(item, New):
                paths = ", ".join(edits.path for edits in item.notebooks)
                lines.append(f": a new {item.cell(self.old).kind} cell, from {paths}")
        return [f"{self.chapter.path}{line}" for line in lines]

    def _refuse_moves(self) -> None:
        for path, after in self.moves.items():
            for before, cell in misplaced(after):
                place = "to the top"
                if before is not None:
                    line = self._line(self.old.lecture[before].line)
                    place = f"after the one on line {line}"
                self._refuse(
                    self.old.lecture[cell].line,
                    f"{path} has this cell in another place, and where it goes here is "
                    f"uncertain: move it {place}, or move it back in the notebook",
                )

    def _refuse(self, line: int, message: str) -> None:
        self.problems.append(str(self.chapter.error(self._line(line), message)))

    def _line(self, line: int) -> int:
        """Where the `line` of the old chapter is in the current one."""
        old, now = self.old.text.split("\n"), self.chapter.text.split("\n")
        blocks = SequenceMatcher(None, old, now, False).get_matching_blocks()
        block = max((b for b in blocks if b.a < line), default=Match(0, 0, 0))
        return block.b + min(line - block.a, block.size + 1)


def _with_texts(book: Book, texts: dict[Path, str]) -> Book:
    """The `book` with the new `texts` of chapters."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(book.root / "chapters", Path(folder, "chapters"))
        for path, text in texts.items():
            Path(folder, path.relative_to(book.root)).write_bytes(text.encode())
        try:
            new = Book(Path(folder))
        except BookError as error:
            raise _not_valid(error) from error
    new.root = book.root
    return new


def _not_valid(error: BookError) -> BookError:
    return BookError(f"with the notebooks' edits: {error}\nnothing was changed")


def _write(texts: dict[Path, str]) -> None:
    """Write all of the `texts`, or none."""
    before: dict[Path, bytes] = {}
    try:
        for path, text in texts.items():
            before[path] = path.read_bytes()
            files.write(path, text)
    except BaseException:  # Ctrl-C, too
        for path, content in before.items():
            files.write(path, content)
        raise
