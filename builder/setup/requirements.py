"""What the extras require, and how much of it an environment has.

Read from pyproject.toml, constraints.txt and the names of dist-info folders. Every command
starts here, so this must not wait for an installer. Standard library only.
"""

import json
import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from builder.setup.builds import Build
from d2lext.core.frameworks import IDS

ROOT = Path(__file__).resolve().parents[2]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_SAME = {"tensorflow-cpu": "tensorflow", "mxnet-cu117": "mxnet"}


def asked_for(
    extras: Sequence[str], builds: Mapping[str, Build] | None = None
) -> tuple[list[str], list[str]]:
    """The requirements to install with their dependencies, and those without.

    `builds` are those for GPUs, by framework. The metadata of MXNet and d2l requires an
    outdated NumPy, so these two are installed without dependencies, in the versions of
    constraints.txt.
    """
    import tomllib  # only here: most commands find everything installed

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = {"base": project["dependencies"], **project["optional-dependencies"]}
    normal = [
        requirement
        for extra in extras
        for requirement in _built(table[extra], (builds or {}).get(extra))
    ]
    alone = [f"d2l=={pin('d2l')}"] if set(extras) & set(IDS) else []
    if "mxnet" in extras:
        build = (builds or {}).get("mxnet")
        alone.append(f"{build.package if build else 'mxnet'}=={pin('mxnet')}")
    return normal, alone


def _built(requirements: Sequence[str], build: Build | None) -> list[str]:
    """A framework's requirements with the package of its `build` instead of its own."""
    if build is None:
        return list(requirements)
    name = name_of(build.package)
    found = [each for each in requirements if name_of(each) == name]
    rest = [each for each in requirements if name_of(each) != name]
    more = [each.format(pin=pin(name)) for each in build.more]
    more += [f"{name}=={pin(name)}+{build.index}"] if build.index else []
    if not found:  # MXNet, which is installed without dependencies
        return [*rest, *more]
    bounds = "".join(re.findall(r"[<>=!~].*", found[0].partition(";")[0]))
    return [*rest, build.package + bounds, *more]


def pin(name: str) -> str:
    """The version of a distribution in constraints.txt."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return dict(re.findall(r"^(.+)==(\S+)", text, re.MULTILINE))[name]


def lacking(
    extras: Sequence[str],
    paths: Sequence[str | Path],
    builds: Mapping[str, Build] | None = None,
) -> tuple[list[str], list[str], list[str]]:
    """What `paths` lack: of the two lists of `asked_for`, and of the project itself."""
    have = installed(paths)
    normal, alone = (
        [requirement for requirement in some if not _is_met(requirement, have)]
        for some in asked_for(extras, builds)
    )
    return normal, alone, [] if is_in_place(paths) else ["d2lext"]


def installed(paths: Sequence[str | Path]) -> dict[str, str]:
    """The version of each distribution, by name."""
    versions: dict[str, str] = {}
    for path in filter(os.path.isdir, paths):
        for entry in os.listdir(path):
            if match := re.fullmatch(r"(.+)-([^-]+)\.dist-info", entry):
                versions.setdefault(_canonical(match[1]), match[2])
    return versions


def name_of(requirement: str) -> str:
    """The name of a requirement's distribution, as `installed` spells it."""
    return _canonical(re.split(r"[^\w.-]", requirement)[0])


def is_in_place(paths: Sequence[str | Path]) -> bool:
    """Whether the d2lext in `paths` is this folder's."""
    return project_folder(paths) == unquote(ROOT.as_uri())


def project_folder(paths: Sequence[str | Path]) -> str | None:
    """The folder of the d2lext installed in place, as a file: address, if there is one."""
    for path in paths:
        for note in Path(path).glob("d2lext-*.dist-info/direct_url.json"):
            origin = json.loads(note.read_text("utf-8"))
            if origin.get("dir_info", {}).get("editable"):
                return unquote(origin["url"]).rstrip("/")
    return None


def _canonical(name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    # Two builds of one package: each satisfies a requirement for the other.
    return _SAME.get(name, name)


def _is_met(requirement: str, have: dict[str, str]) -> bool:
    version = have.get(name_of(requirement))
    if version is None:
        return False
    bounds = re.findall(r"(>=|<|==|!=)([^,\s]+)", requirement.partition(";")[0])
    return all(
        # a bound that names a build is about exactly that build
        _COMPARE[comparison](version, bound)
        if "+" in bound
        else _COMPARE[comparison](_numbers(version), _numbers(bound))
        for comparison, bound in bounds
    )


def _numbers(version: str) -> list[int]:
    numbers = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]
    return (numbers + [0] * 4)[:4]
