"""Execute a notebook and record its outputs.

An output that differs from its `expect:` stops the run at that cell. The notebook's file
is replaced at the end, all at once; until then the earlier recording stays.
"""

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from builder import files
from builder.errors import BookError
from builder.notebooks import fallback, kernel, outputs, recording, store
from builder.notebooks.edition import Edition, check_unedited, editions
from builder.setup.environment import interpreter
from builder.source import python
from d2lext.core.data import fashion_mnist
from d2lext.core.data.download import DataError
from d2lext.core.frameworks import FRAMEWORKS, IDS

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def record(
    edition: Edition,
    fast: bool = False,
    epochs: int | None = None,
    progress: Callable[[str], object] = print,
) -> None:
    """Run the notebook of `edition` in full and write it with its outputs.

    A shared chapter is recorded for every framework at once. With `fast`, training takes
    a few steps; with `epochs`, at most that many epochs; the outputs say so. Training
    saves a checkpoint after each epoch, from which an interrupted recording of the same
    code resumes. Raises BookError if a cell fails or its output differs from its
    `expect:`; the earlier recording is then unchanged.
    """
    chapter = edition.chapter
    name = f"{chapter.stem} ({'all' if chapter.is_shared else edition.backend})"
    with _alone(edition.book.root, name, progress) as has_waited:
        backends = IDS if chapter.is_shared else [edition.backend]
        owners = list(editions(edition.book, [chapter], backends))
        check_unedited(owners)
        if not edition.has_code:
            for owner in owners:
                owner.write()
            progress(f"{name} has no code to run")
            return
        recorded = _origin(edition, fast, epochs)
        if has_waited and all(_is_recorded(owner, recorded) for owner in owners):
            progress(f"{name} was recorded meanwhile")
            return
        progress(f"running {name}")
        start = time.perf_counter()
        checkpoints = None if fast else _checkpoints(edition, recorded, epochs)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
            environment = kernel.environment(
                Path(empty), FAST=int(fast), EPOCHS=epochs, CHECKPOINTS=checkpoints
            )
            if len(edition.backends) > 1:
                environment |= kernel.ON_CPU
            execute(edition, environment, progress)
        recorded["outputs"] = recording.digests(edition.notebook.cells)
        for owner in owners:
            _write(owner, edition.notebook, recorded, progress)
        if checkpoints:
            shutil.rmtree(checkpoints, ignore_errors=True)
        progress(f"recorded {name} in {time.perf_counter() - start:.0f} s")


def execute(
    edition: Edition,
    environment: Mapping[str, str],
    progress: Callable[[str], object] = print,
) -> None:
    """Run the cells in a kernel with this `environment`, checking each output.

    Outputs that not every reader will see are told to `progress`.
    """
    pairs, folder = edition.pairs(), edition.path.parent
    folder.mkdir(parents=True, exist_ok=True)

    def check(cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        if execute_reply["content"]["status"] == "ok":
            source, _ = pairs[cell_index]
            error = outputs.check(edition, source, cell)
            if error:
                raise error
            for problem in filter(None, map(fallback.problem, cell.outputs)):
                message = f"the {edition.backend} cell shows {problem}"
                progress(str(edition.chapter.error(source.line, message)))

    for _, cell in pairs:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    metadata = deepcopy(edition.notebook.metadata)
    client = NotebookClient(
        edition.notebook,
        timeout=None,
        kernel_name="python3",
        kernel_manager_class=kernel.manager(interpreter(edition.backends)),
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=check,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # silent about its transport
    )
    try:
        _run_to_end(client, environment)
    except CellExecutionError as error:
        raise _cell_error(edition, error) from error
    except DeadKernelError as error:
        raise BookError(
            f"{edition.chapter.path}: the {edition.backend} kernel died, usually for "
            "lack of memory; the earlier recording is unchanged"
        ) from error
    edition.notebook.metadata = metadata  # without the kernel's own language_info


def _alone(
    root: Path, name: str, progress: Callable[[str], object]
) -> AbstractContextManager[bool]:
    """Let one run at a time record the notebook `name`; whether this one has waited."""
    folder = root / "_build" / "running"
    folder.mkdir(parents=True, exist_ok=True)
    waiting = f"waiting for another run of {name} to finish"
    return files.locked(folder / name, lambda: progress(waiting))


def _write(
    owner: Edition,
    executed: NotebookNode,
    recorded: Mapping[str, Any],
    progress: Callable[[str], object],
) -> None:
    """Write a notebook with the outputs of the one that was `executed`."""
    if owner.is_edited:  # during the run
        kept = owner.path.with_suffix(".edited.ipynb")
        progress(f"{owner.path.name} was edited during the run: edits kept in {kept}")
        owner.file.replace(kept)
    for cell, result in zip(owner.notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs = result.outputs
            cell.execution_count = result.execution_count
    owner.notebook.metadata[store.KEY]["recorded"] = recorded
    owner.write()


def _origin(edition: Edition, fast: bool, epochs: int | None) -> dict[str, Any]:
    """How the outputs were produced, for the notebook's metadata."""
    origin: dict[str, Any] = {"code": edition.notebook.metadata[store.KEY]["code"]}
    if fast:
        origin["fast"] = True
    if epochs:
        origin["epochs"] = epochs
    if "FashionMNIST" in edition.chapter.text and not _has_real_images():
        origin["synthetic"] = True
    return origin


def _is_recorded(owner: Edition, origin: Mapping[str, Any]) -> bool:
    """Whether a notebook has outputs that were produced in the way of `origin`."""
    recorded = owner.notebook.metadata[store.KEY].get("recorded", {})
    found = {key: value for key, value in recorded.items() if key != "outputs"}
    return found == origin and not owner.is_stale


def _has_real_images() -> bool:
    # Download here, if at all: progress belongs in the terminal, not in a cell's output.
    try:
        return fashion_mnist.load().origin == "real"
    except DataError as error:
        raise BookError(str(error)) from error


def _checkpoints(edition: Edition, recorded: Mapping, epochs: int | None) -> Path:
    """The folder of this recording's checkpoints: a new one for different code or data."""
    name = f"{edition.path.stem}-{edition.backend}-{epochs or 'all'}-{recorded['code']}"
    if recorded.get("synthetic"):
        name += "-synthetic"
    return edition.book.root / "_build" / "checkpoints" / name


def _run_to_end(client: NotebookClient, environment: Mapping[str, str]) -> None:
    """Execute in a thread, so that Ctrl-C reaches us and not nbclient's own handler."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        running = worker.submit(asyncio.run, client.async_execute(env=environment))
        try:
            running.result()
        except KeyboardInterrupt:
            process = getattr(client.km and client.km.provisioner, "process", None)
            if process:
                process.kill()
            with contextlib.suppress(Exception):  # of the kernel that we killed
                running.result()
            raise


def _cell_error(edition: Edition, error: CellExecutionError) -> BookError:
    """A BookError at the line of the chapter that raised."""
    backend = edition.backend
    failed = next(
        source
        for source, cell in edition.pairs()
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    )
    traceback = _ANSI.sub("", error.traceback)
    frames = re.findall(
        r"(?:Cell In\s?\[\d+\]|<ipython-input[^>]*>),? line (\d+)", traceback
    )
    number = python.line_of(failed.source, int(frames[0])) if frames else 1
    line = failed.line + number - 1
    missing = re.match(r"No module named '(\w+)", error.evalue)
    if missing and missing[1] in ("d2lext", *FRAMEWORKS[backend].modules):
        remedy = f"Install it: python build.py setup --backend {backend}"
    else:
        remedy = "Correct the cell; the earlier recording is unchanged"
    raised = f"{error.ename}: {error.evalue}".strip()
    return edition.chapter.error(line, f"the {backend} cell raised {raised}\n{remedy}")
