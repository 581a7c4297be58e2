"""What TensorFlow's backend decides on GPUs, which a CPU plays here."""

import importlib
import threading

import numpy as np
import pytest
from shared.random_images import Data

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import tensorflow as tf
from shared.frameworks import tensorflow as framework
from tensorflow.python.eager.context import context

from d2lext import tensorflow as d2l
from d2lext.core.machine import devices
from d2lext.tensorflow import accelerators, device, settings
from d2lext.tensorflow.speed import precision, xla

pytestmark = pytest.mark.usefixtures("whole_runs")
Linear = framework.Linear
tf32 = tf.config.experimental.tensor_float_32_execution_enabled


@pytest.fixture
def gpu(monkeypatch):
    """A function that lets the CPU pass for a GPU of a compute capability."""

    def play(capability=(9, 0)):
        found = {"device_name": "a GPU", "compute_capability": capability}
        monkeypatch.setattr(accelerators, "details", lambda place: found)
        monkeypatch.setattr(device, "num_gpus", lambda: 2)

    return play


@pytest.mark.parametrize(
    ("capability", "chosen"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp32")]
)
def test_bfloat16_only_where_a_gpu_multiplies_it(gpu, capability, chosen):
    gpu(capability)
    assert d2l.Trainer(max_epochs=1, num_gpus=2).used_precision == chosen


def test_a_gpu_of_another_maker_computes_in_float32(gpu, monkeypatch):
    gpu()
    monkeypatch.setattr(accelerators, "details", lambda place: {"device_name": "METAL"})
    assert d2l.Trainer(max_epochs=1, num_gpus=1).used_precision == "fp32"


def test_a_gpu_that_is_entered_is_one_to_train_on(gpu):
    gpu()
    with d2l.gpu():
        trainer = d2l.Trainer(max_epochs=1)
    assert (len(trainer.gpus), trainer.used_precision) == (1, "bf16")
    assert not d2l.Trainer(max_epochs=1).gpus


def test_an_optimiser_lies_where_it_trains():
    """Without a device, its numbers would lie on the first GPU, even on a CPU's behalf."""
    places = []

    class Notes(Linear):
        def configure_optimizers(self):
            places.append(context().device_name)
            return super().configure_optimizers()

    d2l.Trainer(max_epochs=1).fit(Notes(), Data(d2l))
    assert places[0].endswith("CPU:0")


def noting(seen):
    """A model each of whose steps notes, when it runs, whether products are rounded."""

    class Notes(Linear):
        def loss(self, Y_hat, Y, averaged=True):
            tf.py_function(lambda: seen.append(tf32()), [], [])
            return super().loss(Y_hat, Y, averaged)

        def call(self, X, training=None):
            tf.py_function(lambda: seen.append(tf32()), [], [])
            return super().call(X, training=training)

    return Notes()


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("compile", [True, False])
def test_float32_is_not_rounded_in_steps(compile, allowed):
    seen, before = [], tf32()
    tf.config.experimental.enable_tensor_float_32_execution(allowed)
    try:
        trainer = d2l.Trainer(max_epochs=1, precision="fp32", compile=compile)
        trainer.fit(noting(seen), Data(d2l))
        assert tf32() is allowed
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
    assert seen[-6:] == [False] * 6


def test_float32_is_not_rounded_in_what_a_network_computes(monkeypatch):
    seen, before = [], tf32()
    model = d2l.create_model("densenet_d2l", arch=(1,), num_channels=8, growth_rate=4)
    call = model.call
    monkeypatch.setitem(
        vars(model), "call", lambda X, **o: seen.append(tf32()) or call(X, **o)
    )
    X = np.zeros((2, 1, 16, 16), np.float32)
    d2l.predict(model, X)
    d2l.examine(model, X, np.array([0, 1]))
    assert (seen, tf32()) == ([False] * 2, before)


def test_threads_share_a_setting():
    """The first that enters does not restore it for the second."""
    within, left = threading.Event(), threading.Event()
    seen, before = [], tf32()

    def second():
        with settings.full_float32:
            within.set()
            left.wait(10)
            seen.append(tf32())

    thread = threading.Thread(target=second)
    with settings.full_float32:
        thread.start()
        within.wait(10)
    left.set()
    thread.join()
    assert (seen, tf32()) == ([False], before)


@pytest.mark.parametrize(("given", "expected"), [(None, "true"), ("false", "false")])
def test_memory_is_taken_as_it_is_needed(monkeypatch, given, expected):
    name = "TF_FORCE_GPU_ALLOW_GROWTH"
    monkeypatch.setenv(name, "")  # restored afterwards
    if given is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, given)
    importlib.reload(d2l.loading)
    assert d2l.loading.os.environ[name] == expected


def test_a_compiled_step_enters_the_precision_once(gpu, monkeypatch):
    gpu()
    entered, mixed = [], precision.mixed
    monkeypatch.setattr(precision, "mixed", lambda m: entered.append(m) or mixed(m))
    trainer = d2l.Trainer(max_epochs=2, num_gpus=1)
    trainer.fit(Linear(), Data(d2l))
    sizes = {len(batch[-1]) for batch in trainer.train_batches()}
    assert (trainer.used_precision, len(entered)) == ("bf16", len(sizes))


@pytest.fixture
def fashion():
    """A function that makes few images of Fashion-MNIST for a device."""

    def make(place):
        data = d2l.FashionMNIST(16, resize=(8, 6), num_train=40, num_val=20)
        data.device = place
        return data

    return make


def test_images_lie_on_the_gpu(gpu, fashion, monkeypatch):
    expected = list(fashion(d2l.cpu()).train_dataloader())
    gpu()
    loader = fashion(d2l.gpu()).train_dataloader()
    assert isinstance(loader.images, tf.Variable)
    assert loader.images.dtype == loader.labels.dtype == tf.uint8
    monkeypatch.setattr(np, "ascontiguousarray", None)  # no images pass through NumPy
    for batch, arrays in zip(loader, expected, strict=True):
        for tensor, array in zip(batch, arrays, strict=True):
            assert (tensor.dtype, tensor.shape) == (array.dtype, array.shape)
            assert np.array_equal(tensor, array)


def test_images_stay_where_the_gpu_has_no_room(gpu, fashion, monkeypatch):
    gpu()

    def full(*args):
        raise framework.out_of_memory()

    monkeypatch.setattr(tf, "zeros", full)
    assert isinstance(fashion(d2l.gpu()).train_dataloader().images, np.ndarray)


def test_images_stay_without_a_trainer(gpu, fashion):
    """A notebook that shows a few of them does not fill a GPU."""
    gpu()
    assert isinstance(fashion(None).train_dataloader().images, np.ndarray)


BUILD = {"cuda_version": "12.5.1", "cudnn_version": "9"}


@pytest.mark.parametrize(
    ("is_built", "loads", "said"),
    [
        (
            False,
            [],
            "TensorFlow is installed without CUDA, which this machine's H200 needs",
        ),
        (
            True,
            ["libcudart.so.12", "libcublas.so.12"],
            "TensorFlow cannot use the GPU H200: install what it lacks, libcudnn.so.9: "
            f"pip install 'tensorflow[and-cuda]=={tf.__version__}'",
        ),
        (
            True,
            ["libcudart.so.12", "libcublas.so.12", "libcudnn.so.9"],
            "TensorFlow cannot use the GPU H200: update its driver",
        ),
    ],
)
def test_why_there_is_no_gpu(monkeypatch, is_built, loads, said):
    def load(name):
        if name not in loads:
            raise OSError

    monkeypatch.setattr(devices, "_nvidia_gpu", lambda: "H200")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: is_built)
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: BUILD)
    monkeypatch.setattr(device.ctypes, "CDLL", load)
    assert device.why_no_gpu().startswith(said)


# By XLA.


def traced(function):
    spec = tf.TensorSpec((4, 4), tf.float32)
    return tf.function(function, autograph=False).get_concrete_function(spec)


X = tf.random.stateless_uniform((4, 4), seed=(0, 1))


def test_xla_computes_the_same():
    count = tf.Variable(0)

    def step(X):
        count.assign_add(1)
        return {"loss": tf.reduce_mean(tf.tanh(X) @ X)}

    plain = traced(step)
    compiled = xla.by_xla(plain, Linear())
    assert compiled is not plain
    for _ in range(2):
        loss = compiled(X)["loss"]
    assert count.numpy() == 2
    np.testing.assert_allclose(loss, plain(X)["loss"], rtol=1e-6)


def test_what_xla_lacks_runs_without_it():
    count, seen = tf.Variable(0), []

    def step(X):
        count.assign_add(1)
        tf.py_function(lambda: seen.append(1), [], [])
        return X + 1

    compiled = xla.by_xla(traced(step), Linear())
    for _ in range(2):
        np.testing.assert_array_equal(compiled(X), X + 1)
    assert (count.numpy(), len(seen)) == (2, 2)


def test_xla_leaves_numbers_that_a_seed_determines():
    @tf.function(autograph=False)
    def inner(X):
        return X + tf.random.normal(X.shape)

    for step in (inner, lambda X: X + tf.random.uniform(X.shape)):
        plain = traced(step)
        assert xla.by_xla(plain, Linear()) is plain
    plain = traced(lambda X: X + tf.random.stateless_normal(X.shape, (0, 1)))
    assert xla.by_xla(plain, Linear()) is not plain


def test_xla_leaves_what_must_be_deterministic():
    plain = traced(tf.tanh)
    with d2l.Trainer(max_epochs=1).only_deterministic():
        assert xla.by_xla(plain, Linear()) is plain


@pytest.fixture
def compiled(monkeypatch):
    """What was compiled by XLA."""
    functions, by_xla = [], xla.by_xla
    monkeypatch.setattr(
        xla, "by_xla", lambda f, m: functions.append(by_xla(f, m)) or functions[-1]
    )
    return functions


@pytest.mark.parametrize(("fewest", "number"), [(6, 1), (7, 0)])
def test_xla_compiles_the_steps_that_recur(gpu, compiled, monkeypatch, fewest, number):
    """Of 3 batches in each of 2 epochs, not the validation and not the last one."""
    monkeypatch.setattr(xla, "FEWEST_STEPS", fewest)
    gpu()
    d2l.Trainer(max_epochs=2, num_gpus=1).fit(Linear(), Data(d2l))
    assert len(compiled) == number


def test_xla_trains_as_a_cpu_does(gpu, compiled, monkeypatch):
    def trained(**options):
        options["precision"] = "fp32"
        model = d2l.create_model(
            "densenet_bc_100_12", arch=(1,), in_channels=1, growth_rate=4, lr=0.1
        )
        trainer = d2l.Trainer(2, **options)
        trainer.fit(model, Data(d2l, (1, 8, 8)))
        return [entry["val_loss"] for entry in trainer.history]

    expected = trained()
    gpu()
    monkeypatch.setattr(xla, "FEWEST_STEPS", 1)
    np.testing.assert_allclose(trained(num_gpus=1), expected, rtol=1e-3)
    assert compiled
