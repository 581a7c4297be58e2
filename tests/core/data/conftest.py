"""A publisher on this machine and a cache, in place of the real ones."""

import gzip
import hashlib
import socket

import pytest
from shared.publisher import CONTENTS, Publisher

from d2lext.core.data import fashion_mnist, garments


@pytest.fixture
def publisher(monkeypatch):
    """A publisher on this machine, which the library mistakes for the real one."""
    server = Publisher()
    sha256 = {name: hashlib.sha256(c).hexdigest() for name, c in CONTENTS.items()}
    unzipped = {
        name: hashlib.sha256(gzip.decompress(c)).hexdigest()
        for name, c in CONTENTS.items()
    }
    files = fashion_mnist.FILES._replace(
        url=server.url, sha256=sha256, unzipped=unzipped
    )
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
    """The publisher's address becomes a port where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        monkeypatch.setattr(
            fashion_mnist, "FILES", fashion_mnist.FILES._replace(url=url)
        )
        yield


@pytest.fixture
def few_garments(monkeypatch):
    """Synthetic sets of the stand-in files' size, drawn quickly."""
    monkeypatch.setattr(garments, "_SHAPES", 2)
    monkeypatch.setattr(fashion_mnist, "NUM_TRAIN", 60)
    monkeypatch.setattr(fashion_mnist, "NUM_TEST", 10)
    fashion_mnist._synthetic.cache_clear()
    yield
    fashion_mnist._synthetic.cache_clear()
