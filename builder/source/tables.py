"""Tables in prose: what viewers would take for other cells, or for no table at all."""

import re
from collections.abc import Iterator

from markdown_it.rules_block.table import escapedSplit

from builder.source.prose import Prose

# Below a table's first row.
_DELIMITER = re.compile(r"\|?(\s*:?-+:?\s*\|)+(\s*:?-+:?)?\s*")
_STROKE = "write | in a cell as \\|, and in a formula as \\mid, \\vert or \\Vert"


def faults(prose: Prose) -> Iterator[tuple[int, str]]:
    """The faults of tables in `prose`, not inside of directives, with their lines."""
    columns = 0
    for place, token in enumerate(prose.tokens):
        line = prose.line + (token.map or [0])[0]
        if token.type == "table_open":
            columns = 0
        elif token.type == "tr_open":
            count = _count(prose.text[token.meta["starts"][0] :].partition("\n")[0])
            columns = columns or count
            if count > columns:
                yield (
                    line,
                    f"a row of {count} cells below {columns} headings: {_STROKE}",
                )
        elif token.type == "paragraph_open":
            for i, row in enumerate(prose.tokens[place + 1].content.split("\n")):
                if i and _DELIMITER.fullmatch(row):
                    yield (
                        line + i - 1,
                        f"a table has as many |--- as headings: {_STROKE}",
                    )
    for element in prose.elements:
        # Some viewers find formulas before cells, and take \| for two strokes.
        is_stroked = "|" in element.content and element.content not in element.written
        if element.kind == "formula" and is_stroked and "\n" not in element.content:
            yield element.line, f"not every viewer reads this formula alike: {_STROKE}"


def _count(row: str) -> int:
    """The number of cells in the line `row`."""
    cells = escapedSplit(row.strip())
    return len(cells) - (cells[0] == "") - (len(cells) > 1 and cells[-1] == "")
