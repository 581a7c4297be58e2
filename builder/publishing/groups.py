"""Pages beside the chapters, on the site alone: each folder of them is a group.

The group has the name of its folder; its pages are in the order of their files' names.
"""

from pathlib import Path

from builder import files

Groups = dict[str, dict[str, Path]]  # the files by page, by the group's title


def of_book(root: Path) -> Groups:
    """The groups of the book in the folder `root`; the changelog is among the guides."""
    groups: Groups = {}
    for folder in sorted((root / "chapters").iterdir()):
        if not folder.name.startswith("."):
            pages = {f"{folder.name}/{p.stem}": p for p in sorted(folder.glob("*.md"))}
            groups[folder.name.capitalize()] = pages
    if (root / "CHANGELOG.md").is_file():
        groups.setdefault("Guides", {})["guides/changelog"] = root / "CHANGELOG.md"
    return {title: pages for title, pages in groups.items() if pages}


def texts(groups: Groups, root: Path) -> dict[str, str]:
    """What Sphinx reads of them, by the files' names."""
    return {
        f"{name}.md": files.read(path, path.relative_to(root))
        for pages in groups.values()
        for name, path in pages.items()
    }


def contents(groups: Groups) -> str:
    """What the front page's source says of them: their tables of contents."""
    return "".join(
        "\n".join(
            ["\n```{toctree}", f":caption: {title}", ":hidden:", "", *pages, "```\n"]
        )
        for title, pages in groups.items()
    )
