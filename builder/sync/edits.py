"""What was edited in a notebook, compared with the chapter that it was split from."""

from difflib import SequenceMatcher

from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import colab, markdown, split, store
from builder.notebooks.edition import Edition
from builder.notebooks.store import Content, content, contents, own_tags, trimmed
from builder.source.reader import parse
from builder.sync import merge
from d2lext.core.frameworks import IDS

TEXT, TAGS, MOVED = "changed", "tags", "moved"  # what was done to a cell
DELETED = None


class Edits:
    """The edits in the notebook of `edition`; cells are numbered as in `old`.

    `old` is the chapter that the notebook was split from. `changed` has the new texts and
    tags of cells, `order` all cells in the notebook's order: numbers, and the contents of
    new ones. `problems` are edits that cannot be carried back, with a line of `old`.
    """

    def __init__(self, edition: Edition) -> None:
        self.edition, self.path = edition, edition.shown_path
        self.changed: dict[tuple[int, str], str | tuple[str, ...] | None] = {}
        self.order: list[int | Content] = []
        self.is_moved = False
        self.problems: list[tuple[int, str]] = []
        self.old = edition.chapter
        notebook = store.read(edition.file)
        if notebook is None or not store.differs(notebook):
            return
        self._now = contents(split.cells(edition.book, self.old, edition.backend))
        cells = [cell for cell in colab.written(notebook) if content(cell)]
        if contents(cells) == self._now:
            return
        base = store.split_from(notebook)
        if base is None:
            raise self._unknown_origin()
        self.old = parse("\n".join(base.chapter), self.old.path)
        numbers = [
            number
            for number, cell in enumerate(self.old.lecture)
            if edition.backend in cell.backends and not cell.is_for_lectures
        ]
        if len(numbers) != len(base.cells):
            raise self._unknown_origin()
        pairs = zip(numbers, base.cells, strict=True)
        self._base = {number: cell for number, cell in pairs if content(cell)}
        self._compare(cells)

    def _unknown_origin(self) -> BookError:
        return BookError(
            f"{self.path} does not say what it was split from, so its edits cannot be "
            "told from the chapter's: move it away, write it with python build.py "
            f"notebooks {self.old.name}, and repeat the edits there"
        )

    def _compare(self, cells: list[NotebookNode]) -> None:
        line, last, known = 1, None, contents(self._base.values())
        places: dict[int, int] = {}  # of cells, in the current chapter
        mine = contents(cells)
        for place, (number, cell) in enumerate(
            zip(self._numbers(cells), cells, strict=True)
        ):
            own = mine[place]
            self._check(cell, line)
            # Not an edit if the chapter was changed, or added to, in the same way.
            is_there = own not in known and _is_beside_the_same(place, mine, self._now)
            if number is not None:
                line, last = self.old.lecture[number].line, (number, place)
                self.order.append(number)
                if not is_there:
                    self._compare_cell(number, cell)
                    [own] = contents([self._base[number]])
                if own in self._now:
                    places[number] = self._now.index(own)
            elif not is_there:
                self.order.append(self._with_frameworks(own, last, mine, place))
        order = [number for number in self.order if isinstance(number, int)]
        for number in self._base.keys() - {*order}:
            self.changed |= {(number, TEXT): DELETED, (number, TAGS): DELETED}
        # Nor if the cell was moved to the same place there.
        here = sorted(places, key=places.__getitem__)
        moved = {cell for _, cell in misplaced(order)}
        is_there = here == [*places] != sorted(here) and moved <= {*places}
        self.is_moved = order != sorted(order) and not is_there

    def _with_frameworks(
        self,
        new: Content,
        last: tuple[int, int] | None,
        mine: list[Content],
        place: int,
    ) -> Content:
        """The `new` cell at `place`, with the frameworks of one that it was split off.

        That is the `last` cell of the chapter before it, with that cell's own place.
        """
        if last is None or (last[0], TEXT) not in self.changed:
            return new
        number, first = last
        whole = "".join(self._base[number].source.split())
        parts = ["".join(text.split()) for _, text, _ in mine[first:]]
        ends = range(place - first + 1, len(parts) + 1)
        if not any("".join(parts[:end]) == whole for end in ends):
            return new
        kind, text, tags = new
        return kind, text, (*self.old.lecture[number].backends, *tags)

    def _numbers(self, cells: list[NotebookNode]) -> list[int | None]:
        """The number of each of the `cells`, by its id or its text; None if it is new."""
        lost = {cell.id: number for number, cell in self._base.items()}
        ids = [store.cell_id(cell) for cell in cells]
        if not {*ids} & {*lost}:
            raise BookError(
                f"{self.path}: its cells have lost their ids, so its edits cannot be "
                "found: repeat them in JupyterLab or VS Code, which keep the ids"
            )
        numbers = [lost.pop(cell_id, None) for cell_id in ids]
        for place, cell in enumerate(cells):
            number = numbers[place]
            if number is not None and self._base[number].cell_type != cell.cell_type:
                numbers[place] = None  # from code to prose or back: a new cell
            if number is None:  # for instance, cut and pasted
                for cell_id, n in lost.items():
                    if content(self._base[n]) == content(cell):
                        numbers[place] = lost.pop(cell_id)
                        break
        return numbers

    def _compare_cell(self, number: int, cell: NotebookNode) -> None:
        old, base, tags = self.old.lecture[number], self._base[number], own_tags(cell)
        before, text = trimmed(base.source), trimmed(cell.source)
        try:
            if text != before:
                source = text
                if old.kind == "markdown":
                    source = merge.unrendered(old.source, before, text, self._render)
                self.changed[number, TEXT] = source
        except merge.Conflict as error:
            self._refuse(old.line, error.message(self.old.path, self.path))
        except merge.Generated as error:
            self._refuse(
                old.line + error.line,
                f"an edit in {self.path} changes text that is generated from the chapter: "
                "make this edit here\n"
                + merge.both(self.old.path, before, self.path, text),
            )
        except KeyError as error:
            self._refuse(
                old.line,
                f"an edit in {self.path} names {error}, which the book does not define: "
                "correct the name, or make this edit here",
            )
        if sorted(tags) != sorted(own_tags(base)):
            kept = [tag for tag in old.tags if tag in IDS or tag in tags]
            self.changed[number, TAGS] = tuple(dict.fromkeys([*kept, *tags]))

    def _render(self, source: str) -> str:
        return markdown.plain(source, self.old, self.edition.book, self.edition.backend)

    def _check(self, cell: NotebookNode, line: int) -> None:
        if cell.cell_type not in ("code", "markdown"):
            self._refuse(
                line,
                f"{self.path} has a cell of the kind {cell.cell_type!r} after this one: "
                "make it code or Markdown",
            )
        elif cell.cell_type == "markdown" and "](attachment:" in cell.source:
            self._refuse(
                line,
                f"{self.path} has an image inside a cell: save it in chapters/img and "
                "show it with ![description](../../chapters/img/NAME)",
            )

    def _refuse(self, line: int, message: str) -> None:
        self.problems.append((line, message))


def _is_beside_the_same(place: int, mine: list[Content], others: list[Content]) -> bool:
    """Whether a cell of `mine` is in `others`, after or before the same cell as here."""
    before, after = [None, *mine[:place]][-1], [*mine[place + 1 :], None][0]
    return any(
        found == mine[place]
        and (before == [None, *others[:i]][-1] or after == [*others[i + 1 :], None][0])
        for i, found in enumerate(others)
    )


def misplaced(after: list[int]) -> list[tuple[int | None, int]]:
    """The cells that were moved to get the order `after`, each with the one before it."""
    blocks = SequenceMatcher(None, sorted(after), after, False).get_matching_blocks()
    stay = {cell for block in blocks for cell in after[block.b : block.b + block.size]}
    pairs = zip([None, *after], after, strict=False)
    return [(before, cell) for before, cell in pairs if cell not in stay]
