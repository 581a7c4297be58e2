"""The rooms of the library and of the builder, drawn from their code for CONTRIBUTING.md.

    .venv/bin/python tests/project/rooms.py

writes both pictures into that page, in Mermaid, which GitHub, GitLab and VS Code show.
A box is a room with what its first line says of it; an arrow is an import. An import
that follows from others is left out: whoever may use a room may use what it stands on.
"""

import ast
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
BACKENDS = ("torch", "mxnet", "jax", "tensorflow")


def drawn(text):
    """The `text` of the page with each picture as the code has it now."""
    for name, picture in {"library": library(), "builder": builder()}.items():
        begin, end = f"<!-- {name}: drawn -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{PAGE.name} has no place for {name}: {begin}{end}")
        text = f"{before}{begin}```mermaid\n{picture}```\n{end}{after}"
    return text


def library():
    """The four backends as one room, for they have the same files; the core's rooms."""
    own = {f"d2lext.{name}": "backends" for name in BACKENDS}
    own |= {f"d2lext.core.{name}": name for name in children("d2lext.core")}
    titles = {"backends": "torch, mxnet, jax, tensorflow"}
    notes = {"backends": "One folder per framework, with the same files in each."}
    return picture(*imports("d2lext", own), titles, notes)


def builder():
    """The builder's rooms, and what it takes from the library."""
    own = {f"builder.{name}": name for name in children("builder")}
    return picture(*imports("builder", own), {}, {})


def children(package):
    """The names of the folders in a package."""
    folder = ROOT.joinpath(*package.split("."))
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def imports(package, rooms):
    """(first line of each room, rooms that each one imports) of `rooms` by module."""
    graph = grimp.build_graph(package, cache_dir=None)
    room_of = {
        module: room
        for module in graph.modules
        for top, room in rooms.items()
        if module == top or module.startswith(f"{top}.")
    }
    edges = {room: set() for room in rooms.values()}
    for module, room in room_of.items():
        found = graph.find_modules_directly_imported_by(module)
        edges[room] |= {room_of[m] for m in found if m in room_of} - {room}
    return {room: first_line(top) for top, room in rooms.items()}, edges


def first_line(package):
    """What the docstring of a package says first."""
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    [line, *_] = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()
    return line


def picture(lines, edges, titles, notes):
    """The rooms in Mermaid; those that import others stand above them."""
    text = ['%%{init: {"flowchart": {"wrappingWidth": 280}}}%%', "flowchart TD"]
    for room in sorted(edges, key=lambda room: (-depth(room, edges), room)):
        note = notes.get(room, lines[room]).replace('"', "'").replace("`", "")
        text.append(f'    {room}["<b>{titles.get(room, room)}</b><br>{note}"]')
    for room, targets in sorted(edges.items()):
        for target in sorted(targets - implied(room, edges)):
            text.append(f"    {room} --> {target}")
    return "\n".join(text) + "\n"


def depth(room, edges):
    """How many rooms lie below, on the longest way."""
    return max((1 + depth(target, edges) for target in edges[room]), default=0)


def implied(room, edges):
    """The rooms that `room` reaches by way of another one."""
    found, waiting = set(), [t for target in edges[room] for t in edges[target]]
    while waiting:
        target = waiting.pop()
        if target not in found:
            found.add(target)
            waiting += edges[target]
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")
    print(f"wrote the pictures in {PAGE.name}")
