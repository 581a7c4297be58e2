"""The project as it is committed: nothing stale, recordings real, numbers the same."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from builder.command import check
from builder.source.book import Book
from d2lext.core.frameworks import IDS

NAMES = os.environ.get("D2LEXT_BACKENDS", ",".join(IDS)).split(",")


def recorded(root, backend, stem="01-densenet"):
    path = root / "notebooks" / backend / f"{stem}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def printed(notebook):
    """Everything that the notebook's cells printed or returned, as one text."""
    outputs = [o for c in notebook["cells"] for o in c.get("outputs", [])]
    parts = ["".join(o.get("text", [])) for o in outputs]
    parts += ["".join(o.get("data", {}).get("text/plain", [])) for o in outputs]
    return "\n".join(parts)


def test_nothing_is_out_of_date(root):
    assert check.problems(root, NAMES) == []


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_real_and_say_on_what(root, name):
    text = printed(recorded(root, name))
    trained = re.search(r"after 10 epochs of 50,000 images, \d+ s", text)
    assert trained, "for ten epochs, on all 50,000 images that are not held out"
    assert re.search(r"test accuracy 0\.\d+ on 10,000 images", text)
    package = {"tensorflow": "tensorflow", "mxnet": "mxnet"}.get(name, name)
    for said in ("seed 0", " (auto), ", "Python 3.", f"{package} ", "PU"):
        assert said in text
    assert "SYNTHETIC" not in text
    assert "D2LEXT_FAST" not in text


@pytest.mark.parametrize("name", IDS)
def test_the_author_states_every_shape_and_count(root, name):
    book = Book(root)
    stated = [cell.expect.get(name) for cell in book.find("densenet").cells]
    joined = "\n".join(text for text in stated if text)
    last = name in ("jax", "tensorflow")  # channels last
    block = "4, 8, 8, 23" if last else "4, 23, 8, 8"
    transition = "4, 4, 4, 10" if last else "4, 10, 4, 4"
    for oracle in (block, transition, "758226", "11689512"):
        assert oracle in joined
    for depth, size in {121: 7_978_856, 169: 14_149_480, 201: 20_013_928}.items():
        assert f"{depth}: {size}" in joined


def test_notebooks_hold_no_myst(root):
    for name in IDS:
        for cell in recorded(root, name)["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                assert not re.search(r"^:::|\{[a-z:]+\}`|^\([\w-]+\)=", text, re.M)
                for image in re.findall(r"\]\((\.\./[^)]+)\)", text):
                    assert (root / "notebooks" / name / image).is_file()


@pytest.mark.slow
def test_page_and_notebooks_have_the_same_numbers(root, built_site):
    page = (built_site / "01-densenet.html").read_text(encoding="utf-8")
    text = "\n".join(
        "".join(cell["source"])
        for cell in recorded(root, "torch")["cells"]
        if cell["cell_type"] == "markdown"
    )
    on_page = set(re.findall(r'class="eqno">\((\d+\.\d+)\)', page))
    assert on_page == set(re.findall(r"\\qquad \((\d+\.\d+)\)", text)) != set()
    captions = set(re.findall(r'caption-number">Figure (\d+\.\d+)', page))
    assert captions == set(re.findall(r"^\*Figure (\d+\.\d+)\.\*", text, re.M)) != set()


@pytest.mark.slow
def test_no_framework_is_needed_for_the_site(root):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from builder.command import check, main\n"
        "from builder.notebooks import run\n"
        "from builder.publishing import epub, pdf, serve, single, site, slides\n"
        "from builder.publishing import student, tabs\n"
        "from builder.source import export, new\n"
        "from builder.source.book import Book\n"
        "from builder.notebooks.edition import editions\n"
        "book = Book(Path(sys.argv[1]))\n"
        "for chapter in book.chapters:\n"
        "    tabs.merged(list(editions(book, [chapter])))\n"
        "print({'torch', 'jax', 'tensorflow', 'keras', 'mxnet'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(root)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_framework_says_what_to_install(name, tmp_path):
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[1]:\n"
        "            raise ModuleNotFoundError(f'No module {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import importlib\n"
        "importlib.import_module(f'd2lext.{sys.argv[1]}')"
    )
    command = [sys.executable, "-P", "-c", code, name]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: d2lext.")
    assert f"python build.py setup --backend {name}" in last


def test_notebooks_are_small(root):
    sizes = [path.stat().st_size for path in root.glob("notebooks/*/*.ipynb")]
    assert max(sizes) < 1_000_000


@pytest.mark.slow
def test_a_stale_export_is_found(root, tmp_path):
    for folder in ("chapters", "d2lext", "notebooks"):
        shutil.copytree(root / folder, tmp_path / folder)
    path = tmp_path / "d2lext" / "torch" / "densenet.py"
    path.write_text(path.read_text().replace("kernel_size=3", "kernel_size=5"))
    found = "\n".join(check.problems(tmp_path, ["torch"]))
    assert "d2lext/torch/densenet.py differs from its chapter" in found
