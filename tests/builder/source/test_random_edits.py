"""Random edits of settings, references and notebooks: told with their place, if wrong."""

import json
import random
import re
from contextlib import suppress
from functools import cache

import pytest
from shared.blocks_book import Small

from builder.command import check
from builder.errors import BookError
from builder.notebooks import stale
from builder.notebooks.edition import check_unedited, editions
from builder.source import references
from builder.source.book import Book
from builder.source.settings import read_settings
from builder.sync import sync

SETTINGS = (
    'title = "A Book"\nauthor = "A. Author"\nyear = 2026\n# a comment\n'
    'repository = "https://github.com/owner/book"\nbranch = "main"\n'
)
PIECES = [*"\"'{}[]()=,#@\\\n\r\t\0\f\x85\u2028\ufeffé1-$%", "\r\n", " and ", "@misc{"]
PIECES += ["year", "title = 3\n", "2026-02-31", "[[a]]", '"""', "%%time\n", "```\n"]
ENCODINGS = [*["utf-8"] * 9, "utf-8-sig", "utf-16", "latin-1"]
VALUES = [None, -1, True, "", "x\0", "é\r\n", "\ud800", [], {}, ["a"], {"a": 1}, [None]]


def edited(rng, text):
    """`text` with a few pieces put in, taken away or doubled."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 2, 20, 60]))
        new = rng.choice(["", text[start:end] * 2, *rng.choices(PIECES, k=6)])
        text = text[:start] + new + text[end:]
    return text


def encoded(rng, text):
    return text.encode(rng.choice(ENCODINGS), "replace")


def changed(rng, data):
    """A notebook's `data` with one value, anywhere in it, replaced, dropped or edited."""
    places = [
        (node, key)
        for node in nodes(data)
        for key in (node if isinstance(node, dict) else range(len(node)))
    ]
    node, key = rng.choice(places)
    if rng.random() < 0.25:
        del node[key]
    elif rng.random() < 0.4 and isinstance(node[key], str):
        node[key] = edited(rng, node[key])
    else:
        node[key] = rng.choice(VALUES)


def nodes(node):
    if isinstance(node, dict | list):
        yield node
        for value in node.values() if isinstance(node, dict) else node:
            yield from nodes(value)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A book whose library is not read again for each edit of something else."""
    code_hash = stale.code_hash

    @cache
    def known(root, backend, sources):
        return code_hash(root, backend, [*sources])

    monkeypatch.setattr(stale, "code_hash", lambda r, b, s: known(r, b, (*s,)))
    monkeypatch.setattr(check, "_findings", lambda root: [])
    return Small(tmp_path)


@pytest.mark.parametrize(
    ("name", "read"),
    [("book.toml", read_settings), ("references.bib", references.read)],
)
def test_a_file(small, name, read):
    rng, path = random.Random(0), small.root / "chapters" / name
    text = SETTINGS if name == "book.toml" else path.read_text()[:900] + "\n}\n"
    for _ in range(120):
        path.write_bytes(encoded(rng, edited(rng, text)))
        told = f"chapters/{name}:1: "
        try:
            found = read(small.root)
            if name == "references.bib":
                references.check(found, small.root)
        except BookError as error:
            told = str(error)
        assert re.match(rf"chapters/{name}(:\d+: | has no )", told)


@pytest.mark.slow
def test_a_notebook(small):
    rng, path, text = random.Random(0), small.path("torch"), small.text
    before = path.read_bytes()
    for _ in range(16):
        data = json.loads(before)
        changed(rng, data)
        path.write_bytes(encoded(rng, json.dumps(data)))
        if rng.random() < 0.3:
            path.write_bytes(encoded(rng, edited(rng, before.decode())))
        book = Book(small.root)
        for verb in (
            lambda book: check.problems(book.root, ["torch"]),
            lambda book: check_unedited(editions(book, backends=["torch"])),
            lambda book: sync.sync(book, book.chapters, ["torch"]),
        ):
            with suppress(BookError):
                verb(book)
        small.chapter.write_text(text)
