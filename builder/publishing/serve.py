"""The site on this computer, rebuilt when a chapter changes; open pages reload.

Each page is sent with a script that listens for changes; the site's files lack it.
`build` writes what is served; no notebook runs.
"""

import contextlib
import errno
import html
import http.server
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from builder.errors import BookError

EVENTS = "/_events"  # the address at which pages hear of changes
INTERVAL_S = 0.3  # between checks of the files
PORTS = 20  # to try if none is given
SCRIPT = Path(__file__).parent / "templates" / "reload.html"
FAILED = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>No site yet</title>'
    "</head><body><h1>No site yet</h1><p>It appears here as soon as it builds.</p>"
    "</body></html>"
)

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
        say(f"site: http://{host}:{server.server_port}/  (stop with Ctrl-C)")
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
    build: Callable[[], object], state: "State", say: Callable[[str], object]
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


class State:
    """What pages are told: how often the site was written, and the current error."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.version, self.error = 0, ""

    def set(self, error: str = "") -> None:
        """Report that the site was written, or why it could not be."""
        with self._changed:
            self.version += not error
            self.error = error
            self._changed.notify_all()

    def message(self) -> str:
        """The state as pages read it."""
        return json.dumps({"version": self.version, "error": self.error})

    def wait(self, message: str | None, timeout: float) -> str:
        """The state once it differs from `message`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.message() != message, timeout)
            return self.message()


def open_server(host: str, port: int | None, site: Path, state: State) -> "Server":
    """A server on `port`, or on the first free one if it is None; or BookError."""
    ports = [port] if port is not None else range(8000, 8000 + PORTS)
    for number in ports:
        try:
            return Server((host, number), site, state)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise BookError(
                    f"cannot listen on {host} ({error.strerror}): omit --host to serve "
                    "this computer only, or give one of its addresses"
                ) from error
            reason = error.strerror
    raise BookError(
        f"port {ports[0]} is not available ({reason}): choose another with --port, or "
        "omit it to use a free one"
    )


class Server(http.server.ThreadingHTTPServer):
    """A server of the folder `site` that knows the `state`."""

    daemon_threads = True  # a listening browser does not delay shutdown
    allow_reuse_address = False  # two servers never share a port

    def __init__(self, address: tuple[str, int], site: Path, state: State) -> None:
        self.state, self.stopping = state, False

        def handler(*args: Any) -> Handler:
            return Handler(*args, directory=str(site))

        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about a browser that has hung up."""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Sends the site's files, with the script in pages; EVENTS is a stream."""

    protocol_version = "HTTP/1.0"  # one connection per request, so none stays open
    server: Server

    def do_GET(self) -> None:
        """Answer with the stream of changes, a page with the script, or a file."""
        if self.path.partition("?")[0] == EVENTS:
            with contextlib.suppress(ConnectionError):  # the page was closed
                self._stream()
        else:
            super().do_GET()

    def send_head(self) -> Any:
        """Insert the script into a page; send other files unchanged."""
        path = Path(self.translate_path(self.path))
        if self.path.partition("?")[0].endswith("/"):
            path /= "index.html"
        front = Path(self.directory) / "index.html"
        if path.suffix == ".html" and (path.is_file() or not front.is_file()):
            text = path.read_text(encoding="utf-8") if path.is_file() else FAILED
            return self._page(text)
        return super().send_head()

    def end_headers(self) -> None:
        """Forbid caching: the next request may get a newer version."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal is for rebuilds and errors."""

    def _page(self, text: str) -> io.BytesIO:
        script = SCRIPT.read_text(encoding="utf-8")
        script = script.replace("STATE", html.escape(self.server.state.message()))
        body = text.replace("</body>", script + "</body>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        message = None
        while not self.server.stopping:
            now = self.server.state.wait(message, timeout=1)
            # Without news, a comment tells us whether the page still listens.
            self.wfile.write(
                f": \n\n{'' if now == message else f'data: {now}'}\n\n".encode()
            )
            self.wfile.flush()
            message = now
