"""Downloads, on a publisher of small stand-in files on this machine; and no network."""

import hashlib
import os
import signal
import socket
import threading
import time
from functools import partial

import pytest
from shared.publisher import (
    CONTENTS,
    DAMAGES,
    TRAIN_IMAGES,
    check_stand_in,
    load_error,
    start_loader,
    write_files,
)
from tqdm import tqdm

from d2lext.core.data import download, fashion_mnist

damages = pytest.mark.parametrize("damaged", DAMAGES.values(), ids=DAMAGES)


def test_download_once(publisher, cache, capsys, monkeypatch):
    # TQDM_DISABLE may be set where tests run.
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
    assert capsys.readouterr().out == ""  # no mention of synthetic garments


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
    # The notice appears in the output of each cell that loads.
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
