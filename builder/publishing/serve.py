"""The site on this computer, written again when a chapter changes, and shown anew.

Pages get the script that listens for changes on their way to the browser: nothing of it
is in the site's files. What is built comes from `build`; nothing is executed.
"""

import contextlib
import errno
import html
import http.server
import io
import json
import threading
import time
from pathlib import Path

from builder.errors import BookError

EVENTS = "/_events"  # the address at which pages hear of changes
INTERVAL_S = 0.3  # between two looks at the files
PORTS = 20  # that are tried when none is asked for
SCRIPT = Path(__file__).parent / "templates" / "reload.html"
FAILED = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>No site yet</title>'
    "</head><body><h1>No site yet</h1><p>It appears here when it can be written.</p>"
    "</body></html>"
)


class State:
    """What pages are told: how often the site was written, and what is wrong now."""

    def __init__(self):
        self._changed = threading.Condition()
        self.version, self.error = 0, ""

    def set(self, error=""):
        """Tell that the site was written, or why it could not be."""
        with self._changed:
            self.version += not error
            self.error = error
            self._changed.notify_all()

    def message(self):
        """The state as pages read it."""
        return json.dumps({"version": self.version, "error": self.error})

    def wait(self, message, timeout):
        """The state once it differs from `message`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.message() != message, timeout)
            return self.message()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site; into pages goes the script, and EVENTS is a stream."""

    protocol_version = "HTTP/1.0"  # a connection each: none is left open at the end

    def do_GET(self):
        """Answer with the stream of changes, a page with the script, or a file."""
        if self.path.partition("?")[0] == EVENTS:
            with contextlib.suppress(ConnectionError):  # the page was closed
                self._stream()
        else:
            super().do_GET()

    def send_head(self):
        """Put the script into a page; other files go as they are."""
        path = Path(self.translate_path(self.path))
        if self.path.partition("?")[0].endswith("/"):
            path /= "index.html"
        site = Path(self.directory) / "index.html"
        if path.suffix == ".html" and (path.is_file() or not site.is_file()):
            text = path.read_text(encoding="utf-8") if path.is_file() else FAILED
            return self._page(text)
        return super().send_head()

    def end_headers(self):
        """Add that nothing is to be kept: the next version may be there already."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format, *args):
        """Say nothing: the terminal is for what is written and what is wrong."""

    def _page(self, text):
        script = SCRIPT.read_text(encoding="utf-8")
        script = script.replace("STATE", html.escape(self.server.state.message()))
        body = text.replace("</body>", script + "</body>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def _stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        message = None
        while not self.server.stopping:
            now = self.server.state.wait(message, timeout=1)
            # A line of comment in between: whoever has gone is noticed.
            self.wfile.write(
                f": \n\n{'' if now == message else f'data: {now}'}\n\n".encode()
            )
            self.wfile.flush()
            message = now


class Server(http.server.ThreadingHTTPServer):
    """A server of the folder `site` that knows the `state`."""

    daemon_threads = True  # a browser that listens does not hold up the end
    allow_reuse_address = False  # of two servers, each has its own port

    def __init__(self, address, site, state):
        self.state, self.stopping = state, False

        def handler(*args):
            return Handler(*args, directory=str(site))

        super().__init__(address, handler)

    def handle_error(self, request, client_address):
        """Say nothing of a browser that has hung up."""


def open_server(host, port, site, state):
    """A server on `port`, or on the first free one if it is None.

    Raises BookError with a remedy where there is none.
    """
    ports = [port] if port is not None else range(8000, 8000 + PORTS)
    for number in ports:
        try:
            return Server((host, number), site, state)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise BookError(
                    f"cannot listen on {host} ({error.strerror}): leave --host out, for "
                    "this computer alone, or name one of its addresses"
                ) from error
            reason = error.strerror
    raise BookError(
        f"port {ports[0]} cannot be had ({reason}): name another with --port, or leave "
        "it out for one that is free"
    )


def serve(root, site, build, host, port, watched, say=print):
    """Serve the folder `site`, which `build()` writes, until Ctrl-C.

    It is called at first and whenever a file in the folders `watched` has changed;
    what it raises is shown in the terminal and in the page. Returns None.
    """
    state = State()
    server = open_server(host, port, site, state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    try:
        seen = _seen(watched)
        _build(build, state, say)
        thread.start()
        say(f"site: http://{host}:{server.server_port}/  (Ctrl-C ends)")
        while True:
            time.sleep(INTERVAL_S)
            now = _seen(watched)
            if now != seen:
                names = ", ".join(sorted(_changed(seen, now, root)))
                say(f"{time.strftime('%H:%M:%S')} changed: {names}")
                seen = now
                _build(build, state, say)
    except KeyboardInterrupt:
        say("\nstopped")
    finally:
        server.stopping = True
        if thread.is_alive():
            server.shutdown()
        server.server_close()


def _build(build, state, say):
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


def _seen(folders):
    """The files in `folders`, each with what changes when it is saved."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            # Hidden ones are an editor's, or about to be renamed.
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            with contextlib.suppress(OSError):  # it has just gone
                if path.is_file():
                    stat = path.stat()
                    found[path] = stat.st_mtime_ns, stat.st_size
    return found


def _changed(before, after, root):
    paths = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    return [path.relative_to(root).as_posix() for path in paths]
