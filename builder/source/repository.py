"""The book's repository: links to read, discuss and run its source.

Links to files and services are built only for GitHub. For other hosts there is just the
link to the repository, rather than links that may be broken.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from builder.errors import BookError
from builder.source.settings import FILE, read_settings

GITHUB = re.compile(r"https://github\.com/(?P<name>[\w.-]+/[\w.-]+)")


@dataclass(frozen=True)
class Repository:
    """A repository's address, and the branch that readers are sent to."""

    address: str
    branch: str = "main"

    def run(self, path: str) -> list[tuple[str, str]]:
        """The services that open the notebook at `path`: (name, address) of each."""
        if not self._name:
            return []
        path, branch = quote(path), quote(self.branch)
        file = f"github/{self._name}/blob/{branch}/{path}"
        # In Binder's address a branch is one part, so a slash in it is escaped.
        binder = f"{self._name}/{quote(self.branch, safe='')}"
        return [
            ("Colab", f"https://colab.research.google.com/{file}"),
            ("SageMaker Studio Lab", f"https://studiolab.sagemaker.aws/import/{file}"),
            ("Binder", f"https://mybinder.org/v2/gh/{binder}?urlpath=lab/tree/{path}"),
        ]

    def read(self, path: str, title: str) -> list[tuple[str, str]]:
        """Where the source at `path` is shown, and where a page `title` is discussed."""
        if not self._name:
            return []
        # Plain: the Markdown as written. Issues, because every repository has them.
        source = f"{self.folder}{quote(path)}?plain=1"
        question = quote(f'is:issue "{title}"', safe="")
        return [
            ("View source", source),
            ("Discuss", f"{self.address}/issues?q={question}"),
        ]

    @property
    def folder(self) -> str:
        """Where its files are shown, by their paths; "" if unknown."""
        return f"{self.address}/blob/{quote(self.branch)}/" if self._name else ""

    def raw(self, path: str) -> str | None:
        """The address of the file at `path` itself, or None if unknown."""
        if not self._name:
            return None
        place = f"{self._name}/{quote(self.branch)}/{quote(path)}"
        return f"https://raw.githubusercontent.com/{place}"

    @property
    def _name(self) -> str | None:
        """The repository's owner and name on GitHub."""
        match = GITHUB.fullmatch(self.address)
        return match["name"] if match else None


def of_book(root: Path) -> Repository | None:
    """The repository of the book in the folder `root`; None without one or settings."""
    return of(read_settings(root)) if (root / FILE).is_file() else None


def of(settings: Mapping[str, Any]) -> Repository | None:
    """The repository that chapters/book.toml names, or None."""
    address, branch = settings.get("repository"), settings.get("branch", "main")
    if address is None:
        return None
    address = str(address).rstrip("/").removesuffix(".git")
    host = re.fullmatch(r"https://([^\s/]+)/\S+", address)
    if not host or (host[1] == "github.com" and not GITHUB.fullmatch(address)):
        raise BookError(
            f"chapters/book.toml: repository must be an address such as "
            f'"https://github.com/owner/name", got {address!r}: correct it, or delete '
            "the line"
        )
    if not isinstance(branch, str) or not re.fullmatch(r"[^\s?#]+", branch):
        raise BookError(
            f'chapters/book.toml: branch must be a name such as "main", got {branch!r}'
        )
    return Repository(address, branch)
