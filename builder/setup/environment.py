"""The Python environment that the book runs in: created, extended and repaired in place.

`command/` decides which extras a verb needs, requirements.py knows what they require,
and installer.py installs it. Standard library only.
"""

import os
import shutil
import sys
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from builder import files
from builder.errors import BookError
from builder.setup import installer, requirements
from builder.setup.requirements import ROOT
from d2lext.core.frameworks import IDS

VENV = ROOT / ".venv"


def ensure(needs: Collection[str], into_active: bool = False) -> str:
    """An interpreter with the project, its base packages and the extras `needs`.

    An active conda or virtual environment that has them all is used as is. Otherwise
    `.venv` is created, repaired or extended. The active environment itself is changed
    only with `into_active`, for the verb `setup`.
    """
    extras = [*_installable(needs), "base"]
    active = _active_prefix()
    try:
        if active:
            lacking = requirements.lacking(extras, sys.path)
            if not any(lacking):
                return sys.executable
            # condabin marks conda's base environment, which holds conda itself
            if into_active and not (active / "condabin").is_dir():
                installer.say(f"setting up the active environment, {active}")
                uv = installer.find_uv()
                installer.install(uv, sys.executable, sys.path, *lacking)
                return sys.executable
        if not _is_fresh(extras):
            if active:
                missing = installer.shortened(sum(lacking, []))
                installer.say(f"using .venv: the active {active} lacks {missing}")
            with _lock():
                if not _is_fresh(extras):
                    _extend(extras)
    except OSError as error:
        raise BookError(
            f"cannot set up {VENV}: {error}. Make the folder writable, or delete "
            ".venv, and run the same command again"
        ) from error
    return str(_python())


def summary(python: str, needs: Collection[str]) -> str:
    """One line that says what `ensure` has prepared."""
    is_ours = python == str(_python())
    have = requirements.installed(_sites() if is_ours else sys.path)
    parts = [f"{name} {have[name]}" for name in IDS if name in needs and name in have]
    parts += sorted(set(needs) - set(IDS))
    return f"ready in {VENV if is_ours else sys.prefix}: {', '.join(parts)}"


def mxnet_has_wheels() -> bool:
    """Whether MXNet's last release can be installed on this kind of machine."""
    return sys.platform in ("linux", "darwin") and os.uname().machine == "x86_64"


def _installable(needs: Collection[str]) -> list[str]:
    if "mxnet" in needs and not mxnet_has_wheels():
        installer.say(
            "MXNet is skipped: its last release is for Linux and macOS on x86-64 "
            "only. The other three frameworks work here"
        )
        needs = set(needs) - {"mxnet"}
    return sorted(needs)


def _active_prefix() -> Path | None:
    """The folder of the active conda or virtual environment, unless it is `.venv`."""
    prefix = Path(sys.prefix)
    is_active = sys.prefix != sys.base_prefix or (prefix / "conda-meta").is_dir()
    return prefix if is_active and prefix.resolve() != VENV.resolve() else None


def _python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _sites() -> list[Path]:
    pattern = "Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"
    return list(VENV.glob(pattern))


def _stamp(extra: str) -> Path:
    """The file that records what an extra was set up with, and the versions it got."""
    return VENV / "set-up" / extra


def _unfinished() -> Path:
    """The marker that an interrupted set-up leaves behind."""
    return VENV / "set-up" / "unfinished"


def _fingerprint() -> str:
    import hashlib

    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    # A moved folder, or another interpreter behind the link, calls for a closer look.
    digest.update(f"{ROOT}\n{os.path.realpath(_python())}".encode())
    return digest.hexdigest()


def _is_fresh(extras: Sequence[str]) -> bool:
    """Whether `.venv` has the extras, as far as a few milliseconds can tell."""
    if _unfinished().exists() or not os.access(_python(), os.X_OK):
        return False
    fingerprint = _fingerprint()
    have = requirements.installed(_sites()).items()
    lines = {f"{name} {version}" for name, version in have}
    for extra in extras:
        try:
            first, *rest = _stamp(extra).read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return False
        if first != fingerprint or not lines.issuperset(rest):
            return False
    return True


def _write_stamps(extras: Sequence[str]) -> None:
    have = requirements.installed(_sites())
    for extra in extras:
        normal, alone = requirements.asked_for([extra])
        names = {requirements.name_of(requirement) for requirement in normal + alone}
        if extra == "base":
            names.add("d2lext")
        lines = [_fingerprint(), *(f"{name} {have[name]}" for name in sorted(names))]
        files.write(_stamp(extra), "".join(f"{line}\n" for line in lines))


def _extend(extras: Sequence[str]) -> None:
    """Install the extras into `.venv`, which is first created or repaired if necessary."""
    uv = installer.find_uv()
    fault = _fault(uv)
    if fault:
        _create(uv, fault)
    elif _unfinished().exists():
        _forget_partial()
    _unfinished().parent.mkdir(exist_ok=True)
    _unfinished().touch()
    normal, alone = requirements.asked_for(extras)
    project = [] if requirements.is_in_place(_sites()) else ["d2lext"]
    installer.install(uv, str(_python()), _sites(), normal, alone, project)
    _write_stamps(extras)
    _unfinished().unlink()


def _fault(uv: str | None) -> str | None:
    """Why `.venv` has to be recreated, or None if it can be extended."""
    if not os.access(_python(), os.X_OK):
        return "it has no interpreter"
    program = (
        "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), "
        "(3, 11) <= sys.version_info[:2] <= (3, 13), sep='\\n')"
    )
    answer = installer.run([_python(), "-I", "-c", program])
    if answer.returncode:
        return "its interpreter does not run"
    prefix, site, is_supported = answer.stdout.splitlines()
    if Path(prefix).resolve() != VENV.resolve() or not Path(site).is_dir():
        return "it is incomplete"
    if is_supported != "True":
        return "its Python is not 3.11, 3.12 or 3.13"
    sites = _sites()
    if requirements.project_folder(sites) and not requirements.is_in_place(sites):
        return "it was made for another folder"
    if not uv and installer.run([_python(), "-P", "-m", "pip", "--version"]).returncode:
        return "it has no working pip"
    return None


def _create(uv: str | None, fault: str) -> None:
    from importlib.util import find_spec

    # Not the interpreter of an active environment: `.venv` may outlive that environment.
    base = getattr(sys, "_base_executable", sys.executable)
    if uv:
        command = [uv, "venv", "--python", base, VENV]
    elif find_spec("venv") and find_spec("ensurepip"):
        command = [base, "-P", "-m", "venv", VENV]
    else:
        raise BookError(
            "this Python has no venv module: install it (Debian, Ubuntu: apt install "
            "python3-venv), or install uv, and run the same command again"
        )
    if VENV.exists():
        installer.say(f"recreating .venv: {fault}")
        shutil.rmtree(VENV)
    version = "{}.{}.{}".format(*sys.version_info)
    installer.step(f"creating .venv with Python {version}", command)


def _forget_partial() -> None:
    """Remove the dist-info of packages that an interrupted set-up left incomplete.

    Without that folder a distribution counts as missing, so it is installed again.
    """
    for site in _sites():
        for info in site.glob("*.dist-info"):
            if not _is_complete(info):
                shutil.rmtree(info)


def _is_complete(info: Path) -> bool:
    import csv

    try:
        rows = list(csv.reader((info / "RECORD").read_text("utf-8").splitlines()))
        return all(
            (info.parent / path).stat().st_size == int(size)
            for path, _, size in rows
            if size
        )
    except (OSError, ValueError):
        return False


def _lock() -> AbstractContextManager[bool]:
    """Let one set-up at a time change `.venv`."""
    return files.locked(
        ROOT / "pyproject.toml",
        lambda: installer.say("waiting for another set-up to finish"),
    )
