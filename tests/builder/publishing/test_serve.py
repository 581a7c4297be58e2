"""`serve`: what an author sees after an edit, after a mistake, and at the end."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from builder.command import arguments
from builder.errors import BookError
from builder.publishing import serve, server

PAGE = "<!DOCTYPE html><html><head></head><body><p id='text'>{}</p></body></html>"
DRIVER = f"""
import sys
from pathlib import Path
from builder.publishing import serve
from builder.errors import BookError

root = Path(sys.argv[1])

def build():
    text = (root / "chapters" / "a.md").read_text()
    if "bad" in text:
        raise BookError("chapters/a.md:1: <b>this</b> is bad")
    if "odd" in text:
        raise ValueError("odd")
    (root / "site").mkdir(exist_ok=True)
    (root / "site" / "index.html").write_text({PAGE!r}.format(text))
    (root / "site" / "style.css").write_text("p {{}} /* </body> */")

def say(text):
    print(text, flush=True)

watched = [root / "chapters"]
serve.serve(root, root / "site", build, "127.0.0.1", None, watched, say)
"""


class Session:
    """A process that serves the book in a folder, and its output."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.address = re.search(r"http://\S+", self.line("site: "))[0]

    def line(self, beginning):
        """The next line with this beginning."""
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line
        raise AssertionError(f"it ended without a line {beginning!r}")

    def get(self, path=""):
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return answer.read().decode()

    def events(self):
        """The states that pages are told, in turn."""
        with urllib.request.urlopen(self.address + "_events", timeout=30) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=30)
        return rest


@pytest.fixture
def start(tmp_path):
    """A function that starts serving a book with the given text."""
    sessions = []
    (tmp_path / "chapters").mkdir()

    def begin(text):
        (tmp_path / "chapters" / "a.md").write_text(text)
        sessions.append(Session([sys.executable, "-c", DRIVER, str(tmp_path)]))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.process.kill()
        session.process.communicate()


def edit(folder, text):
    (folder / "chapters" / "a.md").write_text(text)


def test_pages_listen_but_the_files_do_not(start, tmp_path):
    session = start("one")
    page = session.get()
    assert "EventSource" in page
    assert page.index("EventSource") < page.index("</body>")
    assert session.get("index.html?framework=jax") == page
    assert (tmp_path / "site" / "index.html").read_text() == PAGE.format("one")
    assert session.get("style.css") == "p {} /* </body> */"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        session.get("missing.html")


def test_an_edit_reaches_the_page(start, tmp_path):
    session = start("one")
    events = session.events()
    assert next(events) == {"version": 1, "error": ""}
    edit(tmp_path, "two, longer")
    assert "chapters/a.md" in session.line(time.strftime("%H:"))
    assert next(events) == {"version": 2, "error": ""}
    assert "two, longer" in session.get()
    (tmp_path / "chapters" / ".a.md.swp").write_text("an editor's")
    (tmp_path / "chapters" / "b.md").write_text("a new one")
    assert "changed: chapters/b.md\n" in session.line(time.strftime("%H:"))


@pytest.mark.parametrize(
    ("text", "told"),
    [("bad", "chapters/a.md:1: <b>this</b> is bad"), ("odd", "ValueError: odd")],
)
def test_an_error_is_shown_and_the_last_good_page_stays(start, tmp_path, text, told):
    session = start("good")
    events = session.events()
    next(events)
    edit(tmp_path, text)
    assert session.line("error: ") == f"error: {told}\n"
    assert next(events) == {"version": 1, "error": told}
    page = session.get()
    assert "<p id='text'>good</p>" in page
    assert "<b>" not in page  # an error's text is not markup
    edit(tmp_path, "good again")
    assert next(events) == {"version": 2, "error": ""}


def test_before_the_first_good_page_there_is_one_that_waits(start, tmp_path):
    session = start("bad")
    for path in ("", "01-densenet.html"):
        page = session.get(path)
        assert "No site yet" in page
        assert "EventSource" in page
    edit(tmp_path, "good")
    assert session.line("written in")
    assert "<p id='text'>good</p>" in session.get()


def test_ctrl_c_ends_it(start):
    session = start("one")
    events = session.events()
    next(events)  # a browser still listens
    began = time.monotonic()
    assert session.stop().endswith("\nstopped\n")
    assert session.process.returncode == 0
    assert time.monotonic() - began < 10


def test_a_port_that_is_taken(tmp_path):
    state = server.State()
    with server.open_server("127.0.0.1", None, tmp_path, state) as first:
        port = first.server_port
        with server.open_server("127.0.0.1", None, tmp_path, state) as second:
            assert port < second.server_port < 8000 + server.PORTS
        with pytest.raises(BookError, match=f"port {port} .*in use.*--port"):
            server.open_server("127.0.0.1", port, tmp_path, state)
    with pytest.raises(BookError, match="cannot listen on 192.0.2.1 .*--host"):
        server.open_server("192.0.2.1", None, tmp_path, state)


def test_only_this_computer_is_answered(tmp_path):
    args = arguments.parse(["serve"])
    assert args.port is None
    opened = server.open_server(args.host, 0, tmp_path, server.State())
    with opened, socket.socket() as other:
        assert opened.server_address[0] == "127.0.0.1"
        other.settimeout(5)
        with pytest.raises(OSError, match="refused|timed out|unreachable"):
            other.connect(("127.0.0.2", opened.server_port))


@contextlib.contextmanager
def answering(folder, host="127.0.0.1"):
    """A server of `folder` in a thread of this process."""
    (folder / "index.html").write_text(PAGE.format("one"))
    with server.open_server(host, 0, folder, server.State()) as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.stopping = True
        opened.shutdown()
        thread.join()


def status(opened, host):
    """The status of an answer to a request with this header Host, 0 for none."""
    with socket.create_connection(
        ("127.0.0.1", opened.server_port), timeout=10
    ) as link:
        line = f"Host: {host}\r\n" if host else ""
        link.sendall(f"GET / HTTP/1.1\r\n{line}\r\n".encode())
        answer = link.makefile("rb").readline().split()
    return int(answer[1]) if answer else 0


def test_a_foreign_name_gets_nothing(tmp_path):
    """A website's own name may lead here (DNS rebinding)."""
    with answering(tmp_path) as opened:
        ours = [
            "localhost",
            "127.0.0.1:8000",
            "192.168.1.7",
            "[::1]:8000",
            "a.localhost",
        ]
        for host in [*ours, socket.gethostname(), None]:
            assert status(opened, host) == 200, host
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil",
            "[x",
        ]:
            assert status(opened, host) == 421, host


def test_connections_are_limited_and_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    monkeypatch.setattr(server.Handler, "timeout", 1)
    with answering(tmp_path) as opened:
        place = "127.0.0.1", opened.server_port
        silent = [socket.create_connection(place, timeout=10) for _ in range(2)]
        time.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            assert status(opened, "localhost") == 0
        for link in silent:
            assert link.recv(1) == b""  # nothing was asked for in time
            link.close()
        assert status(opened, "localhost") == 200


def test_other_computers_are_told_an_address_and_the_author_the_risk(tmp_path):
    said = []

    def build():
        raise KeyboardInterrupt

    with server.open_server("0.0.0.0", 0, tmp_path, server.State()) as opened:
        assert not opened.is_private
        host = urlsplit(opened.address).hostname
        assert host not in ("0.0.0.0", "")
    with pytest.raises(BookError, match="--port must be at most 65535, got 80000"):
        server.open_server("127.0.0.1", 80000, tmp_path, server.State())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve.time, "sleep", lambda seconds: build())
        for host, count in (("0.0.0.0", 1), ("127.0.0.1", 0)):
            serve.serve(tmp_path, tmp_path, lambda: None, host, None, [], said.append)
            warnings = [line for line in said if line.startswith("warning")]
            assert len(warnings) == count
            said.clear()


def test_the_browser_reloads_by_itself(start, tmp_path, browser):
    session = start("one")
    page = browser.new_page(viewport={"width": 800, "height": 500})
    page.goto(session.address)
    text, box = page.locator("#text"), page.get_by_role("alert")
    page.evaluate("window.mark = 1")
    edit(tmp_path, "second")
    page.wait_for_function("document.querySelector('#text')?.textContent == 'second'")
    assert page.evaluate("window.mark") is None
    page.evaluate("window.mark = 1")
    edit(tmp_path, "bad")
    box.get_by_text("<b>this</b> is bad").wait_for()
    assert text.text_content() == "second"
    assert page.evaluate("window.mark") == 1  # where the author was reading
    page.reload()
    box.get_by_text("<b>this</b> is bad").wait_for()
    if folder := os.environ.get("D2LEXT_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/serve-error.png")
    edit(tmp_path, "third")
    page.wait_for_function("document.querySelector('#text')?.textContent == 'third'")
    assert not box.is_visible()
    page.close()


SERVE = """
import sys
from pathlib import Path
from builder.command import main as cli
cli.ROOT = Path(sys.argv[1])
sys.stdout.reconfigure(line_buffering=True)
sys.exit(cli.main(["serve"]))
"""


@pytest.mark.slow
def test_the_book_itself(tmp_path, root):
    for name in ("chapters", "notebooks"):
        shutil.copytree(root / name, tmp_path / name)
    (tmp_path / "d2lext").symlink_to(root / "d2lext")
    session = Session([sys.executable, "-c", SERVE, str(tmp_path)])
    try:
        chapter = tmp_path / "chapters" / "03-one-network.md"
        text = chapter.read_text()
        edited = text.replace(
            "Two programs that follow", "Two whole programs that follow"
        )
        edited = edited.replace("print((a + b) + c", "print((a + c) + b", 1)
        chapter.write_text(edited)
        assert "one-network" in session.line("stale")
        assert session.line("written in")
        assert "Two whole programs that follow" in session.get("03-one-network.html")
        chapter.write_text(edited + "\nSee {eq}`eq-nothing`.\n")
        assert "03-one-network.md" in session.line("error: ")
        assert "Two whole programs that follow" in session.get("03-one-network.html")
        site = Path(tmp_path / "_build" / "html")
        assert not any("_events" in p.read_text() for p in site.rglob("*.html"))
    finally:
        assert "stopped" in session.stop()
