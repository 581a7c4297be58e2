"""Installs into a Python environment: with uv if there is one, else with pip.

Each step prints one line on standard error with the time it took; the tool's own output
is shown only if it fails. Standard library only.
"""

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from builder.errors import BookError
from builder.setup import requirements
from builder.setup.builds import VENVS, Build

TORCH_INDEX = "https://download.pytorch.org/whl/{}/"
_OF_UV = {  # what uv calls a setting of pip's
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_PROXY": "ALL_PROXY",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
}
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "PIP_PROXY")


def find_uv() -> str | None:
    """The path of a uv that runs: a version manager's shim may lead nowhere.

    Not that of the book's own environments: it is for tests, and goes when one of them is
    made anew. Where its cache cannot be written, as in a read-only home, it goes without.
    """
    ours = [requirements.ROOT / name for name in VENVS]
    path = [each for each in os.get_exec_path() if Path(each).parent not in ours]
    uv = shutil.which("uv", path=os.pathsep.join(path))
    answer = run([uv, "cache", "dir"]) if uv else None
    if answer is None or answer.returncode:
        return None
    folder = Path(answer.stdout.strip())
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK):
        os.environ.setdefault("UV_NO_CACHE", "1")
    return uv


def install(
    uv: str | None,
    python: str,
    paths: Sequence[str | Path],
    normal: Sequence[str],
    alone: Sequence[str],
    project: Sequence[str],
    builds: Mapping[str, Build],
    constrained: bool = True,
) -> None:
    """Install three lists: with dependencies, without, and the project in place.

    `python` imports from the folders `paths`; without a `uv`, pip installs. `builds` are
    those for GPUs. Unless `constrained`, versions are the newest that are allowed.
    """
    env = uv_environment(os.environ) if uv else dict(os.environ)
    command: list[str | Path] = [python, "-I", "-m", "pip", "install", "--no-input"]
    if uv:
        command = [uv, "pip", "install", "--python", python]
        command += ["--no-index"] if _has_no_index(env) else []
    if constrained:
        command += ["--constraint", requirements.ROOT / "constraints.txt"]
    if normal:
        names = list(dict.fromkeys(map(requirements.name_of, normal)))
        torch = builds.get("torch")
        index = torch.index if torch else None
        options: list[str] = []
        if "torch" in names:
            options = (
                torch_index(uv, index, paths, env)
                if constrained
                else cpu_index(uv, env)
            )
        step(f"installing {shortened(names)}", [*command, *options, *normal], env)
    if alone:
        title = f"installing {' and '.join(alone)} without dependencies"
        step(title, [*command, "--no-deps", *alone], env)
    if project:
        title = "installing the project in place"
        # from within: uv cannot read every path that a folder may have
        step(title, [*command, "--no-deps", "--editable", "."], env, requirements.ROOT)


def uv_environment(environ: os._Environ[str]) -> dict[str, str]:
    """The environment for uv, which reads neither pip's variables nor its files."""
    env = dict(environ)
    if links := environ.get("PIP_FIND_LINKS"):
        env.setdefault("UV_FIND_LINKS", ",".join(links.split()))
    if environ.get("PIP_EXTRA_INDEX_URL"):
        # as pip does: the best version of all indexes, not that of the first
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    for pip, uv in _OF_UV.items():
        if value := environ.get(pip):
            env.setdefault(uv, value)
    return env


def _has_no_index(environ: Mapping[str, str]) -> bool:
    """Whether the user has told pip to take wheels from folders alone."""
    value = environ.get("PIP_NO_INDEX", "").lower()
    return value not in ("", "0", "f", "false", "n", "no")


def torch_index(
    uv: str | None, index: str | None, paths: Sequence[str | Path], env: dict[str, str]
) -> list[str]:
    """Options, or settings put into `env`, for the torch of a GPU's `index` or for the CPU.

    An empty `index` stands for the package index, None for a build for the CPU.
    """
    if index is None:
        pin = requirements.pin("torch")
        present = requirements.installed(paths).get("torch", "").partition("+")[0]
        if sys.platform != "linux" or present == pin:
            return []
        return [] if _is_cpu_wheel_in_links(pin, paths) else cpu_index(uv, env)
    return _options(uv, index, env) if index else []


def cpu_index(uv: str | None, env: dict[str, str]) -> list[str]:
    """As `torch_index`, for PyTorch's own index of CPU builds, if it can be reached.

    On Linux the package index's own build brings several GB of CUDA libraries.
    """
    if sys.platform != "linux" or "UV_TORCH_BACKEND" in env or _has_no_index(env):
        return []
    if not offers("cpu"):
        say("no CPU build of torch can be reached: the one with CUDA takes several GB")
        return []
    return _options(uv, "cpu", env)


def _options(uv: str | None, index: str, env: dict[str, str]) -> list[str]:
    if uv:
        env.setdefault("UV_TORCH_BACKEND", index)
        return []
    return ["--extra-index-url", TORCH_INDEX.format(index)]


def _is_cpu_wheel_in_links(version: str, paths: Sequence[str | Path]) -> bool:
    """Whether a folder of wheels offers a CPU build for the environment's Python."""
    [minor, *_] = re.findall(r"python3\.(\d+)", " ".join(map(str, paths)))
    wheel = f"torch-{version}+cpu-cp3{minor}-*{platform.machine()}.whl"
    return any(any(folder.glob(wheel)) for folder in folders_of_wheels())


def folders_of_wheels() -> list[Path]:
    """The folders in which the user lets pip or uv look for wheels."""
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    links += filter(None, os.environ.get("UV_FIND_LINKS", "").split(","))
    return [
        Path(unquote(link[7:]) if link.startswith("file://") else link)
        for link in links
    ]


def offers(index: str, package: str = "torch") -> bool:
    """Whether one of PyTorch's own indexes has a build of the pinned version.

    One that does not answer within ten seconds, name resolution included, has not.
    """
    import threading
    import urllib.request

    address, pages = f"{TORCH_INDEX.format(index)}{package}/", []

    def ask():
        # any failure means no answer
        with (
            contextlib.suppress(Exception),
            urllib.request.urlopen(address, timeout=5) as answer,
        ):
            pages.append(answer.read().decode())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(10)
    wheel = f"{package}-{requirements.pin(package)}+{index}-"
    return any(wheel in page.replace("%2B", "+") for page in pages)


def step(
    title: str,
    command: Sequence[str | Path],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command as one step of the set-up; a failure says what to do about it."""
    print(f"  {title} ...", end=" ", file=sys.stderr, flush=True)
    start = time.monotonic()
    done = run(command, env, cwd)
    if done.returncode:
        say("failed")
        raise BookError(_failure(title, done.stdout))
    say(f"{time.monotonic() - start:.1f} s")


def run(
    command: Sequence[str | Path],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to completion, without input; its output is in `stdout`."""
    return subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def say(text: str) -> None:
    """Tell the user on standard error, apart from the command's own output."""
    print(text, file=sys.stderr, flush=True)


def shortened(names: Sequence[str]) -> str:
    """The names as a list for a sentence: at most six, and how many more."""
    rest = len(names) - 6
    return ", ".join(names[:6]) + (f" and {rest} more" if rest > 0 else "")


NO_NETWORK = (
    "name resolution|dns error|failed to lookup|network is unreachable|connect error"
    "|connection refused|failed to establish a new connection|timed out|connecttimeout"
    "|error sending request|proxyerror|cannot connect to proxy|tunnel"
)


def _failure(title: str, output: str) -> str:
    lines = output.strip().splitlines()[-12:]
    if "No space left" in output:
        remedy = "the disk is full (all four frameworks take about 4 GB): make room"
    elif unreached := re.findall(f".*(?:{NO_NETWORK}).*", output, re.IGNORECASE):
        # What a resolver concludes from an index without packages is misleading.
        lines = unreached[-4:]
        proxy = next(
            (f", through {each}" for each in _PROXIES if each in os.environ), ""
        )
        remedy = (
            f"the package index cannot be reached{proxy}: connect to the network, name a "
            "mirror in PIP_INDEX_URL, or a folder of wheels in PIP_FIND_LINKS (uv does not "
            "read pip's configuration files)"
        )
    else:
        remedy = "fix what these lines report"
    quoted = "".join(f"    {line.strip()}\n" for line in lines)
    return f"{title} failed:\n{quoted}{remedy}, and run the same command again"
