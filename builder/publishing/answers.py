"""The cells of an answer: blank for students, solved for instructors.

A solution in prose becomes an answer that is graded by hand; so does an exercise without
a solution. Code cells, up to one with `expect:`, become one answer that nbgrader grades:
`d2lext.core.grading` compares the values that it shows last with those of `expect:`. Two
locked cells are its bounds, so that students may answer in several cells. A cell before
them tells what to show, which is `expect:` with its results blanked out, and what counts.
Code without `expect:` is graded by hand.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence

import nbformat
from nbformat import NotebookNode

from builder.notebooks.edition import Edition
from builder.publishing.exercises import Exercise
from builder.source.chapter import Cell
from d2lext.core.values import DIGITS, VALUE, labelled, values

POINTS = 1
TEXT_STUB = "YOUR ANSWER HERE"  # these two are nbgrader's own
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
NO_SOLUTION = "*This exercise has no model solution: it is graded by hand.*"
# nbgrader replaces what it marks, so that no copy for students has it.
SECRET = "Solution: not to hand out."
FORM = """\
Print lines like these, with your results in place of …:

```text
{form}
```

Graded: the {what} in the last lines shown above *{end}*, in this order, and no \
others. {rules} do not matter. You may add cells."""
ANYHOW = (
    "Labels, spaces, figures, earlier lines and how you write a number "
    "(`1,000`, `1e3`, `np.float64(1000)`)"
)
WORDED = "Labels before a colon, capitals, punctuation, figures and earlier lines"
EXACT = f"Whole numbers must be exact, others agree to {DIGITS} digits."
WITHIN = "Numbers may differ by {tolerance}."
BEGIN = """\
from d2lext.core import grading

grading.begin("{name}")  # your answer goes below"""
END = """\
from d2lext.core import grading

grading.show("{name}")  # your answer goes above"""

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
                solution = f"*{SECRET}*\n\n{recorded.source}"
                cells.append(self._text(solution, stem))
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
        """A cell for an answer in code and, if its output is known, those around it."""
        cell_id = self._unique(f"{stem}-code")
        cell = nbformat.v4.new_code_cell(CODE_STUB)
        if not self._for_students:
            sources = "\n\n".join(recorded.source for _, recorded in answer)
            cell.source = f"### BEGIN SOLUTION\n# {SECRET}\n{sources}\n### END SOLUTION"
            for _, recorded in answer:
                cell.outputs += copy.deepcopy(recorded.outputs)
        author_s = answer[-1][0]
        expected = author_s.expect.get(self._backend)
        if expected is None:
            return [_graded(cell, cell_id, solution=True, grade=True)]
        test_id = self._unique(f"{stem}-test")
        name = "exercise " + test_id.partition("-exercise-")[2].replace("-test", "")
        begin = nbformat.v4.new_code_cell(BEGIN.format(name=name))
        end = nbformat.v4.new_code_cell(END.format(name=name))
        if not self._for_students:
            end.source += f"\n{_hidden_test(name, expected, author_s.tolerance)}"
        form = _form(name, expected, author_s.tolerance)
        return [
            nbformat.v4.new_markdown_cell(form, id=f"{cell_id}-form"),
            _graded(begin, f"{cell_id}-begin", solution=False, grade=False),
            _graded(cell, cell_id, solution=True, grade=False),
            _graded(end, test_id, solution=False, grade=True),
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
    """The lines of `expected` without results: their values or, if there are none, words.

    Labels stay, and with values lines of words alone, such as a table's head.
    """
    lines = labelled(expected.strip().splitlines())
    if _is_text(expected):
        return "\n".join(f"{label} …".strip() for label, _ in lines)
    return "\n".join(label + VALUE.sub(_blank, rest) for label, rest in lines)


def _is_text(expected: str) -> bool:
    """Whether words count, as there are no values but in labels."""
    return not any(values(rest) for _, rest in labelled(expected.strip().splitlines()))


def _blank(match: re.Match[str]) -> str:
    return "True/False" if match[0] in ("True", "False") else "…"


def _form(name: str, expected: str, tolerance: str) -> str:
    """What students read about the values to show as their answer called `name`."""
    end = f'grading.show("{name}")'
    if _is_text(expected):
        what, rules = "words", WORDED
    else:
        precision = WITHIN.format(tolerance=tolerance) if tolerance else EXACT
        what, rules = "values", f"{precision} {ANYHOW}"
    return FORM.format(form=blanked(expected), end=end, what=what, rules=rules)


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


def _hidden_test(name: str, expected: str, tolerance: str) -> str:
    """Code that compares what an answer shows with what is `expected`."""
    lines = "".join(f"    {line!r},\n" for line in expected.strip().splitlines())
    return (  # without a variable: the student may have one of that name
        "### BEGIN HIDDEN TESTS\n"
        f'grading.check("{name}", tolerance="{tolerance}", expected="\\n".join([\n'
        f"{lines}]))\n"
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
