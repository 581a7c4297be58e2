"""The notebooks for students and their instructor, graded by nbgrader itself."""

import ast
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

from builder.command import main as cli
from builder.command.verbs import VERBS
from builder.errors import BookError
from builder.notebooks.edition import Edition
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


@pytest.fixture
def book(tmp_path):
    return write(tmp_path, CHAPTER)


def edition(book, name, backend="torch"):
    return student.notebook(Edition(book, book.chapters[0], backend), name)


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
    cells = graded(student_s)
    assert cells["01-sums-exercise-1-text"].source == "YOUR ANSWER HERE"
    assert cells["01-sums-exercise-1-code"].source == (
        "%%capture answer_1 --no-stderr\n# YOUR CODE HERE\nraise NotImplementedError()"
    )
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
        "01-sums-exercise-1-code",
        "01-sums-exercise-1-test",
        "01-sums-exercise-2-text",
        "01-sums-exercise-3-code",
        "01-sums-exercise-3-text",
        "01-sums-exercise-3-code-2",
        "01-sums-exercise-3-test",
        *UNSOLVED,
    ]
    locked = [grade_id for grade_id in cells if utils.is_locked(cells[grade_id])]
    assert locked == ["01-sums-exercise-1-test", "01-sums-exercise-3-test"]
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
    answer = cells["01-sums-exercise-1-code"].source
    assert answer.index("count = len(numbers)") < answer.index('print("mean:"')
    test = cells["01-sums-exercise-1-test"]
    assert "'mean: 2.0, whole True'" in test.source
    assert test.outputs[0].text == "mean: 2.0\n"
    assert cells["01-sums-exercise-1-text"].source == "The sum, divided by the count."
    assert "mean: 2.0" not in nbformat.writes(edition(book, "student"))


def test_images_lie_beside_the_notebook(book):
    for folder in student.build(book, book.root / "_build", ["torch", "jax"]):
        notebook = nbformat.read(folder / "01-sums.ipynb", as_version=4)
        images = re.findall(r"\]\((.+?\.svg)\)", nbformat.writes(notebook))
        assert len(images) == (2 if folder.parent.name == "instructor" else 1)
        assert all((folder / image).is_file() for image in images)
        lying = [path.name for path in (folder / "img").iterdir()]
        assert sorted(lying) == sorted({image.partition("/")[2] for image in images})


def test_images_that_no_notebook_shows_are_not_copied(book):
    out, images = book.root / "_build", book.root / "chapters" / "img"
    (images / "page.png").write_bytes(b"of the README")
    student.build(book, out, ["torch"])
    [student_s, instructor_s] = student.build(book, out, ["torch"])
    assert [path.name for path in (student_s / "img").iterdir()] == ["sum.svg"]
    (images / "sum.svg").rename(images / "added.svg")
    with pytest.raises(BookError, match=r"01-sums.md:3: there is no image .*/sum.svg"):
        student.build(Book(book.root), out, ["torch"])
    path = book.root / "chapters" / "01-sums.md"
    path.write_text(path.read_text().replace("sum.svg", "added.svg"))
    student.build(Book(book.root), out, ["torch"])
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
    [folder, _] = student.build(book, out, ["torch"])
    before = (folder / "01-sums.ipynb").read_text()
    (book.root / "chapters" / "02-more.md").write_text(
        '# More\n\n## Exercises\n\n+++ {"tags": ["solution"]}\n\nBecause.\n'
    )
    with pytest.raises(
        BookError, match=r"chapters/02-more.md:7: a solution must be below"
    ):
        student.build(Book(book.root), out, ["torch"])
    assert (folder / "01-sums.ipynb").read_text() == before
    (book.root / "chapters" / "02-more.md").unlink()
    (book.root / "chapters" / "01-sums.md").rename(book.root / "chapters" / "01-sum.md")
    student.build(Book(book.root), out, ["torch"])
    assert [path.name for path in folder.glob("*.ipynb")] == ["01-sum.ipynb"]


@pytest.mark.slow
def test_nbgrader_passes_a_solved_copy_and_fails_an_empty_one(
    book, tmp_path, monkeypatch
):
    # nbgrader calls alembic by its name.
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    student.build(book, tmp_path, ["torch"])
    course = tmp_path / "course"
    course.mkdir()
    (tmp_path / "instructor" / "nbgrader_config.py").rename(
        course / "nbgrader_config.py"
    )
    (tmp_path / "instructor").rename(course / "source")
    nbgrader(course, "generate_assignment", "torch")

    # The release is ours except for outputs and checksums.
    ours = tmp_path / "student" / "torch" / "01-sums.ipynb"
    release = nbformat.read(
        course / "release" / "torch" / "01-sums.ipynb", as_version=4
    )
    empty = nbformat.read(ours, as_version=4)
    assert [c.source for c in release.cells[1:]] == [c.source for c in empty.cells[1:]]
    for cell in graded(release).values():
        cell.metadata.nbgrader.pop("checksum")
    metadata = [{**cell.metadata, "tags": []} for cell in release.cells]
    assert metadata == [{**cell.metadata, "tags": []} for cell in empty.cells]

    solved, wrong = (nbformat.read(ours, as_version=4) for _ in range(2))
    answers = graded(solved)
    stub = "# YOUR CODE HERE\nraise NotImplementedError()"
    code = answers["01-sums-exercise-1-code"]
    code.source = code.source.replace(stub, 'print("mean:  2.0, whole True")\n')
    code.source += 'print("bits of 3.5: 1")'
    last = answers["01-sums-exercise-3-code-2"]
    last.source = last.source.replace(stub, "import sys\nsys.stderr.write('w')\n3")
    for grade_id in ("01-sums-exercise-1-text", "01-sums-exercise-5-text"):
        answers[grade_id].source = "Sum over count."
    graded(wrong)["01-sums-exercise-1-code"].source = code.source.replace("2.0", "2.5")
    for name, notebook in {"solved": solved, "empty": empty, "wrong": wrong}.items():
        folder = course / "submitted" / name / "torch"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "01-sums.ipynb")
    nbgrader(course, "autograde", "torch", "--create")
    assert scores(course) == {
        # Two texts and a code by hand among them, then two of unsolved exercises.
        "solved": [None, 1, 0, 0, 0, 1, 0, None],
        "empty": [0, 0, 0, 0, 0, 0, 0, 0],
        "wrong": [0, 0, 0, 0, 0, 0, 0, 0],
    }


def nbgrader(course, *words):
    command = [sys.executable, "-m", "nbgrader", *words]
    variables = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "HOME": str(course)}
    done = subprocess.run(
        command, cwd=course, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def scores(course):
    """The grader's score of each cell, by student; None: left to the teacher."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {
            submission.student.id: [
                grade.auto_score
                for grade in sorted(
                    submission.notebooks[0].grades,
                    key=lambda grade: ORDER.index(grade.name),
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
        ("121 7978856", "121 …"),
        ("96x96, batch of 128: 436 MiB", "96x96, batch of 128: … MiB"),
        ("37% 0.003%", "37% …%"),
        ("loss: -1.5e-3 of ResNet-18, v2", "loss: … of ResNet-18, v2"),
        ("torch.Size([4, 23])", "torch.Size([4, …])"),
    ],
)
def test_results_are_blanked_and_labels_stay(expected, form):
    assert answers.blanked(expected) == form


@pytest.mark.parametrize("name", ["student", "instructor"])
def test_lab_opens_the_notebooks(book, name, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(cli, "ROOT", book.root)
    monkeypatch.setattr(subprocess, "call", lambda command: opened.append(command[-1]))
    assert cli.main(["lab", name, "--backend", "jax"]) == 1
    assert (
        f"there is no folder _build/{name}/jax: write it with python build.py "
        "student" in capsys.readouterr().err
    )
    student.build(book, book.root / "_build", ["torch", "jax"])
    assert cli.main(["lab", name, "--backend", "jax"]) == 0
    assert cli.main(["lab", name]) == 0
    folder = book.root / "_build" / name
    assert opened == [str(folder / "jax"), str(folder)]
    assert (folder / "jax" / "01-sums.ipynb").is_file()


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
