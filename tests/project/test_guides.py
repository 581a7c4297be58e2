"""README, guides and citation: what they name is there, and what they show runs."""

import ast
import importlib
import inspect
import json
import os
import re
import subprocess

import jsonschema
import numpy as np
import pytest
import yaml
from shared import ROOT
from shared.selected import d2l_or_skip

import d2lext
from builder.command.verbs import VERBS
from builder.source.settings import read_settings
from builder.sphinxext import library

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "chapters" / "authors.md",
    *sorted((ROOT / "chapters" / "guides").glob("*.md")),
    *sorted((ROOT / "chapters" / "reference").glob("*.md")),
]
GUIDES = ROOT / "chapters" / "guides"
DOCUMENTED = [
    name
    for page in (ROOT / "chapters" / "reference").glob("*.md")
    for names in re.findall(r"^```\{api\} (.+)$", page.read_text("utf-8"), re.M)
    for name in names.split()
]


def blocks(path, language):
    """The code of the page at `path` in this language."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_and_links_are_there(path):
    text = path.read_text("utf-8")
    for command in re.findall(r"python build\.py ?([\w-]*)", text):
        assert command in ("", *VERBS) or command.startswith("--")
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / link).exists(), link


def test_the_readme_is_short_and_gives_the_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 110, "under two screens"
    assert "python build.py test" in (ROOT / ".ci" / "run").read_text().replace(
        "3 ", " "
    )


def test_the_readme_links_to_each_guide():
    text = (ROOT / "README.md").read_text("utf-8")
    for guide in GUIDES.glob("*.md"):
        assert f"(chapters/guides/{guide.name})" in text


def test_the_library_is_shown_once():
    [ours] = blocks(ROOT / "README.md", "python")
    assert ours in blocks(GUIDES / "library.md", "python")


def test_the_guides_examples_run(tmp_path, monkeypatch):
    d2l = d2l_or_skip("torch")
    import torch

    monkeypatch.chdir(tmp_path)
    _, by_name, transfer = blocks(GUIDES / "library.md", "python")
    small = "arch=(1, 1, 1, 1), "
    by_name = by_name.replace('"densenet121", ', f'"densenet121", {small}')
    transfer = transfer.replace("densenet121(", f"densenet121({small}")
    X = np.zeros((1, 3, 29, 29), np.float32)
    names = {"d2l": d2l, "X": X}
    exec(by_name, names)
    assert names["model"].num_classes == 10
    published = d2l.get_weights(d2l.densenet121(arch=(1, 1, 1, 1), seed=1))
    tensors = {name: torch.from_numpy(array) for name, array in published.items()}
    torch.save(tensors, "densenet121.pth")
    exec(transfer, names)
    first = "features.conv0.weight"
    loaded = d2l.get_weights(names["model"])
    assert np.array_equal(loaded[first], published[first])
    rows = d2l.get_weights(names["two"])["classifier.weight"]
    assert np.array_equal(rows, published["classifier.weight"][[281, 285]])
    # timm's rule for one channel: the sum over the colours.
    sums = published[first].sum(axis=1, keepdims=True)
    assert np.allclose(d2l.get_weights(names["grey"])[first], sums, atol=1e-6)


def test_the_site_is_published_by_these_lines(tmp_path):
    [code] = [c for c in blocks(GUIDES / "publishing.md", "bash") if "gh-pages" in c]
    remote, site = tmp_path / "remote.git", tmp_path / "_build" / "html"
    (site / "_static").mkdir(parents=True)
    (site / "index.html").write_text("first")
    (site / "_static" / "book.css").write_text("")
    (site / ".nojekyll").touch()
    code = code.replace("https://github.com/owner/name", str(remote))
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    env |= {f"GIT_{who}_NAME": "A. Author" for who in ("AUTHOR", "COMMITTER")}
    env |= {f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")}

    def run(*command):
        options = {"cwd": tmp_path, "env": env, "text": True, "capture_output": True}
        return subprocess.run(command, check=True, **options).stdout

    run("git", "init", "--quiet", "--bare", str(remote))
    for content in ("first", "second"):  # the second time it replaces the first
        (site / "index.html").write_text(content)
        run("bash", "-euo", "pipefail", "-c", code)
        git = ("git", "--git-dir", str(remote))
        assert run(*git, "show", "gh-pages:index.html") == content
    listed = run(*git, "ls-tree", "-r", "--name-only", "gh-pages").split()
    assert listed == [".nojekyll", "_static/book.css", "index.html"]


def test_the_citation_is_valid_and_says_what_the_book_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    # Of the Citation File Format, CC BY 4.0, https://doi.org/10.5281/zenodo.5171937.
    schema = ROOT / "tests" / "shared" / "cff-1.2.0.json"
    jsonschema.validate(citation, json.loads(schema.read_text("utf-8")))
    book = read_settings(ROOT)
    assert citation["title"] == book["title"]
    names = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in
             citation["authors"]]  # fmt: skip
    assert " and ".join(names) == book["author"]
    assert citation["version"] == d2lext.__version__


def test_each_public_name_is_in_the_reference(d2l, backend):
    functions = importlib.import_module(f"d2lext.{backend}.functions")
    names = {*d2l.__all__} - {*functions.__all__}
    assert names <= {*DOCUMENTED}
    assert len(DOCUMENTED) == len({*DOCUMENTED})


def test_the_reference_has_the_signatures_that_python_sees(d2l, backend):
    compared = 0
    for name in DOCUMENTED:
        found, real = library.find(name).get(backend), getattr(d2l, name, None)
        if inspect.isclass(real):
            real = real.__init__
        if found is None or real is object.__init__ or not callable(real):
            continue
        seen = dict(inspect.signature(real).parameters)
        if found.kind == "class":
            # Flax gives each module two more.
            seen = {p: seen[p] for p in seen if p not in ("self", "parent", "name")}
        head = found.signature.removeprefix("d2l.")
        [function] = ast.parse(f"def {head}: pass").body
        shown = function.args
        named = [*shown.args, *shown.kwonlyargs]
        others = [a for a in (shown.vararg, shown.kwarg) if a]
        assert {a.arg for a in [*named, *others]} == {*seen}, name
        first = len(shown.args) - len(shown.defaults)
        defaults = [*[None] * first, *shown.defaults, *shown.kw_defaults]
        for argument, default in zip(named, defaults, strict=True):
            if isinstance(default, ast.Constant | ast.Tuple):
                assert seen[argument.arg].default == ast.literal_eval(default), name
        compared += 1
    assert compared > 35
