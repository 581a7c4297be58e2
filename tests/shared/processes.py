"""Python processes of a test's own."""

import multiprocessing
import os
import runpy
import subprocess
import sys

from shared import ROOT


def python(code, *arguments, **variables):
    """What a process says to `code`. It finds the project and the tests' `shared`.

    `variables` are those of its environment; one that is None is not set.
    """
    command = [sys.executable, "-c", code, *map(str, arguments)]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **variables}
    environment = {
        name: value
        for name, value in {**os.environ, **variables}.items()
        if value is not None
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment)


class Forked(multiprocessing.get_context("forkserver").Process):
    """As subprocess.Popen of `python -m module ...`, and forked from a server.

    What `multiprocessing.set_forkserver_preload` names is imported once for all of them.
    """

    def __init__(self, command, cwd, env, stdout, stderr, start_new_session):
        to = {1: stdout.name, 2: stderr.name}
        super().__init__(target=_run, args=(command[2:], cwd, env, to))
        self.start()

    def poll(self):
        return self.exitcode

    wait = multiprocessing.Process.join


def _run(command, cwd, env, to):
    """Do in this new process what another Python would do."""
    os.setsid()
    for number, path in to.items():
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    module, *sys.argv[1:] = command
    runpy.run_module(module, run_name="__main__", alter_sys=True)
