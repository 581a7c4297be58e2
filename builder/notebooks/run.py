"""Execute a notebook and record what it shows.

An output that differs from what the author stated stops the run at that cell. The
notebook's file is written at the end and in one piece: what an earlier run recorded
stays until then.
"""

import asyncio
import contextlib
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from builder.notebooks import store
from builder.notebooks.edition import check_unedited, editions
from d2lext.core.frameworks import FRAMEWORKS
from builder.errors import BookError
from d2lext.core.data import fashion_mnist
from d2lext.core.data.download import DataError

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def record(edition, fast=False, epochs=None, progress=print):
    """Run the notebook of `edition` in full and write it with outputs.

    A chapter whose code is the same for all frameworks is recorded for all of them.
    With `fast` it trains for a few steps, with `epochs` at most so many: its outputs say
    so. Trainings are saved after each epoch, so that a recording that was interrupted
    goes on there, as long as the code is the same. Raises BookError where a cell fails
    or shows another output than stated; the notebook recorded before is then untouched.
    """
    book, chapter, backend = edition.book, edition.chapter, edition.backend
    owners = list(editions(book, [chapter], edition.backends))
    check_unedited(owners)
    notebook = edition.notebook
    name = f"{chapter.stem} ({'all' if chapter.is_shared else backend})"
    recorded = {"code": notebook.metadata[store.KEY]["code"]}
    if fast:
        recorded["fast"] = True
    if "FashionMNIST" in chapter.text and not _has_real_images():
        recorded["synthetic"] = True
    progress(f"running {name}")
    start = time.perf_counter()
    checkpoints = (
        None if fast else _checkpoints(edition, recorded, epochs)
    )
    with _environment(fast, epochs, checkpoints):
        execute(edition)
    for owner in owners:
        if owner.is_edited:  # while it ran
            kept = owner.path.with_suffix(".edited.ipynb")
            progress(f"{owner.path.name} was edited meanwhile: kept as {kept}")
            owner.path.replace(kept)
        for cell, result in zip(owner.notebook.cells, notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs = result.outputs
                cell.execution_count = result.execution_count
        owner.notebook.metadata[store.KEY]["recorded"] = recorded
        owner.write()
    if checkpoints:
        shutil.rmtree(checkpoints, ignore_errors=True)
    progress(f"recorded {name} in {time.perf_counter() - start:.0f} s")


def _has_real_images():
    # A download happens here, where its progress is seen, and not in a cell's output.
    try:
        return fashion_mnist.load().origin == "real"
    except DataError as error:
        raise BookError(str(error)) from error


def execute(edition):
    """Fill in the outputs of the notebook, checking them against the author's."""
    chapter, backend = edition.chapter, edition.backend
    notebook, sources = edition.notebook, [cell for cell, _ in edition.pairs()]

    def check(cell, cell_index, execute_reply):
        if cell.cell_type == "code" and execute_reply["content"]["status"] == "ok":
            _check_output(cell, sources[cell_index], edition)

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    folder = edition.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    metadata = deepcopy(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=check,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # no word on its transport
    )
    try:
        _run_to_end(client)
    except CellExecutionError as error:
        raise _cell_error(edition, error) from error
    except DeadKernelError as error:
        raise BookError(
            f"{chapter.path}: the {backend} kernel died, most often for want of memory; "
            "the recorded notebook is as it was before"
        ) from error
    notebook.metadata = metadata  # without the kernel's own language_info


def _run_to_end(client):
    """Execute in a thread, so that Ctrl-C reaches us and not nbclient's own handler."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        running = worker.submit(asyncio.run, client.async_execute())
        try:
            running.result()
        except KeyboardInterrupt:
            if client.km is not None and client.km.has_kernel:
                client.km.provisioner.process.kill()
            with contextlib.suppress(Exception):  # the dead kernel is what we wanted
                running.result()
            raise


def shown_text(outputs):
    """What a cell shows as text: its printed lines and its last value."""
    text = ""
    for output in outputs:
        if output.output_type == "stream" and output.name == "stdout":
            text += output.text  # in pieces that may end within a line
        elif output.output_type == "execute_result":
            text = text and text.rstrip("\n") + "\n"
            text += output.data.get("text/plain", "")
    return text.rstrip("\n")


def differences(edition):
    """A BookError for each cell of `edition` that shows other than its author states."""
    found = []
    for source_cell, cell in edition.pairs():
        if cell.cell_type != "code":
            continue
        try:
            _check_output(cell, source_cell, edition)
        except BookError as error:
            found.append(error)
    return found


def _check_output(cell, source_cell, edition):
    expected = source_cell.expect.get(edition.backend)
    if expected is None:
        return
    shown = shown_text(cell.outputs)
    if _words(shown) != _words(expected):
        raise edition.chapter.error(
            source_cell.line,
            f"the {edition.backend} cell shows another output than its `expect:` states\n"
            f"  stated: {expected.strip()}\n  shown:  {shown.strip()}\n"
            "Correct the code or what is stated",
        )


def _words(text):
    """Lines of words: white space inside a line does not count."""
    return [line.split() for line in text.strip().splitlines()]


def _cell_error(edition, error):
    """A BookError at the line of the chapter that raised."""
    chapter, backend = edition.chapter, edition.backend
    failed = next(
        source
        for source, cell in edition.pairs()
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    )
    traceback = _ANSI.sub("", error.traceback)
    frames = re.findall(
        r"(?:Cell In\s?\[\d+\]|<ipython-input[^>]*>),? line (\d+)", traceback
    )
    line = failed.line + (int(frames[0]) if frames else 1) - 1
    detail = f"{error.ename}: {error.evalue}".strip()
    missing = re.match(r"No module named '(\w+)", error.evalue)
    if missing and missing[1] in ("d2lext", *FRAMEWORKS[backend].modules):
        remedy = f"Install it: python build.py setup --backend {backend}"
    else:
        remedy = "Correct the cell; the recorded notebook is as it was before"
    return chapter.error(line, f"the {backend} cell raised {detail}\n{remedy}")


def _checkpoints(edition, recorded, epochs):
    """The folder for this recording's trainings: another one for other code or data."""
    name = f"{edition.path.stem}-{edition.backend}-{epochs or 'all'}-{recorded['code'][:16]}"
    if recorded.get("synthetic"):
        name += "-synthetic"
    return edition.book.root / "_build" / "checkpoints" / name


@contextlib.contextmanager
def _environment(fast, epochs, checkpoints):
    """The kernel's environment: the modes asked for and no others, no progress bar."""
    wanted = {
        "D2LEXT_FAST": "1" if fast else "",
        "D2LEXT_EPOCHS": str(epochs or ""),
        "D2LEXT_CHECKPOINTS": str(checkpoints or ""),
        "TQDM_DISABLE": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
