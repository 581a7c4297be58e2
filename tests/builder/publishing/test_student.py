"""The notebooks for students and their instructor, graded by nbgrader itself."""

import ast
import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbgrader import utils
from nbgrader.nbgraderformat import MetadataValidator
from shared import ROOT
from shared.small_book import write
from traitlets.config import Config

from builder.command import main as cli
from builder.command.verbs import VERBS
from builder.errors import BookError
from builder.notebooks.edition import Edition, editions
from builder.publishing import answers, student
from builder.source.book import Book
from d2lext.core.frameworks import IDS

CHAPTER = """\
# Sums

![A sum.](img/sum.svg)

```{code-cell}
numbers = [1, 2, 3]
sum(numbers)
```

## Exercises

1. What is the mean? Is it a whole number?

+++ {"tags": ["solution"]}

The sum, divided by the count.

```{code-cell}
---
tags: [solution]
---
count = len(numbers)
```

```{code-cell}
---
tags: [torch, solution]
expect: |
  mean: 2.0, whole True
  bits of 3.5: 1
---
print("mean:", f"{sum(numbers) / count}, whole  True")
print("bits of 3.5:", 1)
```

```{code-cell}
---
tags: [mxnet, jax, tensorflow, solution]
expect: "mean: 2.0"
---
print("mean:", sum(numbers) / count)
```

+++

2. What is left open?
3. Draw the numbers. What is the largest?

```{code-cell}
---
tags: [solution]
---
print("drawn")
```

+++ {"tags": ["solution"]}

See ![the drawing](img/sum.svg).

```{code-cell}
---
tags: [solution]
expect: "3"
---
max(numbers)
```

+++

4. Two questions:
   1. Which?
   2. Why?

5. And then?

   Say so in words.

## References

1. A book.
"""
OPEN = ["01-sums-exercise-1-text", "01-sums-exercise-2-text", "01-sums-exercise-3-code"]
UNSOLVED = ["01-sums-exercise-4-text", "01-sums-exercise-5-text"]
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


@pytest.fixture
def book(tmp_path):
    return write(tmp_path, CHAPTER)


def edition(book, name, backend="torch"):
    return student.notebook(Edition(book, book.chapters[0], backend), name)


def build(book, out, *backends):
    return student.build(editions(book, backends=backends), out)


def graded(notebook):
    """The cells that nbgrader knows, by id."""
    return {
        cell.metadata.nbgrader.grade_id: cell
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    }


def test_students_see_the_exercise_but_no_solution(book):
    student_s = edition(book, "student")
    text = "\n".join(cell.source for cell in student_s.cells)
    for wording in ("What is the mean?", "What is left open?", "Draw the numbers."):
        assert wording in text
    for line in (
        "divided by",
        "len(numbers)",
        "drawn",
        "max(numbers)",
        "2.0",
    ):
        assert line not in text
    tags = [tag for cell in student_s.cells for tag in cell.metadata.get("tags", [])]
    assert "solution" not in tags
    assert "mean: …, whole True/False\nbits of 3.5: …" in text
    assert "not to hand out" not in text
    cells = graded(student_s)
    assert cells["01-sums-exercise-1-text"].source == "YOUR ANSWER HERE"
    assert cells["01-sums-exercise-1-code"].source == STUB
    assert all(not cell.get("outputs") for cell in cells.values())


@pytest.mark.parametrize("name", ["student", "instructor"])
def test_every_exercise_is_followed_by_its_answer(book, name):
    shown = []
    for cell in edition(book, name).cells:
        grade = cell.metadata.get("nbgrader", {})
        shown.append(grade.get("grade_id", cell.source).removeprefix("01-sums-"))
    first = shown.index("2. What is left open?")
    assert shown[first : first + 3] == [
        "2. What is left open?",
        "exercise-2-text",
        "3. Draw the numbers. What is the largest?",
    ]
    assert shown[-5:] == [
        "4. Two questions:\n   1. Which?\n   2. Why?",
        "exercise-4-text",
        "5. And then?\n\n   Say so in words.",
        "exercise-5-text",
        "## References\n\n1. A book.",
    ]
    answers = graded(edition(book, name))
    for grade_id in ["01-sums-exercise-2-text", *UNSOLVED]:
        text = answers[grade_id].source
        assert ("no model solution" in text) is (name == "instructor")
        assert (text == "YOUR ANSWER HERE") is (name == "student")


@pytest.mark.parametrize("name", ["student", "instructor"])
@pytest.mark.parametrize("backend", IDS)
def test_nbgrader_accepts_the_cells(book, name, backend):
    notebook = edition(book, name, backend)
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    cells = graded(notebook)
    assert list(cells) == [
        "01-sums-exercise-1-text",
        "01-sums-exercise-1-code-begin",
        "01-sums-exercise-1-code",
        "01-sums-exercise-1-test",
        "01-sums-exercise-2-text",
        "01-sums-exercise-3-code",
        "01-sums-exercise-3-text",
        "01-sums-exercise-3-code-2-begin",
        "01-sums-exercise-3-code-2",
        "01-sums-exercise-3-test",
        *UNSOLVED,
    ]
    locked = [grade_id for grade_id in cells if utils.is_locked(cells[grade_id])]
    assert locked == [
        "01-sums-exercise-1-code-begin",
        "01-sums-exercise-1-test",
        "01-sums-exercise-3-code-2-begin",
        "01-sums-exercise-3-test",
    ]
    by_hand = [
        i for i, c in cells.items() if utils.is_grade(c) and utils.is_solution(c)
    ]
    assert by_hand == [*OPEN, "01-sums-exercise-3-text", *UNSOLVED]
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_ids_outlive_an_edit_of_the_chapter(book, tmp_path):
    text = CHAPTER.replace("# Sums\n", "# Sums\n\nAnother paragraph.\n\n+++\n\nMore.\n")
    edited = write(tmp_path / "edited", text.replace("divided by the count", "halved"))
    before, after = (graded(edition(b, "student")) for b in (book, edited))
    assert before == after


def test_the_instructor_has_solution_test_and_recorded_output(book):
    recorded = Edition(book, book.chapters[0], "torch")
    shown = [c for c in recorded.notebook.cells if "bits of" in c.source][0]
    shown.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="mean: 2.0\n")
    ]
    shown.execution_count = 4
    recorded.write()
    cells = graded(edition(book, "instructor"))
    answer = cells["01-sums-exercise-1-code"]
    code = answer.source
    assert code.index("count = len(numbers)") < code.index('print("mean:"')
    assert answer.outputs[0].text == "mean: 2.0\n"
    assert "'mean: 2.0, whole True'" in cells["01-sums-exercise-1-test"].source
    text = cells["01-sums-exercise-1-text"].source
    assert text == "*Solution: not to hand out.*\n\nThe sum, divided by the count."
    assert "not to hand out" in code
    assert "mean: 2.0" not in nbformat.writes(edition(book, "student"))


def test_images_lie_beside_the_notebook(book):
    for folder in build(book, book.root / "_build", "torch", "jax"):
        notebook = nbformat.read(folder / "01-sums.ipynb", as_version=4)
        images = re.findall(r"\]\((.+?\.svg)\)", nbformat.writes(notebook))
        assert len(images) == (2 if folder.parent.name == "instructor" else 1)
        assert all((folder / image).is_file() for image in images)
        lying = [path.name for path in (folder / "img").iterdir()]
        assert sorted(lying) == sorted({image.partition("/")[2] for image in images})


def test_images_that_no_notebook_shows_are_not_copied(book):
    out, images = book.root / "_build", book.root / "chapters" / "img"
    (images / "page.png").write_bytes(b"of the README")
    build(book, out, "torch")
    [student_s, instructor_s] = build(book, out, "torch")
    assert [path.name for path in (student_s / "img").iterdir()] == ["sum.svg"]
    (images / "sum.svg").rename(images / "added.svg")
    with pytest.raises(BookError, match=r"01-sums.md:3: there is no image .*/sum.svg"):
        build(Book(book.root), out, "torch")
    path = book.root / "chapters" / "01-sums.md"
    path.write_text(path.read_text().replace("sum.svg", "added.svg"))
    build(Book(book.root), out, "torch")
    for folder in (student_s, instructor_s):
        assert [path.name for path in (folder / "img").iterdir()] == ["added.svg"]


def test_a_list_in_another_section_is_not_an_exercise(tmp_path):
    text = CHAPTER.replace("# Sums\n", "# Sums\n\nIn order:\n\n1. Add.\n2. Divide.\n")
    cells = graded(edition(write(tmp_path, text), "student"))
    assert cells == graded(edition(write(tmp_path / "plain", CHAPTER), "student"))
    tagged = text.replace("# Sums\n", '# Sums\n\n+++ {"tags": ["exercise"]}\n', 1)
    cells = graded(edition(write(tmp_path / "tagged", tagged), "student"))
    assert list(cells)[:2] == ["01-sums-exercise-1-text", "01-sums-exercise-2-text"]


def test_a_failed_build_leaves_the_last_one(book):
    out = book.root / "_build"
    [folder, _] = build(book, out, "torch")
    before = (folder / "01-sums.ipynb").read_text()
    (book.root / "chapters" / "02-more.md").write_text(
        '# More\n\n## Exercises\n\n+++ {"tags": ["solution"]}\n\nBecause.\n'
    )
    with pytest.raises(
        BookError, match=r"chapters/02-more.md:7: a solution must be below"
    ):
        build(Book(book.root), out, "torch")
    assert (folder / "01-sums.ipynb").read_text() == before
    (book.root / "chapters" / "02-more.md").unlink()
    (book.root / "chapters" / "01-sums.md").rename(book.root / "chapters" / "01-sum.md")
    build(Book(book.root), out, "torch")
    assert [path.name for path in folder.glob("*.ipynb")] == ["01-sum.ipynb"]


EXERCISE = """
{number}. Which?

```{{code-cell}}
---
tags: [solution]
expect: {expected!r}
tolerance: {tolerance}
---
pass
```

+++
"""
COUNTS = "without: 285696 / with: 163840"  # the slash is a new line
PLOT = "plt.plot([1, 2])\n"
# What the author expects, an answer that is right and one that is wrong; + is a new cell.
VARIATIONS = [
    (COUNTS, "print('285,696')\nprint('with: ', 163840.0)", "print(285696)"),
    (COUNTS, "print('debug', 7)\n285696, 163840", "285696, 163840, 7"),
    (COUNTS, "print(285696)+163840", "print(163840)+285696"),
    ("0.5", "await asyncio.sleep(0)+print(8)\nnp.float64(0.5)", "np.float64(0.54)"),
    ("[0.25, 0.5]", "np.array([0.25, 0.5])", "np.array([[9, 9], [0.25, 0.5]])"),
    ("torch.Size([1, 64])", "np.ones((1, 64)).shape", "(64, 1)"),
    ("436 MiB", "435.75", "435"),
    ("7", "# mine\n7", "print(*range(8))"),
    ("7", PLOT + "print(7)\nplt.title('Two')", "7+" + PLOT + "print(8)"),
    ("121 8 / 169 9", "display({121: 8, 169: 9})", "display({121: 9, 169: 8})"),
    ("True", "%%time\nprint('so it is:', np.bool_(True))", "True, False"),
    ("relu", "# %%capture\n'ReLU'+# Done.", "'relu, tanh'"),
]


# Answers to exercises of these numbers: the kernel ends; or should not.
FATAL = {3: "import os\nos._exit(0)"}
HARMLESS = {
    1: "print('285,696')\nprint('with: ', 163840.0)\nexit()",
    7: "print(435.75)\nimport sys\nsys.exit(1)\nprint(3)",
    8: "# mine\nprint(7)\nquit()",
}


@pytest.mark.slow
def test_nbgrader_passes_a_solved_copy_and_fails_an_empty_one(
    book, tmp_path, monkeypatch
):
    # nbgrader calls alembic by its name.
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    values = "# Values\n\n```{code-cell}\nimport asyncio\nimport numpy as np\nfrom "
    values += "matplotlib import pyplot as plt\n7\n```\n\n## Exercises\n"
    for number, (text, _, _) in enumerate(VARIATIONS, 1):
        expected, tolerance = text.replace(" / ", "\n"), "0.5" if "MiB" in text else ""
        exercise = EXERCISE.format(
            number=number, expected=expected, tolerance=tolerance
        )
        values += exercise.replace("tolerance: \n", "").replace("'", '"')
    (book.root / "chapters" / "02-values.md").write_text(values)
    build(Book(book.root), tmp_path, "torch")
    course = tmp_path / "course"
    course.mkdir()
    (tmp_path / "instructor" / "nbgrader_config.py").rename(
        course / "nbgrader_config.py"
    )
    (tmp_path / "instructor").rename(course / "source")
    nbgrader(course, "generate_assignment", "torch")

    # The release is ours except for outputs and checksums.
    for name in ("01-sums", "02-values"):
        path = course / "release" / "torch" / f"{name}.ipynb"
        release = nbformat.read(path, as_version=4)
        ours = handed_out(tmp_path, name)
        assert [c.source for c in release.cells] == [c.source for c in ours.cells]
        for cell in graded(release).values():
            cell.metadata.nbgrader.pop("checksum")
        metadata = [{**cell.metadata, "tags": []} for cell in release.cells]
        assert metadata == [{**cell.metadata, "tags": []} for cell in ours.cells]

    solved, wrong, empty = (handed_out(tmp_path, "01-sums") for _ in range(3))
    answers = graded(solved)
    # A variable of the student's outlives the hidden tests.
    code = 'expected = 3; print("mean:  2.0, whole True")\nprint("bits of 3.5: 1")'
    answers["01-sums-exercise-1-code"].source = code
    split(solved, answers["01-sums-exercise-1-code"])
    answers[
        "01-sums-exercise-3-code-2"
    ].source = "import sys\nsys.stderr.write('w')\nexpected"
    for grade_id in ("01-sums-exercise-1-text", "01-sums-exercise-5-text"):
        answers[grade_id].source = "Sum over count."
    graded(wrong)["01-sums-exercise-1-code"].source = code.replace("2.0", "2.5")
    # Neither keeps nbgrader from grading those after it.
    graded(empty)["01-sums-exercise-1-code"].metadata.nbgrader.schema_version = 1
    graded(empty)["01-sums-exercise-1-code-begin"].metadata.nbgrader = {}
    # Right answers, whose locked cells above are deleted or moved.
    careless = copy.deepcopy(solved)
    careless.nbformat_minor = 4
    for cell in careless.cells:
        del cell["id"]
    cells = graded(careless)
    careless.cells.remove(cells["01-sums-exercise-1-code-begin"])
    careless.cells.remove(cells["01-sums-exercise-3-code-2-begin"])
    careless.cells.append(cells["01-sums-exercise-3-code-2-begin"])
    cells["01-sums-exercise-3-code-2"].source = "max(numbers)"
    submit(course, "careless", careless, ended(answered(tmp_path, 1)))
    submit(course, "solved", solved, answered(tmp_path, 1))
    submit(course, "wrong", wrong, answered(tmp_path, 2))
    submit(course, "empty", empty, handed_out(tmp_path, "02-values"))
    told = nbgrader(course, "autograde", "torch", "--create").stderr
    assert scores(course, "01-sums", ORDER) == {
        "careless": [None, 1, 0, 0, 0, 1, 0, None],
        # Two texts and a code by hand among them, then two of unsolved exercises.
        "solved": [None, 1, 0, 0, 0, 1, 0, None],
        "empty": [0, 0, 0, 0, 0, 0, 0, 0],
        "wrong": [0, 0, 0, 0, 0, 0, 0, 0],
    }
    tests = [f"02-values-exercise-{i}-test" for i, _ in enumerate(VARIATIONS, 1)]
    assert scores(course, "02-values", tests) == {
        "careless": [0 if i in FATAL else 1 for i, _ in enumerate(tests, 1)],
        "solved": [1] * len(tests),
        "empty": [0] * len(tests),
        "wrong": [0] * len(tests),
    }
    assert told.count("careless, 02-values: a cell ended the kernel") == len(FATAL)
    path = course / "autograded" / "careless" / "torch" / "02-values.ipynb"
    assert path.read_text().count("This cell ended the kernel") >= len(FATAL)


UNENDING = """
while True:
    try:
        time.sleep(60)
    except:
        pass
"""


@pytest.mark.slow
def test_no_answer_takes_the_points_of_another():
    """Neither one that ends the kernel, at once or later, nor one that does not end."""
    settings = {"get_config": Config}
    exec(student.CONFIG.read_text(), settings)
    fatal = [
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "import os, threading\nthreading.Timer(0.05, os._exit, [1]).start()",
        UNENDING,
    ]
    sources = ["import time\nx = 1", *fatal, "exit()", "print(x)"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for i in range(5, 0, -1):  # cells of the teacher's, which are not to blame
        metadata = {"nbgrader": {"locked": True}}
        cell = nbformat.v4.new_code_cell("time.sleep(0.1)\nx += 1", metadata=metadata)
        cells.insert(i, cell)
    notebook = nbformat.v4.new_notebook(cells=cells)
    settings["c"].ExecutePreprocessor.timeout = 5
    preprocessor = settings["OutliveAnswers"](
        config=settings["c"], kernel_name="python3"
    )
    where = {"student": "a", "notebook": "b"}
    preprocessor.preprocess(notebook, {"nbgrader": where})
    names = {cell.source: [o.get("ename") for o in cell.outputs] for cell in cells}
    assert [names[source] for source in fatal] == [["DeadKernelError"]] * 3
    assert cells[-1].outputs[0].text == "6\n"


def ended(notebook):
    """`notebook` with answers that end the kernel, or try to."""
    for number, source in {**FATAL, **HARMLESS}.items():
        graded(notebook)[f"02-values-exercise-{number}-code"].source = source
    return notebook


def split(notebook, cell):
    """Split the cell after its first line, as JupyterLab does: with all its metadata."""
    first, cell.source = cell.source.split("\n")
    above = nbformat.v4.new_code_cell(first, metadata=copy.deepcopy(cell.metadata))
    notebook.cells.insert(notebook.cells.index(cell), above)


def handed_out(folder, name):
    path = folder / "student" / "torch" / f"{name}.ipynb"
    return nbformat.read(path, as_version=4)


def answered(folder, column):
    """The notebook of values with the answers in this column of VARIATIONS."""
    notebook = handed_out(folder, "02-values")
    for number, variation in enumerate(VARIATIONS, 1):
        cell = graded(notebook)[f"02-values-exercise-{number}-code"]
        cell.source, *further = variation[column].split("+")
        place = notebook.cells.index(cell) + 1
        added = [nbformat.v4.new_code_cell(source) for source in further]
        notebook.cells[place:place] = added
    return notebook


def submit(course, name, sums, values):
    folder = course / "submitted" / name / "torch"
    folder.mkdir(parents=True)
    nbformat.write(sums, folder / "01-sums.ipynb")
    nbformat.write(values, folder / "02-values.ipynb")


def nbgrader(course, *words):
    command = [sys.executable, "-m", "nbgrader", *words]
    variables = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "HOME": str(course)}
    done = subprocess.run(
        command, cwd=course, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def scores(course, notebook, order):
    """The grader's score of each cell, by student; None: left to the teacher."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {
            submission.student.id: [
                grade.auto_score
                for submitted in submission.notebooks
                if submitted.name == notebook
                for grade in sorted(
                    submitted.grades, key=lambda grade: order.index(grade.name)
                )
            ]
            for submission in gradebook.assignment_submissions("torch")
        }


ORDER = [
    "01-sums-exercise-1-text",
    "01-sums-exercise-1-test",
    "01-sums-exercise-2-text",
    "01-sums-exercise-3-code",
    "01-sums-exercise-3-text",
    "01-sums-exercise-3-test",
    *UNSOLVED,
]


@pytest.mark.slow
def test_every_chapter_of_the_book_has_both_notebooks():
    book = Book(ROOT)
    for chapter in book.chapters:
        for backend in IDS:
            handed_out = student.notebook(Edition(book, chapter, backend), "student")
            sources = [cell.source for cell in handed_out.cells]
            left = {line.strip() for source in sources for line in source.splitlines()}
            cells = chapter.cells_for(backend)
            own = [set(), set()]  # lines outside solutions, and in them
            for cell in cells:
                lines = [line.strip() for line in cell.source.splitlines()]
                own["solution" in cell.tags].update(lines)
            assert not left & (own[True] - own[False])
            asked = re.findall(
                r"^(\d+)\. ",
                chapter.text.partition("\n## Exercises\n")[2],
                re.MULTILINE,
            )
            answered = [grade_id.split("-") for grade_id in graded(handed_out)]
            assert (
                sorted({words[words.index("exercise") + 1] for words in answered})
                == asked
            )
            solved = student.notebook(Edition(book, chapter, backend), "instructor")
            for cell in graded(solved).values():
                if cell.cell_type == "code":
                    ast.parse(cell.source.replace("%%", "#"))


@pytest.mark.parametrize(
    ("expected", "form"),
    [
        ("True", "True/False"),
        ("121 7978856\n169 14149480", "121 …\n169 …"),
        ("96x96, batch of 128: 436 MiB", "96x96, batch of 128: … MiB"),
        ("37% 0.003%", "…% …%"),
        ("loss: -1.5e-3 of ResNet-18, v2", "loss: … of ResNet-18, v2"),
        ("torch.Size([4, 23])", "torch.Size([…, …])"),
        ("layers  parameters\n121     7,978,856", "layers  parameters\n…     …"),
        ("best: relu", "best: …"),
        ("torch.float32", "…"),
    ],
)
def test_results_are_blanked_and_labels_stay(expected, form):
    assert answers.blanked(expected) == form


@pytest.mark.parametrize(
    ("expected", "counts", "does_not"),
    [
        ("with: 163840", "Graded: the values", "np.float64"),
        ("norm1", "Graded: the words", "capitals"),
        ("layer 1: relu", "Graded: the words", "capitals"),
    ],
)
def test_students_read_what_counts(tmp_path, expected, counts, does_not):
    exercise = EXERCISE.format(number=1, expected=expected, tolerance=1)
    book = write(tmp_path, f"# Values\n\n## Exercises\n{exercise}")
    text = nbformat.writes(edition(book, "student"))
    assert counts in text
    assert does_not in text


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("```{code-cell}\nimport math\n```", ["and no framework", "--backend jax`"]),
        (
            "```{code-cell}\nfrom d2lext import jax, torch\n```",
            ["with all four frameworks", "build.py setup`"],
        ),
        (
            "```{code-cell}\n---\ntags: [jax]\n---\nimport jax\n```",
            ["with JAX", "--backend jax`"],
        ),
        ("```{code-cell}\n---\ntags: [jax]\n---\n1\n```", ["and no framework"]),
        ("Words.", []),
    ],
)
def test_the_first_cell_says_what_a_chapter_needs(tmp_path, text, needs):
    book = write(tmp_path, f"# Sums\n\n{text}\n")
    first = edition(book, "student", "jax").cells[0].source
    assert all(words in first for words in needs)
    assert ("needs the package" in first) is bool(needs)
    assert ("four" in first) is ("with all four frameworks" in needs)


@pytest.mark.parametrize("name", ["student", "instructor"])
def test_lab_opens_the_notebooks(book, name, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(cli, "ROOT", book.root)
    monkeypatch.setattr(subprocess, "call", lambda c, **_: opened.append(c[-1]))
    assert cli.main(["lab", name, "--backend", "jax"]) == 1
    assert (
        f"there is no folder _build/{name}/jax: write it with python build.py "
        "student" in capsys.readouterr().err
    )
    build(book, book.root / "_build", "torch", "jax")
    assert cli.main(["lab", name, "--backend", "jax"]) == 0
    assert cli.main(["lab", name]) == 0
    folder = book.root / "_build" / name
    assert opened == [str(folder / "jax"), str(folder)]
    assert (folder / "jax" / "01-sums.ipynb").is_file()


def test_lab_shows_the_images_of_notebooks(book, monkeypatch):
    """They are in `chapters`, and Jupyter shows nothing that is above its root."""
    opened = []
    monkeypatch.setattr(cli, "ROOT", book.root)
    monkeypatch.setattr(subprocess, "call", lambda c, **_: opened.append(c[-2:]))
    (book.root / "notebooks" / "jax").mkdir(parents=True, exist_ok=True)
    assert cli.main(["lab", "--backend", "jax"]) == 0
    tree = "--LabApp.default_url=/lab/tree/notebooks/jax"
    assert opened == [[f"--ServerApp.root_dir={book.root}", tree]]


def test_the_recipe_for_hubs_uses_existing_commands():
    folder = ROOT / "binder"
    packages = yaml.safe_load((folder / "environment.yml").read_text())["dependencies"]
    assert re.fullmatch(r"python=3\.1[123]", packages[0])
    script = folder / "postBuild"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    verbs = re.findall(r"^python build.py (\w+)", script.read_text(), re.MULTILINE)
    assert verbs == ["setup", "student"]
    assert set(verbs) <= set(VERBS)
