"""What the extras ask for, and what of it an environment holds.

Read from pyproject.toml, constraints.txt and the names of dist-info folders: no
installer is asked, because every command begins with this. Standard library only.
"""

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

from d2lext.core.frameworks import IDS

ROOT = Path(__file__).resolve().parents[2]


def asked_for(extras):
    """The requirements to install with, and those to install without, dependencies.

    The metadata of MXNet and d2l ask for a NumPy that the others have left behind,
    so these two come without dependencies, in the versions of constraints.txt.
    """
    import tomllib  # only here: most commands find everything installed

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = {"base": project["dependencies"], **project["optional-dependencies"]}
    normal = [requirement for extra in extras for requirement in table[extra]]
    alone = ["d2l"] if set(extras) & set(IDS) else []
    if "mxnet" in extras:
        alone.append("mxnet")
    return normal, [f"{name}=={pin(name)}" for name in alone]


def pin(name):
    """The version of a distribution that constraints.txt names."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return re.search(rf"^{name}==(\S+)", text, re.MULTILINE)[1]


def lacking(extras, paths):
    """What the extras ask for and `paths` lack: as in `asked_for`, and the project."""
    have = installed(paths)
    normal, alone = (
        [requirement for requirement in some if not _is_met(requirement, have)]
        for some in asked_for(extras)
    )
    return normal, alone, [] if is_in_place(paths) else ["d2lext"]


def installed(paths):
    """Versions by name of distribution."""
    found = {}
    for path in filter(os.path.isdir, paths):
        for entry in os.listdir(path):
            if match := re.fullmatch(r"(.+)-([^-]+)\.dist-info", entry):
                found.setdefault(_canonical(match[1]), match[2])
    return found


def name_of(requirement):
    """The name of a requirement's distribution, as `installed` spells it."""
    return _canonical(re.match(r"[\w.-]+", requirement)[0])


def is_in_place(paths):
    """Whether the d2lext that `paths` hold is this folder's."""
    return project_folder(paths) == unquote(ROOT.as_uri())


def project_folder(paths):
    """Where the d2lext that was installed in place lies, as a file: address."""
    for path in paths:
        for note in Path(path).glob("d2lext-*.dist-info/direct_url.json"):
            origin = json.loads(note.read_text("utf-8"))
            if origin.get("dir_info", {}).get("editable"):
                return unquote(origin["url"]).rstrip("/")
    return None


def _canonical(name):
    name = re.sub(r"[-_.]+", "-", name).lower()
    # two builds of one package: either will do where the other is asked for
    return "tensorflow" if name == "tensorflow-cpu" else name


def _is_met(requirement, have):
    version = have.get(name_of(requirement))
    if version is None:
        return False
    bounds = requirement.partition(";")[0]
    compare = {
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "==": lambda a, b: a == b,
    }
    return all(
        compare[operator](_numbers(version), _numbers(bound))
        for operator, bound in re.findall(r"(>=|<|==)([^,\s]+)", bounds)
    )


def _numbers(version):
    numbers = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]
    return (numbers + [0] * 4)[:4]
