"""What the front page says of a chapter: its card, and how long its trainings took."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode

from builder.notebooks.edition import Edition
from d2lext.core.frameworks import TITLES

SHORT_S = 60  # nobody waits for these
KEY = "about"  # in the metadata of a chapter's page
# What `d2lext.core.training.report` prints when a training ends.
TRAINED = re.compile(
    r"^after (?P<what>\d+ epochs? of [\d,]+ [^,\n]+), (?P<seconds>\d+) s:$"
    r".*?^(?P<device>[^;\n]+); [^;\n]+; seed ",
    re.MULTILINE | re.DOTALL,
)


def of_chapter(editions: Sequence[Edition]) -> dict[str, Any]:
    """The card of a chapter, and the trainings that its `editions` have recorded."""
    chapter = editions[0].chapter
    # A shared chapter's outputs do not say in which framework they trained.
    own = [] if chapter.is_shared else editions
    found = {edition.backend: trainings(edition.notebook) for edition in own}
    return {
        "card": {name: list(value) for name, value in chapter.card.items()},
        "trainings": {backend: runs for backend, runs in found.items() if runs},
    }


def trainings(notebook: NotebookNode) -> list[list[Any]]:
    """What was trained, on which device, how often and in how many seconds in all."""
    seconds: Counter[tuple[str, str]] = Counter()
    times: Counter[tuple[str, str]] = Counter()
    for cell in notebook.cells:
        printed = "".join(output.get("text", "") for output in cell.get("outputs", []))
        for match in TRAINED.finditer(printed):
            key = match["what"], match["device"]
            seconds[key] += int(match["seconds"])
            times[key] += 1
    return [[*key, times[key], seconds[key]] for key in times]


def of_pages(pages: Mapping[str, NotebookNode | str]) -> dict[str, dict]:
    """What the front page says of each of the `pages`, in their order."""
    return {
        name: page.metadata.get(KEY, {})
        for name, page in pages.items()
        if isinstance(page, NotebookNode)
    }


def table(
    of: Mapping[str, Mapping[str, Any]],
) -> tuple[list[str], list[tuple[str, str, str, list[str]]]]:
    """The titles of frameworks that trained, and a row for each training and device.

    A row has the name of its page, what was trained, on what, and each framework's time,
    empty where it has none. What took less than `SHORT_S` everywhere is left out.
    """
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for name, about in of.items():
        for backend, runs in about.get("trainings", {}).items():
            for what, device, times, seconds in runs:
                often = f"{times} times {what}" if times > 1 else what
                found.setdefault((name, often, device), {})[backend] = seconds
    rows = {key: row for key, row in found.items() if max(row.values()) >= SHORT_S}
    columns = [b for b in TITLES if any(b in row for row in rows.values())]
    return [TITLES[b] for b in columns], [
        (*key, [duration(row[b]) if b in row else "" for b in columns])
        for key, row in rows.items()
    ]


def duration(seconds: int) -> str:
    """The time in the unit in which one says it."""
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
