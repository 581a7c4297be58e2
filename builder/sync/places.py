"""Where the cells go in a chapter that notebooks moved or added."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, takewhile

from builder.notebooks.markdown import as_in_chapter
from builder.notebooks.split import without_frameworks
from builder.notebooks.store import Content
from builder.source.chapter import Cell, Chapter
from builder.sync.edits import Edits
from d2lext.core.frameworks import IDS


@dataclass(eq=False)
class New:
    """A new cell, or the number of one that was moved, and the notebooks that have it."""

    content: Content | int
    notebooks: list[Edits]

    @property
    def backends(self) -> set[str]:
        """The frameworks of its notebooks."""
        return {edits.edition.backend for edits in self.notebooks}

    def cell(self, chapter: Chapter) -> Cell:
        """What a new cell becomes in its `chapter`."""
        assert not isinstance(self.content, int)
        kind, text, tags = self.content
        if kind == "markdown":
            text = as_in_chapter(text)
        # In a chapter whose code is for all frameworks, so is a new cell.
        for_all = chapter.is_shared or self.backends == {*IDS}
        named = {*tags} | (set() if for_all else self.backends)
        frameworks = [backend for backend in IDS if backend in named]
        if {*named} >= {*IDS}:
            frameworks = []
        return Cell(kind, text, 0, (*frameworks, *without_frameworks(tags)))


def moves(order: list[int], notebooks: list[Edits]) -> dict[str, list[int]]:
    """By path, the order of cells in each of the `notebooks` that moved any."""
    orders = {
        edits.path: [c for c in edits.order if isinstance(c, int) and c in order]
        for edits in notebooks
        if edits.is_moved
    }
    return {path: after for path, after in orders.items() if after != sorted(after)}


def moved(
    order: list[int], notebooks: list[Edits], lecture: tuple[Cell, ...]
) -> tuple[int, list[int | New]] | None:
    """The one cell that `notebooks` moved, and all cells in their new order.

    None if that is uncertain: if more than one was moved, or if readers of other
    notebooks could have it in several places. Of two cells that changed places, the one
    for fewer frameworks was moved.
    """
    orders = moves(order, notebooks).values()
    found: dict[int, list[int | New]] = {}
    for cell in order:
        others = [[c for c in after if c != cell] for after in orders]
        if all(cell in after for after in orders) and others == [*map(sorted, others)]:
            result = placed([c for c in order if c != cell], notebooks, lecture, cell)
            copies = [c for c in result if isinstance(c, New) and c.content == cell]
            if len(copies) == 1 and not _is_open(cell, copies[0], result, lecture):
                found[cell] = [cell if c is copies[0] else c for c in result]
    fewest = min((len(lecture[cell].backends) for cell in found), default=0)
    best = [pair for pair in found.items() if len(lecture[pair[0]].backends) == fewest]
    views = [
        [c for b in IDS for c in new if isinstance(c, int) and b in lecture[c].backends]
        for _, new in best
    ]
    return best[0] if best and all(view == views[0] for view in views) else None


def placed(
    order: list[int],
    notebooks: list[Edits],
    lecture: tuple[Cell, ...],
    moved: int | None = None,
) -> list[int | New]:
    """`order` with all New cells of notebooks, each right after its predecessor.

    Equal ones are merged where no reader sees a difference. The cell `moved` is New, too.
    """
    result: list[int | New] = [*order]
    for edits in notebooks:
        place = 0
        for cell in edits.order:
            if isinstance(cell, int) and cell in result:
                place = result.index(cell) + 1
            elif not isinstance(cell, int) or (cell == moved and edits.is_moved):
                result.insert(place, New(cell, [edits]))
                place += 1
    for pair in combinations([cell for cell in result if isinstance(cell, New)], 2):
        one, other = pair
        if one in result and other in result and one.content == other.content:
            between = result[result.index(one) + 1 : result.index(other)]
            readers = _readers(between, lecture)
            for gone, kept in pair, pair[::-1]:
                if not gone.backends & (readers | kept.backends):
                    kept.notebooks += gone.notebooks
                    result.remove(gone)
                    break
    return result


def _is_open(
    cell: int, copy: New, cells: list[int | New], lecture: tuple[Cell, ...]
) -> bool:
    """Whether readers of other notebooks could have the `copy` of `cell` later on."""
    after = cells[cells.index(copy) + 1 :]
    passed = takewhile(lambda c: not copy.backends & _readers([c], lecture), after)
    others = {*lecture[cell].backends} - copy.backends
    return bool(others & _readers(passed, lecture))


def _readers(cells: Iterable[int | New], lecture: tuple[Cell, ...]) -> set[str]:
    """The frameworks whose notebooks have any of the `cells`."""
    found: set[str] = set()
    for cell in cells:
        if isinstance(cell, New):
            found |= cell.backends
        elif not lecture[cell].is_for_lectures:
            found |= {*lecture[cell].backends}
    return found
