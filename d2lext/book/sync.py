"""Edits made in notebooks, brought back to the chapters that they were split from.

A notebook lists its cells as they were split. So each side is compared with what both
come from: what only the notebook changed goes to the chapter, what only the chapter
changed stays, and what both changed, or two notebooks, is for the author to decide.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from difflib import SequenceMatcher, unified_diff
from pathlib import Path

import nbformat

from d2lext.book import blocks, carry, chapter, colab, files, markdown, split
from d2lext.book.backends import IDS, TITLES
from d2lext.book.book import Book
from d2lext.book.errors import BookError

DELETED = None


@dataclass
class Edits:
    """What notebooks change in one chapter: cells by their number in it."""

    changed: dict = field(default_factory=lambda: defaultdict(dict))  # -> by backend
    inserted: list = field(default_factory=list)
    problems: list = field(default_factory=list)


@dataclass
class New:
    """A cell that notebooks have and the chapter has not: where it may go, and for whom."""

    kind: str
    source: str
    tags: tuple
    first: int  # it goes before one of the cells `first` to `last`
    last: int
    backends: list


def sync(book, chapters, backends):
    """Carry the edits of the notebooks of `chapters` back; returns what was done.

    Raises BookError, and changes nothing, if any of them cannot be carried.
    """
    found = {ch.stem: _edits(book, ch, backends) for ch in chapters}
    if problems := [line for edits in found.values() for line in edits.problems]:
        raise BookError("\n\n".join([*problems, "nothing was changed"]))
    plans, done = [], []
    for ch in chapters:
        changed, inserted = _decided(ch, found[ch.stem])
        if changed or inserted:
            with (book.root / ch.path).open(encoding="utf-8", newline="") as file:
                before = file.read()
            text = blocks.edited(ch, before, changed, inserted)
            plans.append((ch, text, changed, inserted))
            done += _report(book, ch, changed, found[ch.stem])
    if not plans:
        return []
    _check(book, plans)
    for ch, text, _, _ in plans:
        files.write(book.root / ch.path, text)
    # What the notebooks were split from is now what they say.
    book = Book(book.root)
    for ch in (book.find(ch.name) for ch, *_ in plans):
        for backend in backends:
            if split.notebook_path(book.root, ch, backend).exists():
                notebook = split.notebook(book, ch, backend)
                split.write(book.root, ch, backend, notebook)
    return done


def _edits(book, ch, backends):
    """What the notebooks of the chapter `ch` change in it."""
    edits = Edits()
    for backend in backends:
        path = split.notebook_path(book.root, ch, backend)
        if path.exists():
            _Notebook(book, ch, backend, path).compare(edits)
    for number, versions in edits.changed.items():
        (one, first), *rest = versions.items()
        for other, second in rest:
            if first != second:
                edits.problems.append(
                    str(
                        ch.error(
                            ch.lecture[number].line,
                            "two notebooks changed this cell differently: make them "
                            "equal, or undo one\n"
                            + _both(
                                _shown(book, ch, one),
                                first,
                                _shown(book, ch, other),
                                second,
                            ),
                        )
                    )
                )
                break
    return edits


class _Notebook:
    """A notebook's cells, those it was split from, and those of the chapter now."""

    def __init__(self, book, ch, backend, path):
        self.book, self.chapter, self.backend = book, ch, backend
        self.shown = _shown(book, ch, backend)
        try:
            notebook = nbformat.read(path, as_version=4)
        except (ValueError, nbformat.reader.NotJSONError) as error:
            raise BookError(
                f"{self.shown} is no notebook that can be read: restore it, or write it "
                f"anew with python build.py notebooks {ch.name}"
            ) from error
        self.cells = colab.written(notebook)
        self.split_from = notebook.metadata.get(split.KEY, {}).get("cells")
        self.own = [
            (number, cell)
            for number, cell in enumerate(ch.lecture)
            if backend in cell.backends and not cell.is_for_lectures
        ]

    def render(self, source):
        """The plain Markdown of a source, as a Traced."""
        return markdown.traced(source, self.chapter, self.book)

    def text_of(self, cell):
        """What a cell of the chapter is in a notebook."""
        source = cell.source
        return self.render(source).text if cell.kind == "markdown" else source

    def compare(self, edits):
        """Add to `edits` what this notebook changes."""
        now = [(cell.kind, split.trimmed(self.text_of(cell))) for _, cell in self.own]
        have = [
            (c.cell_type, split.trimmed(c.source))
            for c in self.cells
            if c.source.strip()
        ]
        tags_too = len(now) != len(have) or all(
            not self._tags_differ(cell, mine)
            for (_, cell), mine in zip(
                self.own, [c for c in self.cells if c.source.strip()], strict=True
            )
        )
        if now == have and tags_too:
            return
        if not self.split_from:
            raise BookError(
                f"{self.shown} does not say what it was split from, so its edits cannot "
                "be told from the chapter's: keep a copy, write it with python build.py "
                f"notebooks {self.chapter.name}, and edit that"
            )
        base = [entry.split() for entry in self.split_from]
        of_chapter, rivals = self._in_chapter([entry[0] for entry in base])
        of_notebook, moved = self._in_notebook(base, of_chapter)
        for i, (_, text_hash) in enumerate(base):
            mine = self.cells[of_notebook[i]] if i in of_notebook else None
            if mine is not None and not mine.source.strip():
                mine = None  # emptied is deleted
            self._compare_cell(
                edits, mine, text_hash, of_chapter.get(i), rivals.get(i, [])
            )
        self._add_new(edits, of_notebook, of_chapter, moved)

    def _in_chapter(self, ids):
        """By place in the list of `ids`: the cell unchanged since, or what replaced it."""
        keys = [
            next(
                (
                    cell.source
                    for _, cell in self.own
                    if split.fingerprint(f"{i} {cell.source}") == cell_id
                ),
                f"\0{i}",
            )
            for i, cell_id in enumerate(ids)
        ]
        same, rivals = {}, {}
        matcher = SequenceMatcher(None, keys, [c.source for _, c in self.own], False)
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            for i in range(i1, i2):
                if kind == "equal":
                    same[i] = j1 + i - i1
                elif i2 - i1 == j2 - j1:
                    rivals[i] = [j1 + i - i1]
                else:
                    rivals[i] = list(range(j1, j2))
        return same, rivals

    def _in_notebook(self, base, of_chapter):
        """By place in the list `base`: the place in the notebook; and what was moved."""
        ids = [cell_id for cell_id, _ in base]
        kinds = {ids[i]: self.own[j][1].kind for i, j in of_chapter.items()}
        have, hashes = [], []
        for k, cell in enumerate(self.cells):
            cell_id = cell.get("id") or cell.metadata.get("id")
            changed_kind = kinds.get(cell_id, cell.cell_type) != cell.cell_type
            have.append(f"\0{k}" if changed_kind else cell_id)
            hashes.append(f"\0{k}" if changed_kind else split.fingerprint(cell.source))
        if not set(have) & set(ids):
            raise BookError(
                f"{self.shown}: its cells have lost their ids, so what was edited cannot "
                "be told: make the edits again in JupyterLab or VS Code, which keep them"
            )
        found = {}
        matcher = SequenceMatcher(None, ids, have, False)
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            if kind == "equal":
                found |= zip(range(i1, i2), range(j1, j2), strict=True)
            # A cell that was cut and pasted where it was has another id.
            texts = [text for _, text in base[i1:i2]], hashes[j1:j2]
            if kind == "replace":
                for block in SequenceMatcher(None, *texts, False).get_matching_blocks():
                    for n in range(block.size):
                        found[i1 + block.a + n] = j1 + block.b + n
        lost = [base[i] for i in range(len(base)) if i not in found]
        moved = {
            k
            for k in set(range(len(have))) - set(found.values())
            if any(have[k] == entry[0] or hashes[k] == entry[1] for entry in lost)
        }
        return found, moved

    def _compare_cell(self, edits, mine, text_hash, place, rivals):
        """One cell that was split: `mine` in the notebook, at `place` in the chapter."""
        if place is not None:
            number, cell = self.own[place]
            if mine is None:
                edits.changed[number][self.backend] = DELETED
            else:
                self._compare_text(edits, mine, text_hash, number, cell)
            return
        if mine is not None and split.fingerprint(mine.source) == text_hash:
            return  # only the chapter changed it
        now = [self.own[j] for j in rivals]
        if mine is not None and any(
            split.trimmed(self.text_of(cell)) == split.trimmed(mine.source)
            for _, cell in now
        ):
            return
        if mine is None and not now:
            return  # deleted in both
        line = now[0][1].line if now else 1
        chapter_text = "\n\n".join(self.text_of(cell) for _, cell in now)
        self._problem(
            edits,
            line,
            f"this cell was changed here and in {self.shown} since it was split: make "
            "them equal, or undo one\n"
            + _both(
                self.chapter.path.as_posix(),
                chapter_text if now else DELETED,
                self.shown,
                mine.source if mine is not None else DELETED,
            ),
        )

    def _compare_text(self, edits, mine, text_hash, number, cell):
        if self._tags_differ(cell, mine):
            self._problem(
                edits,
                cell.line,
                f"this cell's tags were changed in {self.shown}: change them in the "
                "chapter instead",
            )
        base, text = self.text_of(cell), mine.source
        if (
            split.trimmed(base) == split.trimmed(text)
            or split.fingerprint(text) == text_hash
        ):
            return
        if cell.kind == "code":
            edits.changed[number][self.backend] = split.trimmed(text)
            return
        if split.fingerprint(base) != text_hash:
            self._problem(
                edits,
                cell.line,
                f"the numbers in this cell have changed since {self.shown} was split, "
                "which was edited here: undo that, run python build.py notebooks, and "
                "edit again\n" + _both(str(self.chapter.path), base, self.shown, text),
            )
            return
        kept = len(base) - len(base.lstrip("\n")), len(base.rstrip("\n"))
        text = base[: kept[0]] + split.trimmed(text) + base[kept[1] :]
        source = self._carried(edits, cell, text)
        if source is not None:
            edits.changed[number][self.backend] = source

    def _carried(self, edits, cell, text):
        """The source of the prose `cell` that shows `text`, or None with a problem."""
        if not self._is_prose(edits, cell.line, text):
            return None
        try:
            return carry.carried(cell.source, text, self.render).strip("\n")
        except carry.NotCarried as error:
            line = cell.line + cell.source.count("\n", 0, error.offset)
            what = f"{error.generated!r} is" if error.generated else "its place is"
            self._problem(
                edits,
                line,
                f"an edit in {self.shown} cannot be carried back, because {what} "
                "generated from the chapter: make this edit here\n"
                + _both(str(self.chapter.path), self.text_of(cell), self.shown, text),
            )
        except (KeyError, AssertionError, AttributeError) as error:
            self._problem(edits, cell.line, self._unknown(error))
        return None

    def _unknown(self, error):
        return (
            f"an edit in {self.shown} names {error}, which the book does not define: "
            "make this edit in the chapter"
        )

    def _is_prose(self, edits, line, text):
        if "](attachment:" in text:
            self._problem(
                edits,
                line,
                f"{self.shown} has an image inside a cell: save it in chapters/img and "
                "show it by ![description](../../chapters/img/NAME)",
            )
            return False
        return True

    def _tags_differ(self, cell, mine):
        tags = mine.metadata.get("tags", [])
        return sorted(tags) != sorted(split.tags(cell))

    def _add_new(self, edits, of_notebook, of_chapter, moved):
        """Add the cells that were not split from the chapter."""
        known = {
            k: self.own[of_chapter[i]][0]
            for i, k in of_notebook.items()
            if i in of_chapter
        }
        taken = set(of_notebook.values())
        run = 0  # a new cell stands behind those that were new before it
        for k, cell in enumerate(self.cells):
            if k in taken or not cell.source.strip():
                continue
            before = [number for other, number in known.items() if other < k]
            after = [number for other, number in known.items() if other > k]
            first = max(before) + 1 if before else 0
            last = min(after) if after else len(self.chapter.lecture)
            if self._is_there(cell, first, last, set(of_chapter.values())):
                continue
            if k in moved:
                line = self.chapter.lecture[max(first, 1) - 1].line
                self._problem(
                    edits,
                    line,
                    f"a cell was moved behind this one in {self.shown}: move it in the "
                    "chapter, where its tags and references are",
                )
                continue
            new = self._new(edits, cell, first, last)
            if new is not None:
                run = _place(edits.inserted, new, run)

    def _is_there(self, cell, first, last, known):
        """Whether the chapter has gained the same cell there."""
        return any(
            place not in known
            and first <= number < last
            and own.kind == cell.cell_type
            and split.trimmed(self.text_of(own)) == split.trimmed(cell.source)
            for place, (number, own) in enumerate(self.own)
        )

    def _new(self, edits, cell, first, last):
        lines = [
            own.line for own in self.chapter.lecture[first - 1 if first else 0 :][:1]
        ]
        line = lines[0] if lines else 1
        tags = [t for t in cell.metadata.get("tags", []) if t != split.IGNORED]
        unknown = [t for t in tags if t not in chapter.TAGS and t not in IDS]
        text = split.trimmed(cell.source)
        if cell.cell_type == "markdown":
            text = text.replace(f"]({markdown.IMAGES}", "](")
        if cell.cell_type not in ("code", "markdown"):
            what = f"a cell of the kind {cell.cell_type!r}, which chapters do not have"
        elif unknown:
            what = f"a new cell with the unknown tag {unknown[0]!r}"
        elif not self._is_prose(edits, line, text):
            return None
        elif first > last:
            what = "a new cell between two that the chapter has in another order"
        else:
            if cell.cell_type == "markdown":
                try:
                    self.render(text)
                except (KeyError, AssertionError, AttributeError) as error:
                    self._problem(edits, line, self._unknown(error))
                    return None
            return New(cell.cell_type, text, tuple(tags), first, last, [self.backend])
        self._problem(edits, line, f"{self.shown} has {what}: change that")
        return None

    def _problem(self, edits, line, message):
        edits.problems.append(str(self.chapter.error(line, message)))


def _place(pending, new, run):
    """Put `new` among `pending`, from place `run` on, or join it to its equal there.

    Returns the place behind it. Notebooks that have the same new cell in the same place
    share it.
    """
    for place in range(run, len(pending)):
        other = pending[place]
        same = (other.kind, other.source, other.tags) == (
            new.kind,
            new.source,
            new.tags,
        )
        first, last = max(other.first, new.first), min(other.last, new.last)
        if same and first <= last and new.backends[0] not in other.backends:
            other.first, other.last = first, last
            other.backends += new.backends
            return place + 1
    place = run
    while place < len(pending) and pending[place].first < new.first:
        place += 1
    pending.insert(place, new)
    return place + 1


def _decided(ch, edits):
    """What `blocks.edited` is to do: new sources, and new cells by place."""
    changed = {n: next(iter(v.values())) for n, v in edits.changed.items()}
    inserted, reached = defaultdict(list), defaultdict(int)
    for new in edits.inserted:
        place = max([new.first, *(reached[b] for b in new.backends)])
        for backend in new.backends:
            reached[backend] = place
        # In a chapter whose code is the same for all, so is what is added to it.
        for_all = set(new.backends) == set(IDS) or ch.is_shared
        tags = [] if for_all else new.backends
        tags = [*dict.fromkeys([*tags, *new.tags])]
        inserted[place].append((new.kind, new.source, tags))
    return changed, dict(inserted)


def _check(book, plans):
    """Raise unless the chapters' new texts have the cells that they are to have."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "chapters").mkdir()
        for path in (book.root / "chapters").iterdir():
            if path.is_file():
                shutil.copy(path, folder / "chapters")
            else:
                os.symlink(path.resolve(), folder / "chapters" / path.name)
        for ch, text, _, _ in plans:
            (folder / ch.path).write_text(text, encoding="utf-8", newline="")
        new = Book(folder)
        for ch, _, changed, inserted in plans:
            wanted = []
            for number, cell in enumerate([*ch.lecture, None]):
                for kind, source, tags in inserted.get(number, ()):
                    wanted.append((kind, source, sorted(tags)))
                if cell and changed.get(number, cell.source) is not None:
                    source = changed.get(number, cell.source)
                    wanted.append((cell.kind, source, sorted(cell.tags)))
            cells = new.find(ch.name).lecture
            found = [(cell.kind, cell.source, sorted(cell.tags)) for cell in cells]
            for one, other in zip(wanted, found, strict=False):
                if one != other:
                    raise BookError(
                        f"{ch.path}: an edited cell would not stay one cell, so nothing "
                        "was changed: make this edit in the chapter\n" + one[1]
                    )
            if len(wanted) != len(found):
                raise BookError(
                    f"{ch.path}: the edits would not leave {len(wanted)} cells but "
                    f"{len(found)}, so nothing was changed: make them in the chapter"
                )


def _report(book, ch, changed, edits):
    """A line for each cell that is changed, with the notebooks that changed it."""
    lines = []
    for number, source in sorted(changed.items()):
        cell = ch.lecture[number]
        what = "deleted" if source is DELETED else "changed"
        for_whom = "" if len(cell.backends) > 1 else f" ({TITLES[cell.backends[0]]})"
        origin = ", ".join(_shown(book, ch, b) for b in edits.changed[number])
        lines.append(f"{ch.path}:{cell.line}: {what}{for_whom}, from {origin}")
    for new in edits.inserted:
        origin = ", ".join(_shown(book, ch, b) for b in new.backends)
        lines.append(f"{ch.path}: a new {new.kind} cell, from {origin}")
    return lines


def _shown(book, ch, backend):
    return split.notebook_path(book.root, ch, backend).relative_to(book.root).as_posix()


def _both(name, text, other_name, other):
    """Two versions of a cell, as a comparison."""
    versions = [(v or "(deleted)").splitlines() for v in (text, other)]
    return "\n".join(unified_diff(*versions, name, other_name, lineterm="", n=1))
