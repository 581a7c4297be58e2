"""What all tests share: short training, the real data where they lie, the book's site.

`python build.py test --backend torch` leaves the other frameworks' files out.
"""

import contextlib
import fcntl
import gc
import os
import re
import signal
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest
from shared import frameworks, notebook_kernels
from shared.selected import BACKENDS, SELECTED, d2l_or_skip

from d2lext.core.frameworks import IDS

ROOT = Path(__file__).resolve().parents[1]
os.environ["D2LEXT_FAST"] = "1"
os.environ["PYTHONPATH"] = str(ROOT)  # for processes that use the builder
# A test runs a program a few times, so that compiling it takes most of the time. Where it
# is about rounding or memory, the fixture `optimized` compiles as for readers. JAX reads
# these where a file of tests first imports it, also in processes that a test starts.
if find_spec("jax"):  # TensorFlow reads XLA_FLAGS, too, and an old one has fewer
    for name, value in notebook_kernels.COMPILED_QUICKLY.items():
        os.environ.setdefault(name, value)
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Programs that several tests have, in several processes and kernels, are compiled
    # once. The folder lasts until this process ends.
    programs = tempfile.TemporaryDirectory(prefix="programs-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# A shell lets what it starts in the background ignore Ctrl-C; so would the processes that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# They take longest, in this order. Last, one process would wait for another's.
LONG = (
    "test_pretrained.py",
    "test_family.py",
    "test_parity.py",
    "test_jax_programs.py",
    "test_memory.py",
    "test_wheel.py",
    "test_serve.py",
    "test_pdf.py",
    "test_browser.py",
    "test_networks.py",
    "test_checkpoints.py",
    "test_stock.py",
    "test_project.py",
)

# What one framework has alone; the other files ask each framework the same questions.
collect_ignore_glob = [
    pattern
    for name in IDS
    if BACKENDS and name not in BACKENDS
    for pattern in (
        f"backends/test_{name}_*only.py",
        f"backends/speed/test_{name}_*.py",
    )
]


# They compile what a test runs, which takes most of its time.
COMPILING = ("jax", "tensorflow")


def pytest_configure(config):
    """Take care of notebooks, too."""
    config.pluginmanager.register(notebook_kernels)


@pytest.hookimpl(tryfirst=True)  # before pytest reads the marks
def pytest_collection_modifyitems(items):
    """Begin with notebooks and with the other files that take longest.

    Frameworks that compile answer one question of each file in the quick run, unless they
    alone are selected; the others are slow.
    """

    def place(item):
        if item.path.suffix == ".ipynb":
            return -1
        name = item.path.name
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=place)
    asked = set()
    for item in items:
        backend = _backend(item)
        if backend in COMPILING and len(SELECTED) > 1 and not _is_slow(item):
            if (item.path, backend) in asked:
                item.add_marker("slow")
            asked.add((item.path, backend))


def pytest_collection_finish():
    """Collect garbage seldom, and leave out what is imported by now.

    Frameworks make many objects that stay, for each of their layers.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def _backend(item):
    """The framework that a test is for, None if it is for several or none."""
    params = getattr(item, "callspec", None)
    of_file = re.match(r"test_([a-z]+?)_", item.path.name)
    return (params and params.params.get("backend")) or (of_file and of_file[1])


def _is_slow(item):
    return item.get_closest_marker("slow") is not None


@contextlib.contextmanager
def optimizations(wanted):
    """Within, JAX optimises the library's programs, or not; nothing where it is missing."""
    if "jax" not in SELECTED or find_spec("jax") is None:
        yield
        return
    d2l_or_skip("jax")  # prepares JAX, and is imported before it
    import jax

    from d2lext.jax.speed import compiling

    def options(*args):
        return {**(of_device(*args) or {}), "xla_cpu_use_fusion_emitters": wanted}

    of_device = compiling._options
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", not wanted)
    with mock.patch.object(compiling, "_options", options):
        yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def optimized():
    """JAX compiles as it does for readers."""
    with optimizations(True):
        yield


@pytest.fixture
def compiled_quickly():
    """JAX compiles without optimising, also in a module whose other tests do."""
    with optimizations(False):
        yield


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def built_site(tmp_path_factory):
    """The folder of the site, written from the recorded notebooks."""
    from builder.publishing.site import Site
    from builder.source.book import Book

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all workers: the first one builds the site
    with open(folder / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Site(Book(ROOT), folder / "site" / "html").write().parent


@pytest.fixture(scope="module", params=SELECTED)
def backend(request):
    """A framework's name: a test that takes it runs in each that is selected."""
    d2l_or_skip(request.param)
    return request.param


@pytest.fixture(scope="module")
def d2l(backend):
    """The package of the framework."""
    return d2l_or_skip(backend)


@pytest.fixture(scope="module")
def framework(backend):
    """What tests need of the framework beyond its package: `shared.frameworks`."""
    return frameworks.of(backend)


@pytest.fixture(scope="module")
def whole_runs():
    """Training as long as a test says, whatever the environment asks for."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("D2LEXT_FAST", "D2LEXT_EPOCHS", "D2LEXT_CHECKPOINTS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def interruptible():
    """Ctrl-C does what it does in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def figures(monkeypatch):
    """Figures are drawn nowhere, and closed afterwards."""
    from matplotlib import pyplot as plt

    monkeypatch.setenv("MPLBACKEND", "agg")
    with plt.rc_context():
        yield
    plt.close("all")
