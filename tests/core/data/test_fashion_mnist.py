"""Fashion-MNIST: where it comes from, what can go wrong, and the minibatches of it.

Downloads are tried on a publisher of small stand-in files on this machine.
"""

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pooch  # noqa: F401  (imported before a test gives up its rights)
import pytest
from shared import ROOT
from tqdm import tqdm

from d2lext.core.data import download, fashion_mnist, garments, minibatches
from d2lext.core.data.download import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
# Published beside the data set: of the compressed files MD5, of their contents SHA-256.
MD5_START = ["8d4fb7e6", "25c81989", "bef4ecab", "bb300cfd"]
IDX_SHA256 = [
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
]


# The real files.


@pytest.fixture
def real_root(monkeypatch):
    """The folder with the real files, which D2LEXT_DATA names during the test."""
    root = Path(os.environ.get("D2LEXT_DATA") or ROOT.parent / "shared" / "data")
    if not (root / "fashion-mnist" / TRAIN_IMAGES).exists():
        pytest.skip("the real Fashion-MNIST is not here: set D2LEXT_DATA to its folder")
    monkeypatch.setenv("D2LEXT_DATA", str(root))
    return root


def test_registry_names_the_files_that_the_publisher_describes(real_root):
    folder = real_root / "fashion-mnist"
    for name, md5, sha256 in zip(
        fashion_mnist.FILES.sha256, MD5_START, IDX_SHA256, strict=True
    ):
        content = (folder / name).read_bytes()
        assert hashlib.md5(content).hexdigest().startswith(md5)
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() == sha256
        assert hashlib.sha256(content).hexdigest() == fashion_mnist.FILES.sha256[name]


def test_real_images(real_root, capsys):
    source = fashion_mnist.load()
    assert source.origin == "real"
    assert source.train_images.shape == (60_000, 28, 28)
    assert source.test_images.shape == (10_000, 28, 28)
    assert {array.dtype for array in source[:4]} == {np.dtype(np.uint8)}
    assert np.bincount(source.train_labels).tolist() == [6000] * 10
    assert np.bincount(source.test_labels).tolist() == [1000] * 10
    assert capsys.readouterr().out == ""


def test_labels_are_in_the_order_of_the_publisher():
    described = """T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker,
        Bag, Ankle boot"""  # its README, labels 0 to 9
    words = [" ".join(label.lower().split()) for label in described.split(",")]
    assert words[0].startswith(fashion_mnist.LABELS[0])
    assert words[1:] == fashion_mnist.LABELS[1:]


def test_folder_may_be_relative(real_root, monkeypatch):
    monkeypatch.chdir(real_root.parent)
    monkeypatch.setenv("D2LEXT_DATA", real_root.name)
    assert fashion_mnist.load().origin == "real"


def test_arrays_are_shared_and_read_only(real_root):
    assert fashion_mnist.load().train_images is fashion_mnist.load().train_images
    with pytest.raises(ValueError, match="read-only"):
        fashion_mnist.load().train_images[0] = 0


# Stand-in files and their publisher.


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


@pytest.fixture
def publisher(monkeypatch):
    """A publisher on this machine, which the library takes for the real one."""
    server = Publisher()
    sha256 = {name: hashlib.sha256(c).hexdigest() for name, c in CONTENTS.items()}
    files = download.Files("fashion-mnist", server.url, sha256)
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.delenv("D2LEXT_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def cache(publisher, few_garments, monkeypatch, tmp_path):
    """The folder in the cache to which the stand-in files are downloaded."""
    monkeypatch.setenv("D2LEXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fashion-mnist"


@pytest.fixture
def no_network(publisher, monkeypatch):
    """The publisher's address becomes a port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        monkeypatch.setattr(
            fashion_mnist, "FILES", fashion_mnist.FILES._replace(url=url)
        )
        yield


@pytest.fixture
def few_garments(monkeypatch):
    """Synthetic sets of the stand-in files' size, which are quickly drawn."""
    monkeypatch.setattr(garments, "_SHAPES", 2)
    monkeypatch.setattr(fashion_mnist, "NUM_TRAIN", 60)
    monkeypatch.setattr(fashion_mnist, "NUM_TEST", 10)
    fashion_mnist._synthetic.cache_clear()
    yield
    fashion_mnist._synthetic.cache_clear()


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


def load_error():
    """The message of the one error that `load` raises."""
    with pytest.raises(DataError) as caught:
        fashion_mnist.load()
    assert not isinstance(caught.value, download.NoNetworkError)
    return str(caught.value)


DAMAGES = {
    "truncated": CONTENTS[TRAIN_IMAGES][:-9],
    "altered": CONTENTS[TRAIN_IMAGES][:-9] + b"x" + CONTENTS[TRAIN_IMAGES][-8:],
    "empty": b"",
}
damages = pytest.mark.parametrize("damaged", DAMAGES.values(), ids=DAMAGES)


# The download.


def test_download_once(publisher, cache, capsys, monkeypatch):
    # Where tests run, TQDM_DISABLE may be set.
    monkeypatch.setattr(download, "tqdm", partial(tqdm, disable=False))
    check_stand_in(fashion_mnist.load())
    assert [name for method, name in publisher.requests if method == "GET"] == [
        *CONTENTS
    ]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(name in captured.err for name in CONTENTS)  # the progress bars
    assert "100%" in captured.err
    assert sorted(os.listdir(cache)) == sorted(CONTENTS)
    assert all((cache / name).stat().st_mode & 0o044 == 0o044 for name in CONTENTS)
    publisher.requests.clear()
    check_stand_in(fashion_mnist.load())
    assert publisher.requests == []


def test_download_only_what_is_missing(publisher, cache):
    write_files(cache)
    (cache / TRAIN_IMAGES).unlink()
    check_stand_in(fashion_mnist.load())
    assert {name for _, name in publisher.requests} == {TRAIN_IMAGES}


@damages
def test_damaged_file_in_the_cache_is_downloaded_again(publisher, cache, damaged):
    write_files(cache, **{TRAIN_IMAGES: damaged})
    check_stand_in(fashion_mnist.load())
    assert (cache / TRAIN_IMAGES).read_bytes() == CONTENTS[TRAIN_IMAGES]


@damages
def test_damaged_file_in_the_cache_without_network(no_network, cache, damaged, capsys):
    write_files(cache, **{TRAIN_IMAGES: damaged})
    message = load_error()
    assert str(cache / TRAIN_IMAGES) in message
    assert hashlib.sha256(damaged).hexdigest() in message
    assert "cannot be reached" in message
    assert "D2LEXT_DATA" in message
    assert capsys.readouterr().out == ""  # not a word of synthetic garments


@damages
def test_altered_download_is_not_kept(publisher, cache, damaged):
    publisher.contents[TRAIN_IMAGES] = damaged
    message = load_error()
    assert publisher.url + TRAIN_IMAGES in message
    assert fashion_mnist.FILES.sha256[TRAIN_IMAGES] in message
    assert "D2LEXT_DATA" in message
    assert os.listdir(cache) == []


def test_download_that_breaks_off_is_not_kept(publisher, cache):
    publisher.sent = 1000
    message = load_error()
    assert publisher.url + TRAIN_IMAGES in message
    assert "again later" in message
    assert os.listdir(cache) == []
    publisher.sent = None
    check_stand_in(fashion_mnist.load())


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


def test_killed_download_leaves_no_file_that_counts(publisher, cache):
    halfway, go_on = threading.Event(), threading.Event()

    def hold(method):
        if method == "GET":
            halfway.set()
            go_on.wait(60)

    publisher.hold = hold
    with start_loader() as process:
        assert halfway.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    go_on.set()
    assert not any((cache / name).exists() for name in CONTENTS)
    publisher.hold = lambda method: None
    check_stand_in(fashion_mnist.load())


def test_two_processes_download_at_once(publisher, cache):
    together = threading.Barrier(2, timeout=60)
    publisher.hold = lambda method: together.wait() if method == "GET" else None
    processes = [start_loader(), start_loader()]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "real\n"), err
        assert str(cache) not in err  # a notebook would record it
    assert sorted(os.listdir(cache)) == sorted(CONTENTS)
    publisher.requests.clear()
    check_stand_in(fashion_mnist.load())
    assert publisher.requests == []


# No network.


def check_synthetic(source, out):
    assert source.origin == "synthetic"
    assert source.train_images.shape == (60, 28, 28)
    assert "NO NETWORK" in out
    assert "SYNTHETIC" in out
    assert "NOT Fashion-MNIST" in out
    assert "D2LEXT_DATA" in out
    assert f"fashion-mnist/{TRAIN_IMAGES}" in out


def test_no_network(no_network, cache, capsys):
    start = time.perf_counter()
    source = fashion_mnist.load()
    assert time.perf_counter() - start < 5
    check_synthetic(source, capsys.readouterr().out)
    assert not any(array.flags.writeable for array in source[:4])
    # The notice stands in the output of each cell that loads.
    check_synthetic(fashion_mnist.load(), capsys.readouterr().out)


def test_network_that_forbids(publisher, cache, capsys):
    publisher.status = 403
    source, out = fashion_mnist.load(), capsys.readouterr().out
    check_synthetic(source, out)
    assert "answers 403 Forbidden" in out


def test_network_that_swallows_requests(publisher, cache, monkeypatch, capsys):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    go_on = threading.Event()
    publisher.hold = lambda method: go_on.wait(10)
    start = time.perf_counter()
    source, out = fashion_mnist.load(), capsys.readouterr().out
    assert time.perf_counter() - start < 5
    go_on.set()
    check_synthetic(source, out)
    assert "did not answer within 0.3 s" in out


def test_name_service_that_hangs(publisher, cache, monkeypatch, capsys):
    go_on = threading.Event()

    def hang(*args, **kwargs):
        go_on.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    source, out = fashion_mnist.load(), capsys.readouterr().out
    go_on.set()
    check_synthetic(source, out)
    assert "did not answer within 0.3 s" in out


def test_network_that_comes_back(publisher, cache, capsys):
    publisher.status = 503
    assert fashion_mnist.load().origin == "synthetic"
    publisher.status = 200
    check_stand_in(fashion_mnist.load())


# A folder of the reader's.


def test_folder_comes_first(publisher, cache, monkeypatch, tmp_path):
    write_files(tmp_path / "mine" / "fashion-mnist")
    monkeypatch.setenv("D2LEXT_DATA", str(tmp_path / "mine"))
    check_stand_in(fashion_mnist.load())
    assert publisher.requests == []
    assert not cache.exists()


def remove_all(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.parent.rmdir()


def folder_for_file(folder):
    (folder / TRAIN_IMAGES).unlink()
    (folder / TRAIN_IMAGES).mkdir()


WRONG_FOLDERS = {
    "missing": (remove_all, "no such folder"),
    "empty-folder": (
        lambda f: [path.unlink() for path in f.iterdir()],
        "without any of them",
    ),
    "without-a-file": (
        lambda f: (f / TRAIN_IMAGES).unlink(),
        f"without {TRAIN_IMAGES}",
    ),
    "folder-for-file": (folder_for_file, "must be a file"),
    **{
        name: (
            lambda f, content=content: (f / TRAIN_IMAGES).write_bytes(content),
            "truncated or altered",
        )
        for name, content in DAMAGES.items()
    },
}


@pytest.mark.parametrize(("spoil", "words"), WRONG_FOLDERS.values(), ids=WRONG_FOLDERS)
def test_wrong_folder(publisher, cache, monkeypatch, tmp_path, capsys, spoil, words):
    folder = tmp_path / "mine" / "fashion-mnist"
    write_files(folder)
    monkeypatch.setenv("D2LEXT_DATA", str(folder.parent))
    check_stand_in(fashion_mnist.load())  # what is spoilt later is noticed
    spoil(folder)
    message = load_error()
    assert words in message
    assert str(folder.parent) in message
    assert "unset" in message
    assert TRAIN_IMAGES in message
    # Neither the network nor synthetic garments behind the reader's back.
    assert publisher.requests == []
    assert capsys.readouterr().out == ""


# A cache that cannot be written.


def check_read_only_message(message):
    assert "D2LEXT_CACHE" in message
    assert "D2LEXT_DATA" in message
    assert "must be writable" in message


def test_cache_below_a_file(publisher, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("D2LEXT_CACHE", str(tmp_path / "file" / "cache"))
    message = load_error()
    check_read_only_message(message)
    assert str(tmp_path / "file" / "cache") in message
    assert "Not a directory" in message
    assert publisher.requests == []


@pytest.fixture
def read_only_cache(publisher, monkeypatch):
    """A complete cache in a folder that this process may read but not write."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "fashion-mnist"
        write_files(folder)
        monkeypatch.setenv("D2LEXT_CACHE", root)
        os.chmod(root, 0o755)
        yield folder


@contextlib.contextmanager
def read_only(folder):
    """No writing to `folder`, not even for root, who becomes nobody meanwhile."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            (folder / "try").write_text("")
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_read_only_cache_with_good_files(read_only_cache, publisher):
    with read_only(read_only_cache):
        check_stand_in(fashion_mnist.load())
    assert publisher.requests == []


@pytest.mark.parametrize("damaged", [None, b"damaged"], ids=["missing", "damaged"])
def test_read_only_cache_without_good_files(read_only_cache, publisher, damaged):
    (read_only_cache / TRAIN_IMAGES).unlink()
    if damaged:
        (read_only_cache / TRAIN_IMAGES).write_bytes(damaged)
    with read_only(read_only_cache):
        message = load_error()
    check_read_only_message(message)
    assert str(read_only_cache) in message
    assert TRAIN_IMAGES in message
    assert publisher.requests == []


def test_cache_without_room(publisher, cache):
    process = start_loader(file_size=1000)
    _, err = process.communicate(timeout=60)
    last = err.splitlines()[-1]
    assert "DataError" in last
    assert str(cache) in last
    assert "D2LEXT_CACHE" in last
    assert os.listdir(cache) == []


# The garments.


@pytest.fixture(scope="module")
def drawn():
    """Synthetic images and labels to train on, and others to test on."""
    return garments.draw(4000, seed=0), garments.draw(1000, seed=1)


def test_garments_depend_on_seed_and_index_alone(drawn):
    (images, labels), (others, _) = drawn
    first, first_labels = garments.draw(37, seed=0)
    assert np.array_equal(first, images[:37])
    assert np.array_equal(first_labels, labels[:37])
    assert not (images[: len(others)] == others).all(axis=(1, 2)).any()


def test_garments_are_images_of_ten_balanced_classes(drawn):
    (images, labels), _ = drawn
    assert images.shape == (4000, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [400] * 10
    assert len(np.unique(labels.reshape(-1, 10), axis=0)) > 300  # random order
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    assert images[:, 0, 0].max() == 0
    assert images.max() == 255


def test_garments_can_be_learned_but_not_by_heart(drawn):
    (train, train_labels), (test, test_labels) = drawn
    centroids = np.stack([train[train_labels == c].mean(axis=0) for c in range(10)])
    difference = test[:, None] - centroids[None]
    predicted = (difference**2).sum(axis=(2, 3)).argmin(axis=1)
    assert 0.7 < (predicted == test_labels).mean() < 0.9
    X, Z = (np.insert(a.reshape(len(a), -1) / 255, 0, 1, axis=1) for a in (train, test))
    weights = np.linalg.solve(
        X.T @ X + 10 * np.eye(X.shape[1]), X.T @ np.eye(10)[train_labels]
    )
    correct = (Z @ weights).argmax(axis=1) == test_labels
    assert 0.85 < correct.mean() < 1
    assert all(correct[test_labels == c].mean() > 0.5 for c in range(10))


# What is held out.


def test_split_is_a_partition():
    train, val = minibatches.split()
    assert (len(train), len(val)) == (50_000, 10_000)
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(60_000))
    assert not np.array_equal(train, np.sort(train))


def test_split_never_changes():
    # Not an oracle: a model trained before a change would have seen what is held out.
    assert minibatches.split()[1][:5].tolist() == [54264, 12078, 10290, 19600, 1160]


def test_split_takes_the_first_ones():
    (train, val), (some, few) = (
        minibatches.split(),
        minibatches.split(num_train=640, num_val=1),
    )
    assert np.array_equal(some, train[:640])
    assert np.array_equal(few, val[:1])


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"num_train": 50_001}, "num_train must be <= 50000, got 50001: .*None"),
        ({"num_val": 10_001}, "num_val must be <= 10000, got 10001: .*None"),
        ({"num_train": 0}, "num_train must be an integer >= 1, got 0"),
    ],
)
def test_split_of_too_many_or_none(numbers, rule):
    with pytest.raises(ValueError, match=rule):
        minibatches.split(**numbers)


# Minibatches.


def make_batches(num=60, batch_size=16, shuffle=True, seed=0, convert=None):
    # The label is the index, so a batch tells which images it holds.
    images = np.resize(TRUE_IMAGES, (num, 28, 28))
    convert = convert or (lambda X, y: (X, y))
    return minibatches.Batches(
        images, np.arange(num), batch_size, shuffle, seed, convert
    )


def epoch(batches):
    return np.concatenate([y for _, y in batches]).tolist()


@pytest.mark.parametrize("num", [1, 16, 48, 60])
def test_batches_hold_every_image_once(num):
    batches = make_batches(num)
    sizes = [len(y) for _, y in batches]
    assert len(batches) == len(sizes) == -(-num // 16)
    assert sizes == [16] * (num // 16) + [num % 16] * (num % 16 > 0)
    assert sorted(epoch(batches)) == list(range(num))
    assert batches.num_examples == num


def test_batches_in_order():
    assert epoch(make_batches(shuffle=False)) == list(range(60))


def test_batches_order_is_that_of_seed_and_epoch():
    batches = make_batches(seed=3)
    for e in range(2):
        generator = np.random.Generator(np.random.PCG64([3, e]))
        assert epoch(batches) == generator.permutation(60).tolist()
    assert epoch(make_batches(seed=4)) != epoch(make_batches(seed=3))


def test_batches_are_bytes_with_a_channel():
    X, y = next(iter(make_batches(shuffle=False)))
    assert X.shape == (16, 1, 28, 28)
    assert X.dtype == np.uint8
    assert y.dtype == np.int64
    assert np.array_equal(X[:, 0], TRUE_IMAGES[:16])


def test_batches_of_a_backend():
    threads = set()

    def convert(X, y):
        threads.add(threading.current_thread())
        return X.tolist(), len(y)

    assert [n for _, n in make_batches(convert=convert)] == [16, 16, 16, 12]
    assert threads == {threading.current_thread()}  # not all frameworks share tensors


class Watched:
    """Images that tell of each reading: in `threads`, the thread that read."""

    def __init__(self):
        self.threads = []

    def __getitem__(self, index):
        self.threads.append(threading.current_thread())
        return TRUE_IMAGES[index]


def test_next_batch_is_read_while_one_is_used():
    batches = make_batches()
    batches.images = Watched()
    iterator = iter(batches)
    next(iterator)
    deadline = time.perf_counter() + 5
    while len(batches.images.threads) < 2 and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert len(batches.images.threads) == 2
    assert threading.current_thread() not in batches.images.threads


def num_workers():
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_iteration_that_stops_early_leaves_no_thread():
    batches = make_batches()
    next(iter(batches))
    for _ in batches:
        break
    iterator = iter(batches)
    next(iterator)
    assert num_workers() == 1
    iterator.close()
    iter(batches)
    assert num_workers() == 0


def test_exceptions_reach_the_caller():
    class NoRoom:
        def __getitem__(self, index):
            raise MemoryError("no room for the batch")

    batches = make_batches()
    batches.images = NoRoom()
    with pytest.raises(MemoryError, match="no room"):
        next(iter(batches))
    assert num_workers() == 0


def test_batches_of_nothing():
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        make_batches(batch_size=0)
