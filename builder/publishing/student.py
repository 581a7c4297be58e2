"""The editions that a teacher hands out and keeps: notebooks for students and instructor.

Authors write nothing for it. A solution in prose becomes an answer that is graded by
hand; so does an exercise that has no solution. Solutions in code, up to one that says
`expect:`, become one answer that nbgrader grades itself: `%%capture` keeps what it
prints, and a locked cell after it compares that with `expect:`, line by line, white
space aside. So that a student knows what to print, the lines stand before the answer,
values blanked out. Code after which nothing is expected is graded by hand.

The instructor's edition is the source of an nbgrader assignment; the students' is what
`nbgrader generate_assignment` makes of it, with the outputs that are no solution's.
"""

import copy
import re
from itertools import groupby

import nbformat

from builder import files
from builder.notebooks import colab, markdown, store
from builder.notebooks.edition import editions
from builder.publishing import exercises
from builder.source import repository
from d2lext.core import frameworks

POINTS = 1
TEXT_STUB = "YOUR ANSWER HERE"  # these two as nbgrader has them
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
NO_SOLUTION = "*There is no model solution of this exercise: it is graded by hand.*"
# What libraries warn of is no answer, and nbgrader takes it for a failed test.
CAPTURE = "%%capture {name} --no-stderr"
PROMPT = "Let the next cell print this and nothing else, with results in place of …"
KINDS = {
    "student": f"**To hand in.** Answer where a cell says *{TEXT_STUB}* or *YOUR CODE "
    "HERE*.",
    "instructor": "**With solutions, not to hand out.** `nbgrader generate_assignment` "
    "takes them out, and the hidden tests with them.",
}
NEEDED = (
    "The code needs the package `d2lext` with {needed}. {where} run "
    "`python build.py {setup}`, and choose the environment `.venv` there as this "
    "notebook's kernel; or start it with `.venv/bin/jupyter lab` in the folder where you "
    "have put this notebook, which is not the book's own."
)
# In the course's folder: a grader waits 30 s for a cell, and training takes longer.
NBGRADER = '''"""For nbgrader, in the folder of the course."""

import os

c = get_config()  # noqa: F821  nbgrader defines it
c.ExecutePreprocessor.timeout = 1200  # seconds for a cell
os.environ.setdefault("D2LEXT_FAST", "1")  # training is cut to a few steps
'''
_SHOWN = re.compile(r"\]\(img/([^)\s]+)")
_RESULT = re.compile(r"True|False|(?<![\w.-])[-+]?\d[\d.,]*(?:e[-+]?\d+)?\b")


def build(book, out, names):
    """Write both editions for the backends `names` below `out`; return their folders."""
    written = {
        out / kind / name: {
            f"{edition.chapter.stem}.ipynb": notebook(edition, kind)
            for edition in editions(book, backends=[name])
        }
        for kind in KINDS
        for name in names
    }
    # Only now: what fails leaves all as it was.
    for folder, notebooks in written.items():
        for name, content in notebooks.items():
            files.write(folder / name, nbformat.writes(content) + "\n")
        for path in set(folder.glob("*.ipynb")) - {folder / name for name in notebooks}:
            path.unlink()  # of a chapter that is no more
        _copy_images(book.root / "chapters" / "img", folder / "img", notebooks.values())
    files.write(out / "instructor" / "nbgrader_config.py", NBGRADER)
    return list(written)


def notebook(edition, kind):
    """The notebook of `edition` for its `kind` of readers, "student" or "instructor"."""
    chapter, backend = edition.chapter, edition.backend
    cells, ids = [_opening(edition, kind)], set()
    for exercise, run in groupby(
        exercises.divided(edition.pairs()), lambda found: found[0]
    ):
        is_solved = False
        for solves, own in groupby(run, lambda found: "solution" in found[1].tags):
            own = [(cell, shown) for _, cell, shown in own]
            if not solves:
                cells += [_beside(copy.deepcopy(shown)) for _, shown in own]
                continue
            is_solved = True
            for answered in _answers(own, backend):
                cells += _answer(answered, edition, exercise, kind, ids)
        if exercise and not is_solved:
            stem = f"{chapter.stem}-exercise-{exercise.number}"
            cells.append(_text_answer(NO_SOLUTION, stem, kind, ids))
    metadata = copy.deepcopy(edition.notebook.metadata)
    metadata[store.KEY] = {
        "generated": metadata[store.KEY]["generated"],
        "backend": backend,
        "edition": kind,
    }
    result = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    return colab.with_cell(result, edition.book.root, edition.backends)


def _copy_images(source, target, notebooks):
    """Have those images of the folder `source` that `notebooks` show in `target`."""
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    names = set(_SHOWN.findall("\n".join(prose)))
    for name in names:
        files.write(target / name, (source / name).read_bytes())
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in names:
            path.unlink()


def blanked(expected):
    """The lines of `expected` without results: labels before a colon, or first words."""

    def blank(line):
        label, colon, rest = line.partition(":")
        if not colon:
            label, _, rest = line.partition(" ")
            if not rest:
                label, rest = "", line
        space = "" if colon or not label else " "
        return f"{label}{colon}{space}{_RESULT.sub(_blank, rest)}"

    return "\n".join(map(blank, expected.strip().splitlines()))


def _blank(match):
    return "True/False" if match[0] in ("True", "False") else "…"


def _opening(edition, kind):
    """The cell that says whom this notebook is for, and how its code comes to run."""
    needed = frameworks.TITLES[edition.backend]
    setup = f"setup --backend {edition.backend}"
    if edition.chapter.is_shared:
        needed, setup = "all four frameworks", "setup"
    where = "In the book's folder"
    if source := repository.of_book(edition.book.root):
        where = f"In a clone of [the book]({source.address})"
    text = NEEDED.format(needed=needed, where=where, setup=setup)
    return nbformat.v4.new_markdown_cell(f"{KINDS[kind]}\n\n{text}", id="edition")


def _beside(cell):
    """The cell with images taken from the folder that lies beside the notebook."""
    if cell.cell_type == "markdown":
        cell.source = cell.source.replace(f"]({markdown.IMAGES}img/", "](img/")
    return cell


def _answers(run, backend):
    """The pairs of each answer: prose by itself, code up to what it must show."""
    answer = []
    for cell, shown in run:
        if cell.kind == "markdown" and answer:
            yield answer
            answer = []
        answer.append((cell, shown))
        if cell.kind == "markdown" or backend in cell.expect:
            yield answer
            answer = []
    if answer:
        yield answer


def _answer(answered, edition, exercise, kind, ids):
    """The cells of one answer; `ids` are those that the notebook has already."""
    chapter, backend = edition.chapter, edition.backend
    first, last = answered[0][0], answered[-1][0]
    if exercise is None:
        raise chapter.error(
            first.line,
            "a solution stands below the number of its exercise, such as `1. Show that …`, "
            "in a section `## Exercises`",
        )
    stem = f"{chapter.stem}-exercise-{exercise.number}"
    if first.kind == "markdown":
        solution = _beside(copy.deepcopy(answered[0][1])).source
        return [_text_answer(solution, stem, kind, ids)]
    cell_id = _unique(f"{stem}-code", ids)
    cell = nbformat.v4.new_code_cell(CODE_STUB)
    if kind == "instructor":
        sources = "\n\n".join(shown.source for _, shown in answered)
        cell.source = f"### BEGIN SOLUTION\n{sources}\n### END SOLUTION"
    expected = last.expect.get(backend)
    if expected is None:
        return [_graded(cell, cell_id, solution=True, grade=True)]
    test_id = _unique(f"{stem}-test", ids)
    # A name of its own: no answer can pass for one that was captured before.
    name = "answer_" + test_id.partition("-exercise-")[2].replace("-test", "")
    name = name.replace("-", "_")
    cell.source = f"{CAPTURE.format(name=name)}\n{cell.source}"
    test = nbformat.v4.new_code_cell(_test(expected, name, kind))
    if kind == "instructor":
        test.outputs = [
            o for _, shown in answered for o in copy.deepcopy(shown.outputs)
        ]
    prompt = f"{PROMPT}\n\n```text\n{blanked(expected)}\n```"
    return [
        nbformat.v4.new_markdown_cell(prompt, id=f"{cell_id}-form"),
        _graded(cell, cell_id, solution=True, grade=False),
        _graded(test, test_id, solution=False, grade=True),
    ]


def _text_answer(solution, stem, kind, ids):
    """The cell of an answer in words, which a person grades."""
    source = solution if kind == "instructor" else TEXT_STUB
    cell = nbformat.v4.new_markdown_cell(source)
    return _graded(cell, _unique(f"{stem}-text", ids), solution=True, grade=True)


def _test(expected, name, kind):
    """The source of the cell that shows an answer and, for nbgrader, compares it."""
    lines = [" ".join(line.split()) for line in expected.strip().splitlines()]
    visible = f"{name}.show()  # what the cell above prints, for nbgrader to check"
    if kind == "student":
        return visible
    stated = "".join(f"    {line!r},\n" for line in lines)
    return (
        f"{visible}\n"
        "### BEGIN HIDDEN TESTS\n"
        f"_texts = [{name}.stdout]\n"
        f'_texts += [o.data.get("text/plain", "") for o in {name}.outputs]\n'
        '_shown = [" ".join(x.split()) for x in "\\n".join(_texts).splitlines()]\n'
        f"_expected = [\n{stated}]\n"
        "assert [x for x in _shown if x] == _expected, (_shown, _expected)\n"
        "### END HIDDEN TESTS"
    )


def _graded(cell, grade_id, *, solution, grade):
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


def _unique(name, ids):
    """`name`, or with a number when an answer of the same exercise has it."""
    found, count = name, 1
    while found in ids:
        count += 1
        found = f"{name}-{count}"
    ids.add(found)
    return found
