"""A publisher on this machine, of small stand-ins for the files of Fashion-MNIST."""

import contextlib
import gzip
import http.server
import json
import os
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from d2lext.core.data import download, fashion_mnist
from shared import ROOT

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"


def idx(array):
    """`array`, uint8, as a compressed IDX file."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


TRUE_IMAGES = np.random.default_rng(0).integers(256, size=(60, 28, 28), dtype=np.uint8)
CONTENTS = dict(
    zip(
        fashion_mnist.FILES.sha256,
        [
            idx(TRUE_IMAGES),
            idx(np.arange(60, dtype=np.uint8) % 10),
            idx(TRUE_IMAGES[:10]),
            idx(np.arange(10, dtype=np.uint8)),
        ],
        strict=True,
    )
)


class Publisher:
    """Serves `contents`; `requests` holds the methods and file names asked for."""

    def __init__(self):
        self.contents = dict(CONTENTS)
        self.requests = []
        self.status = 200
        self.sent = None  # bytes of a file before the connection breaks off
        self.hold = lambda method: None  # called before the rest of an answer
        handler = type("Handler", (_Handler,), {"publisher": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):  # noqa: N802
        self._answer(b"")

    def do_GET(self):  # noqa: N802
        self._answer(self.publisher.contents[self.path[1:]])

    def _answer(self, content):
        publisher = self.publisher
        publisher.requests.append((self.command, self.path[1:]))
        if self.command == "HEAD":
            publisher.hold("HEAD")
        with contextlib.suppress(ConnectionError):  # the client may be gone
            self.send_response(publisher.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            if self.command == "GET":
                publisher.hold("GET")
            self.wfile.write(content[half : publisher.sent])

    def log_message(self, *args):
        pass


def write_files(folder, **changed):
    """The stand-in files in `folder`, one of them `changed` when given."""
    folder.mkdir(parents=True)
    for name, content in {**CONTENTS, **changed}.items():
        (folder / name).write_bytes(content)


def check_stand_in(source):
    assert source.origin == "real"
    assert np.array_equal(source.train_images, TRUE_IMAGES)
    assert np.array_equal(source.train_labels, np.arange(60) % 10)
    assert np.array_equal(source.test_images, TRUE_IMAGES[:10])
    assert np.array_equal(source.test_labels, np.arange(10))


DAMAGES = {
    "truncated": CONTENTS[TRAIN_IMAGES][:-9],
    "altered": CONTENTS[TRAIN_IMAGES][:-9] + b"x" + CONTENTS[TRAIN_IMAGES][-8:],
    "empty": b"",
}


def load_error():
    """The message of the one error that `load` raises."""
    with pytest.raises(download.DataError) as caught:
        fashion_mnist.load()
    assert not isinstance(caught.value, download.NoNetworkError)
    return str(caught.value)


LOADER = """
import json, resource, signal, sys
from d2lext.core.data import download, fashion_mnist
files, file_size = json.loads(sys.argv[1])
if file_size:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
fashion_mnist.FILES = download.Files(*files)
print(fashion_mnist.load().origin)
"""


def start_loader(file_size=None):
    """Another process that loads the stand-in files and prints their origin."""
    arguments = json.dumps([fashion_mnist.FILES, file_size])
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
