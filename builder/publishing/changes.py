"""Which pages Sphinx reads and writes again: those that changed, or show what changed.

Left to itself, Sphinx writes again what it has read again. But a page shows more: the
titles of all pages and their sections, and the numbers and titles that its references
take from others.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinxcontrib.bibtex.domain import BibtexDomain

from builder import files


class Changes:
    """Has `app` write what changed since the build that `note` noted in `file`."""

    def __init__(self, app: Sphinx, file: Path) -> None:
        self._file = file
        noted = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        self._shared = noted.get("shared")
        self._again: set[str] = set(noted.get("again", ()))
        self._touched: set[str] = set()
        app.connect("env-get-outdated", lambda *_: self._again)
        app.connect("env-before-read-docs", lambda *args: self._touch(args[-1]))
        # After sections and figures have got their numbers on the same event.
        app.connect("env-get-updated", self._affected, priority=950)
        app.connect("doctree-resolved", lambda *args: self._touch([args[-1]]))

    def note(self, failed: bool) -> None:
        """Note this build; after one that `failed`, the next repeats what this one did.

        Otherwise pages that have not changed since would keep their mistakes, silently.
        """
        again = sorted(self._touched) if failed else []
        content = {"shared": self._shared, "again": again}
        files.write(self._file, json.dumps(content))

    def _touch(self, names: Iterable[str]) -> None:
        self._touched.update(names)

    def _affected(self, app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
        """The pages to write, in addition to those that were read."""
        before, self._shared = self._shared, _shared(env)
        if self._shared == before:
            return []
        shutil.rmtree(app.outdir)  # also the pages of chapters that are gone
        app.outdir.mkdir()
        return env.found_docs


def _shared(env: BuildEnvironment) -> str:
    """A hash of all that a page may show of others, and of what all pages show."""
    standard = env.domains.standard_domain
    cited = cast(BibtexDomain, env.get_domain("cite"))
    listed = {
        (c.bibliography_key.docname, c.key): c.citation_id for c in cited.citations
    }
    uses = {(use.docname, t.key) for use in cited.citation_refs for t in use.targets}
    found = [
        sorted((name, title.astext()) for name, title in env.titles.items()),
        sorted((name, sections.astext()) for name, sections in env.tocs.items()),
        sorted(env.toctree_includes.items()),
        sorted(env.toc_secnumbers.items()),
        sorted(env.toc_fignumbers.items()),
        sorted(standard.labels.items()),
        sorted(standard.anonlabels.items()),
        sorted(env.domains["math"].equations.items()),
        # A page that lists what it cites links to its own list.
        [] if uses <= listed.keys() else sorted(listed.items()),
        Path(env.srcdir, "references.bib").read_text("utf-8") if uses else "",
        env.config["html_context"],
        getattr(env.config, "book_redirects", {}),
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()
