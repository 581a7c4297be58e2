"""The cells of an answer: blank for students, solved for instructors.

A solution in prose becomes an answer that is graded by hand; so does an exercise without
a solution. Code cells, up to one with `expect:`, become one answer that nbgrader grades:
`%%capture` keeps what it prints, and a locked cell after it compares that with `expect:`,
line by line, ignoring white space. To tell students what to print, the expected lines
precede the answer, with values blanked out. Code without `expect:` is graded by hand.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence

import nbformat
from nbformat import NotebookNode

from builder.notebooks.edition import Edition
from builder.publishing.exercises import Exercise
from builder.source.chapter import Cell

POINTS = 1
TEXT_STUB = "YOUR ANSWER HERE"  # these two are nbgrader's own
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
NO_SOLUTION = "*This exercise has no model solution: it is graded by hand.*"
# Library warnings are not part of an answer, but would make nbgrader fail the test.
CAPTURE = "%%capture {name} --no-stderr"
PROMPT = "Make the next cell print exactly this, with results in place of …"
SHOWS = "# what the cell above prints, for nbgrader to check"
_RESULT = re.compile(r"True|False|(?<![\w.-])[-+]?\d[\d.,]*(?:e[-+]?\d+)?\b")

Pair = tuple[Cell, NotebookNode]  # the chapter's cell and the notebook's


class Answers:
    """Makes the answers of the notebook of `edition`, "student"'s or "instructor"'s."""

    def __init__(self, edition: Edition, kind: str) -> None:
        self._chapter, self._backend = edition.chapter, edition.backend
        self._for_students = kind == "student"
        self._ids: set[str] = set()  # used in the notebook so far

    def solved(
        self, exercise: Exercise | None, pairs: Sequence[Pair]
    ) -> list[NotebookNode]:
        """The cells that replace the solution `pairs`; BookError outside an exercise."""
        if exercise is None:
            raise self._chapter.error(
                pairs[0][0].line,
                "a solution must be below its exercise's number, such as `1. Show that "
                "…`, in a section `## Exercises`",
            )
        stem, cells = self._stem(exercise), []
        for answer in _divided(pairs, self._backend):
            cell, recorded = answer[0]
            if cell.kind == "markdown":
                cells.append(self._text(recorded.source, stem))
            else:
                cells += self._code(answer, stem)
        return cells

    def unsolved(self, exercise: Exercise) -> NotebookNode:
        """The cell to answer an exercise that has no solution."""
        return self._text(NO_SOLUTION, self._stem(exercise))

    def _text(self, solution: str, stem: str) -> NotebookNode:
        """A cell for an answer in words, graded by hand."""
        source = TEXT_STUB if self._for_students else solution
        cell = nbformat.v4.new_markdown_cell(source)
        return _graded(cell, self._unique(f"{stem}-text"), solution=True, grade=True)

    def _code(self, answer: Sequence[Pair], stem: str) -> list[NotebookNode]:
        """A cell for an answer in code and, if its output is known, one that tests it."""
        cell_id = self._unique(f"{stem}-code")
        cell = nbformat.v4.new_code_cell(CODE_STUB)
        if not self._for_students:
            sources = "\n\n".join(recorded.source for _, recorded in answer)
            cell.source = f"### BEGIN SOLUTION\n{sources}\n### END SOLUTION"
        expected = answer[-1][0].expect.get(self._backend)
        if expected is None:
            return [_graded(cell, cell_id, solution=True, grade=True)]
        test_id = self._unique(f"{stem}-test")
        # Unique, so that no answer passes because an earlier one was captured.
        name = "answer_" + test_id.partition("-exercise-")[2].replace("-test", "")
        name = name.replace("-", "_")
        cell.source = f"{CAPTURE.format(name=name)}\n{cell.source}"
        test = nbformat.v4.new_code_cell(f"{name}.show()  {SHOWS}")
        if not self._for_students:
            test.source += "\n" + _hidden_test(expected, name)
            for _, recorded in answer:
                test.outputs += copy.deepcopy(recorded.outputs)
        prompt = f"{PROMPT}\n\n```text\n{blanked(expected)}\n```"
        return [
            nbformat.v4.new_markdown_cell(prompt, id=f"{cell_id}-form"),
            _graded(cell, cell_id, solution=True, grade=False),
            _graded(test, test_id, solution=False, grade=True),
        ]

    def _stem(self, exercise: Exercise) -> str:
        return f"{self._chapter.stem}-exercise-{exercise.number}"

    def _unique(self, name: str) -> str:
        """`name`, with a number if an earlier answer to the exercise has it."""
        unique, count = name, 1
        while unique in self._ids:
            count += 1
            unique = f"{name}-{count}"
        self._ids.add(unique)
        return unique


def blanked(expected: str) -> str:
    """The lines of `expected` without results: labels before a colon, or first words."""

    def blank(line: str) -> str:
        label, colon, rest = line.partition(":")
        if not colon:
            label, _, rest = line.partition(" ")
            if not rest:
                label, rest = "", line
        space = "" if colon or not label else " "
        return f"{label}{colon}{space}{_RESULT.sub(_blank, rest)}"

    return "\n".join(map(blank, expected.strip().splitlines()))


def _blank(match: re.Match[str]) -> str:
    return "True/False" if match[0] in ("True", "False") else "…"


def _divided(pairs: Iterable[Pair], backend: str) -> Iterator[list[Pair]]:
    """The pairs of each answer: prose alone, code up to a cell with `expect:`."""
    answer: list[Pair] = []
    for cell, recorded in pairs:
        if cell.kind == "markdown" and answer:
            yield answer
            answer = []
        answer.append((cell, recorded))
        if cell.kind == "markdown" or backend in cell.expect:
            yield answer
            answer = []
    if answer:
        yield answer


def _hidden_test(expected: str, name: str) -> str:
    """Code that compares what an answer printed with what is `expected`."""
    lines = [" ".join(line.split()) for line in expected.strip().splitlines()]
    stated = "".join(f"    {line!r},\n" for line in lines)
    return (
        "### BEGIN HIDDEN TESTS\n"
        f"_texts = [{name}.stdout]\n"
        f'_texts += [o.data.get("text/plain", "") for o in {name}.outputs]\n'
        '_shown = [" ".join(x.split()) for x in "\\n".join(_texts).splitlines()]\n'
        f"_expected = [\n{stated}]\n"
        "assert [x for x in _shown if x] == _expected, (_shown, _expected)\n"
        "### END HIDDEN TESTS"
    )


def _graded(
    cell: NotebookNode, grade_id: str, *, solution: bool, grade: bool
) -> NotebookNode:
    """The cell with what nbgrader reads in its metadata."""
    cell.id = grade_id
    cell.metadata["deletable"] = False
    if not solution:
        cell.metadata["editable"] = False
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": grade_id,
        "cell_type": cell.cell_type,
        "solution": solution,
        "grade": grade,
        "locked": not solution,
        "task": False,
        **({"points": POINTS} if grade else {}),
    }
    return cell
