"""Installs into a Python environment: with uv where there is one, else with pip.

A step is one line on standard error with the time it took; the tool's own words are
shown only when it fails. Standard library only.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from builder.errors import BookError
from builder.setup import requirements

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu/"


def find_uv():
    """The path of a uv that runs: a version manager's shim may lead nowhere."""
    uv = shutil.which("uv")
    return uv if uv and run([uv, "--version"]).returncode == 0 else None


def install(uv, python, paths, normal, alone, project):
    """Install three lists: with dependencies, without, and the project in place.

    `paths` are the folders that `python` imports from, and `uv` None means pip.
    """
    env = _uv_environment(os.environ) if uv else dict(os.environ)
    command = [python, "-P", "-m", "pip", "install", "--no-input"]
    if uv:
        command = [uv, "pip", "install", "--python", python]
    command += ["--constraint", requirements.ROOT / "constraints.txt"]
    if normal:
        names = list(dict.fromkeys(map(requirements.name_of, normal)))
        options = cpu_torch(uv, paths, env) if "torch" in names else []
        step(f"installing {shortened(names)}", [*command, *options, *normal], env)
    if alone:
        title = f"installing {' and '.join(alone)} without dependencies"
        step(title, [*command, "--no-deps", *alone], env)
    if project:
        title = "installing the project in place"
        step(title, [*command, "--no-deps", "--editable", requirements.ROOT], env)


def _uv_environment(environ):
    """The environment for uv, which reads neither pip's variables nor its files."""
    env = dict(environ)
    if links := environ.get("PIP_FIND_LINKS"):
        env.setdefault("UV_FIND_LINKS", ",".join(links.split()))
    if index := environ.get("PIP_INDEX_URL"):
        env.setdefault("UV_DEFAULT_INDEX", index)
    if more := environ.get("PIP_EXTRA_INDEX_URL"):
        env.setdefault("UV_INDEX", more)
        # as pip does: the best version of all indexes, not that of the first
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if certificates := environ.get("PIP_CERT"):
        env.setdefault("SSL_CERT_FILE", certificates)
    return env


def cpu_torch(uv, paths, env):
    """Options, or settings put into `env`, for a CPU build of torch if one is offered.

    On Linux the package index's own build brings several GB of CUDA libraries.
    """
    pin = requirements.pin("torch")
    present = requirements.installed(paths).get("torch", "").partition("+")[0]
    if sys.platform != "linux" or present == pin or _has_nvidia_driver():
        return []
    if "UV_TORCH_BACKEND" in env or _is_cpu_wheel_in_links(pin, paths):
        return []
    if not _is_reachable(TORCH_CPU_INDEX):
        say("no CPU build of torch is within reach: the one with CUDA has several GB")
        return []
    if uv:
        env["UV_TORCH_BACKEND"] = "cpu"
        return []
    return ["--extra-index-url", TORCH_CPU_INDEX]


def _has_nvidia_driver():
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia").exists()


def _is_cpu_wheel_in_links(version, paths):
    """Whether a folder of wheels offers a CPU build for the environment's Python."""
    minor = re.search(r"python3\.(\d+)", " ".join(map(str, paths)))[1]
    wheel = f"torch-{version}+cpu-cp3{minor}-*{os.uname().machine}.whl"
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    links += filter(None, os.environ.get("UV_FIND_LINKS", "").split(","))
    folders = [Path(link.removeprefix("file://")) for link in links]
    return any(any(folder.glob(wheel)) for folder in folders)


def _is_reachable(address):
    """Whether an address answers in five seconds, the look-up of its name included."""
    import threading
    import urllib.request

    answers = []

    def ask():
        request = urllib.request.Request(address, method="HEAD")
        with contextlib.suppress(Exception):  # whatever it is, there was no answer
            answers.append(urllib.request.urlopen(request, timeout=5))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(5)
    return bool(answers)


def step(title, command, env=None):
    """Run a command as one step of the set-up; a failure says what to do about it."""
    print(f"  {title} ...", end=" ", file=sys.stderr, flush=True)
    start = time.monotonic()
    done = run(command, env)
    if done.returncode:
        say("failed")
        raise BookError(_failure(title, done.stdout))
    say(f"{time.monotonic() - start:.1f} s")


def run(command, env=None):
    """Run a command to its end, without input, and keep what it prints."""
    return subprocess.run(
        [str(part) for part in command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def say(text):
    """Tell the person, beside what the command itself writes."""
    print(text, file=sys.stderr, flush=True)


def shortened(names):
    """A list of names in a sentence, not too long a one."""
    rest = len(names) - 6
    return ", ".join(names[:6]) + (f" and {rest} more" if rest > 0 else "")


NO_NETWORK = (
    "name resolution|dns error|failed to lookup|network is unreachable|connect error"
    "|connection refused|failed to establish a new connection|timed out|connecttimeout"
    "|error sending request"
)


def _failure(title, output):
    lines = output.strip().splitlines()[-12:]
    if "No space left" in output:
        remedy = "the disk is full (all four frameworks take about 4 GB): make room"
    elif unreached := re.findall(f".*(?:{NO_NETWORK}).*", output, re.IGNORECASE):
        # what a resolver concludes from an index without packages only misleads
        lines = unreached[-4:]
        remedy = (
            "the package index cannot be reached: connect to the network, or name a "
            "mirror in PIP_INDEX_URL or a folder of wheels in PIP_FIND_LINKS (uv does "
            "not read pip's configuration files)"
        )
    else:
        remedy = "mend what these lines name"
    quoted = "".join(f"    {line.strip()}\n" for line in lines)
    return f"{title} failed:\n{quoted}{remedy}, and run the same command again"
