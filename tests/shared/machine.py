"""A simulated computer to set up, whose tools are fake."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

from builder.setup import requirements
from d2lext.core.frameworks import IDS

MINOR = sys.version_info.minor
EVERYTHING = {*IDS, "book", "lab", "test"}


def distribution(site, name, version, record=""):
    """Leave the traces of an installed distribution in a site-packages folder."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "RECORD").write_text(record)
    return info


def project_in_place(site, folder, editable=True):
    note = distribution(site, "d2lext", "0.1.0") / "direct_url.json"
    origin = {"url": folder.as_uri(), "dir_info": {"editable": editable}}
    note.write_text(json.dumps(origin))


class Machine:
    """A computer with fake tools, which record their commands and leave traces."""

    def __init__(self, root):
        self.root = root
        self.venv = root / ".venv"
        self.programs = {}  # what is on PATH
        self.commands = []
        self.environments = []
        self.answers = {}  # word in a command: exit status and output
        self.interrupt_at = None
        self.kind = "linux-x86_64"
        self.nvidia = ""  # what NVIDIA's driver says of itself and its card

    @property
    def site(self):
        return self.site_of(self.venv)

    def site_of(self, venv):
        return venv / f"lib/python3.{MINOR}/site-packages"

    def run(self, command, env=None, cwd=None):
        command = [str(part) for part in command]
        self.commands.append(command)
        self.environments.append(env)
        if self.interrupt_at in command:
            raise KeyboardInterrupt
        for word, (status, output) in self.answers.items():
            if word in command:
                return SimpleNamespace(returncode=status, stdout=output)
        output = ""
        if "venv" in command:
            self.make_venv(Path(command[-1]))
        elif "install" in command:
            uv = "--python" in command and command[command.index("--python") + 1]
            site = self.site_of(Path(uv or command[0]).parents[1])
            build = "+cpu" if env.get("UV_TORCH_BACKEND") == "cpu" else ""
            self.install(_arguments(command), site, build)
        elif "-c" in command:
            venv = Path(command[0]).parents[1]
            output = f"{venv}\n{self.site_of(venv)}\nTrue\n"
        return SimpleNamespace(returncode=0, stdout=output)

    def make_venv(self, venv=None):
        venv = venv or self.venv
        assert not venv.exists(), "the old environment must be removed first"
        (venv / "bin").mkdir(parents=True)
        self.site_of(venv).mkdir(parents=True)
        python = venv / "bin/python"
        python.touch()
        python.chmod(0o755)

    def install(self, arguments, site, build):
        for argument in arguments:
            if argument == ".":
                project_in_place(site, self.root)
            elif not argument.startswith("-") and "://" not in argument:
                name = requirements.name_of(argument)
                have = requirements.installed([site])
                if not requirements._is_met(argument, have):
                    for old in site.glob(f"{name.replace('-', '_')}-*.dist-info"):
                        shutil.rmtree(old)
                    _, exactly, local = argument.partition("==")
                    version = local if "+" in local else requirements.pin(name)
                    if name == "torch" and not exactly and "!=" not in argument:
                        version += build
                    distribution(site, name, version)

    def installs(self):
        """The commands that install, each without its path and constraints."""
        return [
            _arguments(command) for command in self.commands if "install" in command
        ]


def _arguments(command):
    """What a command installs, and how, without its path and constraints."""
    last = "--constraint" if "--constraint" in command else "--python"
    return command[command.index(last) + 2 :]
