"""The Python environments that the book runs in: which there are, and what is in them.

`command/` decides which extras a verb needs, builds.py which builds of the frameworks the
machine gets; venv.py makes the environments. Standard library only.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

from builder import files
from builder.errors import BookError
from builder.setup import builds, installer, machine, requirements
from builder.setup.builds import MAIN, VENVS, Choice
from builder.setup.requirements import ROOT
from builder.setup.venv import Venv
from d2lext.core.frameworks import IDS, TITLES

Plan = list[tuple[Venv, list[str]]]  # environments, and the extras that each must have


def ensure(
    needs: Collection[str], is_setup: bool = False, gpu: str | None = None
) -> str:
    """An interpreter with the project, its base packages and the extras `needs`.

    An active conda or virtual environment that has them all is used as is. Otherwise
    `.venv` is created, repaired or extended. What trains on the GPU in an environment of
    its own gets that one, too. Only the verb `setup` changes the active environment, and
    looks for a GPU where `.venv` exists; `gpu` is its option.
    """
    needs = _installable(needs)
    try:
        choice = _chosen(gpu) if is_setup else _remembered() or Choice()
        active = _active_prefix()
        lacking = _still_lacking(active, needs, choice, is_setup) if active else []
        if active and not lacking:
            if is_setup:
                _set_up(_plan(needs, choice)[1:], choice)
            return sys.executable
        if not (is_setup or _remembered() or _is_fresh(_plan(needs, choice))):
            choice = _chosen(gpu)
        plan = _plan(needs, choice)
        if active and not _is_fresh(plan):
            missing = installer.shortened(lacking)
            installer.say(f"using .venv: the active {active} lacks {missing}")
        _set_up(plan, choice)
    except OSError as error:
        raise BookError(
            f"cannot set up {ROOT / MAIN}: {error}. Make the folder writable, or delete "
            ".venv, and run the same command again"
        ) from error
    if not is_setup and choice == Choice() and machine.has_nvidia_driver():
        installer.say(
            "NVIDIA's driver is here, and .venv is for the CPU: python build.py setup "
            "makes it one for the GPU, setup --gpu none keeps it and ends this line"
        )
    return str(_venv(MAIN, choice).python)


def interpreter(backends: Collection[str]) -> str:
    """The interpreter of the environment in which all these frameworks train.

    Where they train in different ones, it is this one, which has them all.
    """
    choice = _remembered() or Choice()
    names = {build.venv for name, build in choice.builds().items() if name in backends}
    if len(names) == 1 and MAIN not in names and set(backends) <= set(choice.builds()):
        python = _venv(names.pop(), choice).python
        if os.access(python, os.X_OK):
            return str(python)
    return sys.executable


def hand_over(python: str, arguments: Sequence[str]) -> NoReturn:
    """Go on as a program of another interpreter."""
    # -P: run from d2lext/, Python would import that folder's own torch and jax.
    command = [python, "-P", *arguments]
    if os.name == "posix":
        os.execv(python, command)
    try:  # elsewhere, execv neither waits nor quotes
        sys.exit(subprocess.call(command))
    except KeyboardInterrupt:  # of which the program has told
        sys.exit(130)


def summary(python: str, needs: Collection[str]) -> str:
    """What `ensure` has prepared, in a line, and what trains where."""
    choice = _remembered() or Choice()
    main = _venv(MAIN, choice)
    is_ours = python == str(main.python)
    have = requirements.installed(main.sites if is_ours else sys.path)
    parts = [f"{name} {have[name]}" for name in IDS if name in needs and name in have]
    parts += sorted(set(needs) - set(IDS))
    ready = f"ready in {main.folder if is_ours else sys.prefix}: {', '.join(parts)}"
    lines = [ready, *builds.remarks(choice, have)]
    used = {MAIN, *(build.venv for build in choice.builds().values())}
    if old := [name for name in VENVS if name not in used and (ROOT / name).exists()]:
        lines.append(f"no longer used, free to be deleted: {' and '.join(old)}")
    return "\n".join(lines)


def _installable(needs: Collection[str]) -> list[str]:
    """The extras less the frameworks that this kind of machine cannot have."""
    missing = [name for name in IDS if name in needs and not machine.has_wheels(name)]
    if missing:
        titles, kind = ", ".join(TITLES[name] for name in missing), machine.kind()
        installer.say(f"skipped: {titles}, without a current build for {kind}")
        if kind == "darwin-x86_64":  # as Rosetta, too, makes a Mac look
            installer.say("an Apple processor needs a Python for arm64")
    return sorted(set(needs) - set(missing))


def _active_prefix() -> Path | None:
    """The folder of the active conda or virtual environment, unless it is `.venv`."""
    prefix = Path(sys.prefix)
    is_active = sys.prefix != sys.base_prefix or (prefix / "conda-meta").is_dir()
    ours = [(ROOT / name).resolve() for name in VENVS]
    return prefix if is_active and prefix.resolve() not in ours else None


def _still_lacking(
    active: Path, needs: Sequence[str], choice: Choice, is_setup: bool
) -> list[str]:
    """What the active environment lacks; the verb `setup` installs it there."""
    own = _venv(MAIN, choice).builds if is_setup else {}
    lacking = requirements.lacking([*needs, "base"], sys.path, own)
    # condabin marks conda's base environment, which holds conda itself
    if any(lacking) and is_setup and not (active / "condabin").is_dir():
        installer.say(f"setting up the active environment, {active}")
        uv = installer.find_uv()
        installer.install(uv, sys.executable, sys.path, *lacking, own)
        return []
    return sum(lacking, [])


def _chosen(gpu: str | None) -> Choice:
    """The choice for what the machine has now; the user's option is remembered."""
    kept = _remembered() or Choice()
    return builds.choose(gpu or kept.option, machine.ask_nvidia(), installer.offers)


def _remembered() -> Choice | None:
    """The choice that the environments were last set up with."""
    for name in VENVS:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads((ROOT / name / "set-up" / "gpu").read_bytes())
            return Choice(**{**kept, "frameworks": tuple(kept["frameworks"])})
    return None


def _venv(name: str, choice: Choice) -> Venv:
    own = {f: build for f, build in choice.builds().items() if build.venv == name}
    return Venv(ROOT / name, own)


def _plan(needs: Sequence[str], choice: Choice) -> Plan:
    """`.venv` with all extras, and the others with what trains on the GPU there."""
    main, *others = (_venv(name, choice) for name in VENVS)
    plan = [(main, [*needs, "base"])]
    for venv in others:
        if set(venv.builds) & set(needs):
            own = [each for each in needs if each in venv.builds or each not in IDS]
            plan.append((venv, [*own, "base"]))
    return plan


def _is_fresh(plan: Plan) -> bool:
    return all(venv.is_fresh(extras) for venv, extras in plan)


def _set_up(plan: Plan, choice: Choice) -> None:
    """Bring the environments to what the `plan` says, one process at a time."""
    if _is_fresh(plan) and choice == (_remembered() or Choice()):
        return
    with _lock():
        before = _remembered() or Choice()
        for venv, extras in plan:
            if venv.is_fresh(extras):
                continue
            if own := [TITLES[each] for each in extras if each in venv.builds]:
                installer.say(
                    f"for the GPU in {venv.folder.name}: {' and '.join(own)}, 2 to 4 GB to "
                    "download (python build.py setup --gpu none: for the CPU)"
                )
            old = _venv(venv.folder.name, before).builds
            is_other = any(
                venv.builds.get(name) != build for name, build in old.items()
            )
            now = "the CPU" if choice.cuda == "none" else choice.cuda
            fault = f"it was set up for {before.cuda}, and is to be for {now}"
            venv.extend(extras, fault if is_other else None)
        text = json.dumps(dataclasses.asdict(choice)) + "\n"
        for name in VENVS:
            if (ROOT / name / "set-up").is_dir():
                files.write(ROOT / name / "set-up" / "gpu", text)


def _lock() -> AbstractContextManager[bool]:
    """Let one set-up at a time change the environments."""
    return files.locked(
        ROOT / "pyproject.toml",
        lambda: installer.say("waiting for another set-up to finish"),
    )
