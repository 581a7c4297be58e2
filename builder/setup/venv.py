"""One virtual environment of the book's: created, extended and repaired in place.

Standard library only.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.errors import BookError
from builder.setup import installer, requirements
from builder.setup.builds import Build
from builder.setup.requirements import ROOT


@dataclass(frozen=True)
class Venv:
    """The environment in `folder`, in which `builds` are those for GPUs, by framework."""

    folder: Path
    builds: Mapping[str, Build]

    @property
    def python(self) -> Path:
        """Its interpreter, whether or not it exists."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def sites(self) -> list[Path]:
        """Its folders of packages."""
        nt = os.name == "nt"
        pattern = "Lib/site-packages" if nt else "lib/python3*/site-packages"
        return list(self.folder.glob(pattern))

    def is_fresh(self, extras: Sequence[str]) -> bool:
        """Whether it has the extras, as far as a few milliseconds can tell."""
        if self._unfinished.exists() or not os.access(self.python, os.X_OK):
            return False
        have = requirements.installed(self.sites).items()
        lines = {f"{name} {version}" for name, version in have}
        for extra in extras:
            try:
                first, *rest = self._stamp(extra).read_text("utf-8").splitlines()
            except (OSError, ValueError):
                return False
            if first != self._fingerprint(extra) or not lines.issuperset(rest):
                return False
        return True

    def extend(self, extras: Sequence[str], fault: str | None = None) -> None:
        """Install the extras; first create it, or recreate it if it has a `fault`."""
        uv = installer.find_uv()
        fault = self._fault(uv) or fault
        if fault:
            self._create(uv, fault)
        elif self._unfinished.exists():
            self._forget_partial()
        self._unfinished.parent.mkdir(exist_ok=True)
        self._unfinished.touch()
        normal, alone = requirements.asked_for(extras, self.builds)
        project = [] if requirements.is_in_place(self.sites) else ["d2lext"]
        python, sites = str(self.python), self.sites
        installer.install(uv, python, sites, normal, alone, project, self.builds)
        self._write_stamps(extras)
        self._unfinished.unlink()

    def _stamp(self, extra: str) -> Path:
        """The file that records what an extra was set up with, and the versions it got."""
        return self.folder / "set-up" / extra

    @property
    def _unfinished(self) -> Path:
        """The marker that an interrupted set-up leaves behind."""
        return self.folder / "set-up" / "unfinished"

    def _fingerprint(self, extra: str) -> str:
        import hashlib

        digest = hashlib.sha256()
        for name in ("pyproject.toml", "constraints.txt"):
            digest.update((ROOT / name).read_bytes())
        # A moved folder, or another interpreter behind the link, calls for a closer look.
        digest.update(f"{ROOT}\n{os.path.realpath(self.python)}".encode())
        digest.update(repr(self.builds.get(extra)).encode())
        return digest.hexdigest()

    def _write_stamps(self, extras: Sequence[str]) -> None:
        have = requirements.installed(self.sites)
        for extra in extras:
            normal, alone = requirements.asked_for([extra], self.builds)
            names = {
                requirements.name_of(requirement) for requirement in normal + alone
            }
            if extra == "base":
                names.add("d2lext")
            lines = [f"{name} {have[name]}" for name in sorted(names)]
            text = "\n".join([self._fingerprint(extra), *lines, ""])
            files.write(self._stamp(extra), text)

    def _fault(self, uv: str | None) -> str | None:
        """Why it has to be recreated, or None if it can be extended."""
        if not os.access(self.python, os.X_OK):
            return "it has no interpreter"
        program = (
            "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), "
            "(3, 11) <= sys.version_info[:2] <= (3, 13), sep='\\n')"
        )
        # in UTF-8, which the path may need and a locale may lack
        answer = installer.run([self.python, "-I", "-X", "utf8", "-c", program])
        if answer.returncode:
            return "its interpreter does not run"
        prefix, site, is_supported = answer.stdout.splitlines()
        if Path(prefix).resolve() != self.folder.resolve() or not Path(site).is_dir():
            return "it is incomplete"
        if is_supported != "True":
            return "its Python is not 3.11, 3.12 or 3.13"
        if requirements.project_folder(self.sites) and not requirements.is_in_place(
            self.sites
        ):
            return "it was made for another folder"
        pip = [str(self.python), "-P", "-m", "pip", "--version"]
        if not uv and installer.run(pip).returncode:
            return "it has no working pip"
        return None

    def _create(self, uv: str | None, fault: str) -> None:
        from importlib.util import find_spec

        # Not the interpreter of an active environment: ours may outlive that environment.
        base = getattr(sys, "_base_executable", sys.executable)
        if uv:
            command = [uv, "venv", "--python", base, self.folder]
        elif find_spec("venv") and find_spec("ensurepip"):
            command = [base, "-P", "-m", "venv", self.folder]
        else:
            raise BookError(
                "this Python has no venv module: install it (Debian, Ubuntu: apt install "
                "python3-venv), or install uv, and run the same command again"
            )
        name = self.folder.name
        if self.folder.exists():
            installer.say(f"recreating {name}: {fault}")
            shutil.rmtree(self.folder)
        version = "{}.{}.{}".format(*sys.version_info)
        installer.step(f"creating {name} with Python {version}", command)

    def _forget_partial(self) -> None:
        """Remove the dist-info of packages that an interrupted set-up left incomplete.

        Without that folder a distribution counts as missing, so it is installed again.
        """
        for site in self.sites:
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
