"""The site on this computer, rebuilt when a chapter changes; open pages reload.

`build` writes what is served; no notebook runs.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from builder.errors import BookError
from builder.publishing.server import State, open_server

INTERVAL_S = 0.3  # between checks of the files

Files = dict[Path, tuple[int, int]]  # modification time and size


def serve(
    root: Path,
    site: Path,
    build: Callable[[], object],
    host: str,
    port: int | None,
    watched: Sequence[Path],
    say: Callable[[str], object] = print,
) -> None:
    """Serve the folder `site`, which `build()` writes, until Ctrl-C.

    `build` is called first and whenever a file in the folders `watched` has changed;
    its errors are shown in the terminal and on the page.
    """
    state = State()
    server = open_server(host, port, site, state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    try:
        before = _files(watched)
        _build(build, state, say)
        thread.start()
        say(f"site: {server.address}  (stop with Ctrl-C)")
        if not server.is_private:
            say(
                "warning: every computer that reaches this address can read the book: "
                "omit --host to serve this computer only"
            )
        while True:
            time.sleep(INTERVAL_S)
            now = _files(watched)
            if now != before:
                names = ", ".join(_changed(before, now, root))
                say(f"{time.strftime('%H:%M:%S')} changed: {names}")
                before = now
                _build(build, state, say)
    except KeyboardInterrupt:
        say("\nstopped")
    finally:
        server.stopping = True
        if thread.is_alive():
            server.shutdown()
        server.server_close()


def _files(folders: Iterable[Path]) -> Files:
    """The files in `folders`."""
    files = {}
    for folder in folders:
        for path in folder.rglob("*"):
            # Hidden files belong to an editor, or are about to be renamed.
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            with contextlib.suppress(OSError):  # it has just been removed
                if path.is_file():
                    stat = path.stat()
                    files[path] = stat.st_mtime_ns, stat.st_size
    return files


def _changed(before: Files, now: Files, root: Path) -> list[str]:
    paths = {path for path, _ in before.items() ^ now.items()}
    return sorted(path.relative_to(root).as_posix() for path in paths)


def _build(
    build: Callable[[], object], state: State, say: Callable[[str], object]
) -> None:
    start = time.perf_counter()
    try:
        build()
    except BookError as error:
        say(f"error: {error}")
        state.set(str(error))
    except (Exception, SystemExit) as error:  # an author's file may do anything
        text = f"{type(error).__name__}: {error}"
        say(f"error: {text}")
        state.set(text)
    else:
        say(f"written in {time.perf_counter() - start:.1f} s")
        state.set()
