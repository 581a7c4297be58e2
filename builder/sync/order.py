"""One order of a chapter's cells, from the orders that it and its notebooks have them in.

Each side has moved some cells since the notebooks were split, and says where these go;
where the others go, it leaves to the rest. As few cells as possible count as moved, of
those for several frameworks above all: what changes places with cells of one framework
alone moves in that framework's notebook, and the other notebooks stay.

A cell goes right behind the one that it follows. A cell for all frameworks does not go
between cells for some, which are tabs, but behind them, unless its place is there.
"""

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, pairwise


@dataclass
class Side:
    """A chapter's or a notebook's cells, in its order and in those they were split in."""

    name: str
    cells: list
    was: list  # of lists, one for each notebook
    moved: set = field(default_factory=set)

    def find_moved(self, chapter_cells, frameworks):
        """Set what this side has moved: nothing if it has its cells as the chapter has.

        `frameworks(cell)` is how many frameworks a cell is for.
        """
        for was in self.was:
            after = [cell for cell in self.cells if cell in was]
            if self.cells is chapter_cells or after != _only(chapter_cells, after):
                self.moved |= moved(_only(was, after), after, frameworks)

    def wants(self, moved_by_any):
        """The pairs (earlier, later) that this side asks for."""
        pairs = list(pairwise(_without(self.cells, moved_by_any - self.moved)))
        ranks = [{cell: n for n, cell in enumerate(was)} for was in self.was]
        if self.moved:
            pairs += [
                (a, b)
                for a, b in combinations(self.cells, 2)
                if any(a in rank and b in rank and rank[a] > rank[b] for rank in ranks)
            ]
        return pairs


class Disagreement(Exception):
    """Two sides that cannot both have the order that they want; `cell` is one of it."""

    def __init__(self, sides, cell):
        super().__init__(*(side.name for side in sides))
        self.sides, self.cell = sides, cell


def moved(before, after, frameworks):
    """The cells that have moved: the others are in the same order in both lists."""
    rank = {cell: n for n, cell in enumerate(before)}
    chains = [(0, [], [])]  # the heaviest that end with each cell; of equals, the first
    for cell in after:
        weight, ranks, chain = max(
            (c for c in chains if not c[1] or -c[1][-1] < rank[cell]),
            key=lambda c: c[:2],
        )
        # More than all cells for fewer frameworks together.
        weight += (len(before) + 1) ** (frameworks(cell) - 1)
        chains.append((weight, [*ranks, -rank[cell]], [*chain, cell]))
    return set(after) - set(max(chains, key=lambda c: c[:2])[2])


def graph(sides):
    """For each cell those that come before it; raises Disagreement."""
    moved_by_any = set().union(*(side.moved for side in sides))
    wanted = {}
    for side in sides:
        for pair in side.wants(moved_by_any):
            wanted.setdefault(pair, side)
    result = {cell: set() for side in sides for cell in side.cells}
    for earlier, later in wanted:
        result[later].add(earlier)
    try:
        TopologicalSorter(result).prepare()
    except CycleError as error:
        cycle = error.args[1]
        # Those that moved something come first.
        sides = {side.name: side for side in map(wanted.get, pairwise(cycle))}
        sides = sorted(sides.values(), key=lambda side: not side.moved & set(cycle))
        cell = next((cell for cell in cycle if cell in moved_by_any), cycle[0])
        raise Disagreement(sides[:2], cell) from error
    return result


def merged(sides, is_tab):
    """All cells of the `sides`, the chapter's first, in one order; raises Disagreement.

    `is_tab(cell)` says whether a cell is for some of the frameworks.
    """
    before = graph(sides)
    fixed = _without(sides[0].cells, set().union(*(side.moved for side in sides)))
    loose = _without(before, set(fixed))  # in the order of the sides
    result = []
    while fixed or loose:
        ready = [cell for cell in loose if before[cell] <= set(result)]
        parts = bool(result and fixed and is_tab(result[-1]) and is_tab(fixed[0]))
        fits = [cell for cell in ready if is_tab(cell) or not parts]
        if not fits and fixed and before[fixed[0]] <= set(result):
            fits = fixed
        result.append((fits or ready)[0])
        fixed, loose = (_without(cells, result[-1:]) for cells in (fixed, loose))
    return result


def _only(cells, others):
    return [cell for cell in cells if cell in others]


def _without(cells, others):
    return [cell for cell in cells if cell not in others]
