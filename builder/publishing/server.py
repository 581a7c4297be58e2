"""A server of one folder, whose pages hear of changes; it answers this book's readers only.

Each page is sent with a script that listens for changes; the site's files lack it.
"""

import contextlib
import errno
import html
import http.server
import io
import ipaddress
import json
import socket
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from builder.errors import BookError

EVENTS = "/_events"  # the address at which pages hear of changes
PORTS = 20  # to try if none is given
CONNECTIONS = 100  # at once; an open page listens on one
TIMEOUT_S = 30  # for a request to arrive
SCRIPT = Path(__file__).parent / "templates" / "reload.html"
FAILED = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>No site yet</title>'
    "</head><body><h1>No site yet</h1><p>It appears here as soon as it builds.</p>"
    "</body></html>"
)
ANY = ("", "0.0.0.0", "::")  # a host that means all addresses of this computer


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
    if port is not None and port > 65535:
        raise BookError(f"--port must be at most 65535, got {port}: choose another")
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
        self._host = address[0]
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        if ":" in self._host:
            self.address_family = socket.AF_INET6

        def handler(*args: Any) -> Handler:
            return Handler(*args, directory=str(site))

        super().__init__(address, handler)

    @property
    def is_private(self) -> bool:
        """Whether only this computer can reach it."""
        address = str(self.server_address[0])
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback

    @property
    def address(self) -> str:
        """What to open: in a server for others, the address that they can reach."""
        host = _outside(self._host) if self._host in ANY else self._host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.server_port}/"

    def is_called(self, name: str) -> bool:
        """Whether a request's header Host may be `name`.

        Any website can let a name of its own resolve to this computer, whose pages its
        scripts could then read (DNS rebinding), but neither an address nor our names.
        """
        try:
            host = urlsplit(f"//{name}").hostname or ""
        except ValueError:  # no address at all, such as [::1
            return False
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return True
        own = socket.gethostname().lower()
        names = ("", "localhost", self._host.lower(), own, f"{own}.local")
        return host in names or host.endswith(".localhost")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; hang up if there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about a browser that has hung up."""


def _outside(host: str) -> str:
    """The address of this computer that others reach, for one of ANY."""
    family, other = socket.AF_INET, "192.0.2.1"  # in no network
    if ":" in host:
        family, other = socket.AF_INET6, "2001:db8::1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))  # sends nothing, but chooses a network
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Sends the site's files, with the script in pages; EVENTS is a stream."""

    protocol_version = "HTTP/1.0"  # one connection per request, so none stays open
    timeout = TIMEOUT_S
    server: Server

    def parse_request(self) -> bool:
        """Refuse what is asked for under a name that is not ours."""
        if not super().parse_request():
            return False
        name = self.headers.get("Host", "")
        if self.server.is_called(name):
            return True
        host = name.rpartition(":")[0] or name
        reason = f"This is not {host}: open an address, or serve with --host {host}"
        self.send_error(HTTPStatus.MISDIRECTED_REQUEST, explain=reason)
        return False

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
