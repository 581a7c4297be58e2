"""The book's repository: where its source is read, discussed and run by others.

What these services make of a path is known for repositories on GitHub. For another host
there is the link to the repository alone, rather than links that may be broken.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from builder.errors import BookError
from builder.source.settings import FILE, read_settings

GITHUB = re.compile(r"https://github\.com/(?P<name>[\w.-]+/[\w.-]+)")


@dataclass(frozen=True)
class Repository:
    """A repository's address, and the branch that readers are sent to."""

    address: str
    branch: str = "main"

    def run(self, path):
        """Services that open the notebook at `path`: (name, address) of each."""
        if not self._name:
            return []
        path, branch = quote(path), quote(self.branch)
        file = f"github/{self._name}/blob/{branch}/{path}"
        # Binder takes a branch as one part of its address, so a slash in it is escaped.
        binder = f"{self._name}/{quote(self.branch, safe='')}"
        return [
            ("Colab", f"https://colab.research.google.com/{file}"),
            ("SageMaker Studio Lab", f"https://studiolab.sagemaker.aws/import/{file}"),
            ("Binder", f"https://mybinder.org/v2/gh/{binder}?urlpath=lab/tree/{path}"),
        ]

    def read(self, path, title):
        """Where the source at `path` is shown, and where a page `title` is discussed."""
        if not self._name:
            return []
        # Plain: shown as it is written. Issues, because every repository has them.
        source = f"{self.address}/blob/{quote(self.branch)}/{quote(path)}?plain=1"
        question = quote(f'is:issue "{title}"', safe="")
        return [
            ("View source", source),
            ("Discuss", f"{self.address}/issues?q={question}"),
        ]

    def raw(self, path):
        """The address of the file at `path` itself, or None where that is not known."""
        if not self._name:
            return None
        place = f"{self._name}/{quote(self.branch)}/{quote(path)}"
        return f"https://raw.githubusercontent.com/{place}"

    @property
    def _name(self):
        """The repository's owner and name on GitHub."""
        found = GITHUB.fullmatch(self.address)
        return found and found["name"]


def of_book(root):
    """The repository of the book in the folder `root`; None without one, or settings."""
    return of(read_settings(root)) if (root / FILE).is_file() else None


def of(settings):
    """The repository that chapters/book.toml names, or None."""
    address, branch = settings.get("repository"), settings.get("branch", "main")
    if address is None:
        return None
    address = str(address).rstrip("/").removesuffix(".git")
    host = re.fullmatch(r"https://([^\s/]+)/\S+", address)
    if not host or (host[1] == "github.com" and not GITHUB.fullmatch(address)):
        raise BookError(
            f"chapters/book.toml: repository must be an address such as "
            f'"https://github.com/owner/name", got {address!r}: correct it, or leave the '
            "line out"
        )
    if not isinstance(branch, str) or not re.fullmatch(r"[^\s?#]+", branch):
        raise BookError(
            f'chapters/book.toml: branch must be a name such as "main", got {branch!r}'
        )
    return Repository(address, branch)
