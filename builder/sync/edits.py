"""What a notebook changes in the chapter that it was split from.

It lists its cells as they were split. So its cells and those of the chapter are both
compared with that: what only the notebook changed is an edit, what only the chapter
changed stays, and what both changed is for the author to decide.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches, unified_diff
from itertools import takewhile

from builder.errors import BookError
from builder.notebooks import colab, markdown, split, store
from builder.notebooks.edition import Edition
from builder.sync import carry
from d2lext.core.frameworks import IDS

TEXT, TAGS = "text", "tags"
DELETED = None


@dataclass(eq=False)
class New:
    """A cell that notebooks have and the chapter has not."""

    kind: str
    source: str
    tags: tuple
    backends: list


class Edits:
    """The edits in one notebook; cells of the chapter go by their number in it."""

    def __init__(self, book, ch, backend):
        path = Edition(book, ch, backend).path
        self.book, self.chapter, self.backend = book, ch, backend
        self.shown = path.relative_to(book.root).as_posix()
        self.changed = {}  # (number, TEXT or TAGS) -> the new one, or DELETED
        self.cells = []  # numbers and New, in the notebook's order
        self.was = []  # numbers, in the order that they were split in
        self.problems = []
        notebook = store.read(path)
        # A cell that was emptied was deleted.
        mine = [cell for cell in colab.written(notebook) if cell.source.strip()]
        own = {
            number: cell
            for number, cell in enumerate(ch.lecture)
            if backend in cell.backends and not cell.is_for_lectures
        }
        now = [
            (c.kind, self._text(c), sorted(split.without_frameworks(c.tags)))
            for c in own.values()
        ]
        have = [
            (c.cell_type, store.trimmed(c.source), sorted(store.own_tags(c)))
            for c in mine
        ]
        base = notebook.metadata.get(store.KEY, {})
        if now == have:
            return
        if not base.get("cells"):
            raise BookError(
                f"{self.shown} does not say what it was split from, so its edits cannot "
                "be told from the chapter's: keep a copy, write it with python build.py "
                f"notebooks {ch.name}, and edit that"
            )
        self._compare(base, mine, own)

    def render(self, source):
        """The plain Markdown of a source, as a Traced."""
        return markdown.traced(source, self.chapter, self.book)

    def shows(self, cell):
        """What a cell of the chapter is in a notebook."""
        is_prose = cell.kind == "markdown"
        return self.render(cell.source).text if is_prose else cell.source

    def _text(self, cell):
        return store.trimmed(self.shows(cell))

    def _compare(self, base, mine, own):
        """Find each cell that was split on both sides, then what became of it."""
        tags = base.get("tags")
        base = [entry.split() for entry in base["cells"]]
        here = _in_chapter(base, own)
        there = self._in_notebook(base, mine)
        for i in here.keys() & there.keys():
            if own[here[i]].kind != mine[there[i]].cell_type:
                del there[i]  # made code, or prose: another cell
        same = set(here)
        self._find_replaced(here, {i: mine[k] for i, k in there.items()}, base, own)
        for i, (cell_id, text_hash) in enumerate(base):
            number, k = here.get(i), there.get(i)
            old_tags = None if tags is None else tags.get(cell_id, "").split()
            if number is None:
                if k is not None and not _is(text_hash, mine[k].source):
                    self._conflict(1, DELETED, mine[k].source)
            elif k is not None:
                self._compare_text(number, own[number], mine[k], text_hash)
                self._compare_tags(number, own[number], mine[k], old_tags)
            elif i in same and old_tags in (
                None,
                split.without_frameworks(own[number].tags),
            ):
                self.changed |= {(number, TEXT): DELETED, (number, TAGS): DELETED}
            else:
                self._conflict(own[number].line, self.shows(own[number]), DELETED)
        self.was = [here[i] for i in range(len(base)) if i in here]
        places, line = {k: i for i, k in there.items()}, 1
        for k, cell in enumerate(mine):
            if k not in places:
                self._add_new(cell, line)
            elif places[k] in here:
                self.cells.append(here[places[k]])
                line = own[self.cells[-1]].line

    def _in_notebook(self, base, mine):
        """By place in `base`, that in the notebook: by its id, else by its text."""
        ids, texts = zip(*base, strict=True)
        have = [cell.get("id") or cell.metadata.get("id") for cell in mine]
        if not set(ids) & set(have):
            raise BookError(
                f"{self.shown}: its cells have lost their ids, so what was edited cannot "
                "be told: make the edits again in JupyterLab or VS Code, which keep them"
            )
        found = _aligned(ids, have)
        # A cell that was cut and pasted has another id.
        rest = [k for k in range(len(mine)) if k not in found.values()]
        lost = [i for i in range(len(base)) if i not in found]
        again = [store.fingerprint(mine[k].source) for k in rest]
        pasted = _aligned([texts[i] for i in lost], again)
        return found | {lost[i]: rest[k] for i, k in pasted.items()}

    def _find_replaced(self, here, there, base, own):
        """Complete `here`: what the chapter has in a cell's place is that cell, changed."""
        last, taken = -1, set(here.values())
        for i in range(len(base)):
            if i not in here:
                behind = [number for number in own if number > last]
                free = list(takewhile(lambda number: number not in taken, behind))
                kinds = [there[i].cell_type] if i in there else ["code", "markdown"]
                texts = {self._text(own[n]): n for n in free if own[n].kind in kinds}
                text = there[i].source if i in there else ""
                for match in get_close_matches(text, texts, 1, 0):
                    here[i] = texts[match]
                    taken.add(here[i])
            last = here.get(i, last)

    def _compare_text(self, number, cell, mine, text_hash):
        base, text = self.shows(cell), store.trimmed(mine.source)
        if store.trimmed(base) == text or _is(text_hash, mine.source):
            return
        if store.fingerprint(base) != text_hash:
            self._conflict(cell.line, base, mine.source)
        elif cell.kind == "code":
            self.changed[number, TEXT] = text
        elif self._has_no_attachment(cell.line, text):
            lead, tail = len(base) - len(base.lstrip("\n")), len(base.rstrip("\n"))
            self._carry(number, cell, base[:lead] + text + base[tail:])

    def _compare_tags(self, number, cell, mine, base):
        now, tags = split.without_frameworks(cell.tags), store.own_tags(mine)
        if sorted(tags) in (sorted(now), base and sorted(base)):
            return
        if base is None or sorted(base) != sorted(now):
            self._conflict(cell.line, f"tags: {now}", f"tags: {tags}")
            return
        kept = [tag for tag in cell.tags if tag in IDS or tag in tags]
        self.changed[number, TAGS] = tuple(dict.fromkeys([*kept, *tags]))

    def _carry(self, number, cell, text):
        """Change the source of the prose `cell` so that it shows `text`."""
        try:
            source = carry.carried(cell.source, text, self.render)
            self.changed[number, TEXT] = source.strip("\n")
        except carry.NotCarried as error:
            what = f"{error.generated!r} is" if error.generated else "its place is"
            self._problem(
                cell.line + cell.source.count("\n", 0, error.offset),
                f"an edit in {self.shown} cannot be carried back, because {what} "
                "generated from the chapter: make this edit here\n"
                + both(self.chapter.path, self.shows(cell), self.shown, text),
            )
        except (KeyError, AssertionError, AttributeError) as error:
            self._problem(
                cell.line,
                f"an edit in {self.shown} names {error}, which the book does not define: "
                "make this edit in the chapter",
            )

    def _add_new(self, cell, line):
        text = store.trimmed(cell.source)
        if cell.cell_type == "markdown":
            text = text.replace(f"]({markdown.IMAGES}", "](")
            self._has_no_attachment(line, text)
        elif cell.cell_type != "code":
            self._problem(
                line,
                f"{self.shown} has a cell of the kind {cell.cell_type!r} behind this "
                "one: make it code or Markdown",
            )
        tags = tuple(store.own_tags(cell))
        self.cells.append(New(cell.cell_type, text, tags, [self.backend]))

    def _has_no_attachment(self, line, text):
        if found := "](attachment:" in text:
            self._problem(
                line,
                f"{self.shown} has an image inside a cell: save it in chapters/img and "
                "show it by ![description](../../chapters/img/NAME)",
            )
        return not found

    def _conflict(self, line, here, there):
        self._problem(
            line,
            f"this cell was changed here and in {self.shown} since it was split: make "
            "them equal, or undo one\n"
            + both(self.chapter.path, here, self.shown, there),
        )

    def _problem(self, line, message):
        self.problems.append(str(self.chapter.error(line, message)))


def both(name, text, other_name, other):
    """Two versions of a cell, as a comparison."""
    versions = [(v or "(deleted)").splitlines() for v in (text, other)]
    names = str(name), str(other_name)
    return "\n".join(unified_diff(*versions, *names, lineterm="", n=1))


def _is(text_hash, text):
    return text_hash in map(store.fingerprint, (text, store.trimmed(text)))


def _in_chapter(base, own):
    """By place in `base`, the number of the cell with the same source."""
    sources = [cell.source for cell in own.values()]
    was = [
        next((s for s in sources if store.fingerprint(f"{i} {s}") == cell_id), i)
        for i, (cell_id, _) in enumerate(base)
    ]
    return {i: list(own)[j] for i, j in _aligned(was, sources).items()}


def _aligned(old, new):
    """By place in `old`, the place in `new` of the same: in order first, then anywhere."""
    blocks = SequenceMatcher(None, old, new, False).get_matching_blocks()
    found = {block.a + n: block.b + n for block in blocks for n in range(block.size)}
    for i, item in enumerate(old):
        free = [j for j, x in enumerate(new) if x == item and j not in found.values()]
        if i not in found and free:
            found[i] = free[0]
    return found
