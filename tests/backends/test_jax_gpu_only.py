"""JAX on GPUs, as far as that can be told without one: what is compiled, and how."""

import json
import os
import re
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from shared.processes import python

pytest.importorskip("d2lext.jax", exc_type=ImportError)

import jax
from jax import numpy as jnp
from shared import jax_steps
from shared.random_images import images

from d2lext import jax as d2l
from d2lext.core.densenet import parity
from d2lext.core.machine import devices
from d2lext.jax import accelerators
from d2lext.jax.speed import compiling

COMPILES = """
import json
from shared import jax_steps

steps, gpu = {}, jax_steps.described()
for name, arguments in json.loads(ARGUMENTS).items():
    program = jax_steps.lowered(gpu, **arguments)
    # There is no card to try algorithms on.
    program = program.compile(compiler_options={"xla_gpu_autotune_level": 0})
    steps[name] = program.as_text()
print(json.dumps(steps))
"""
THRIFTY = {
    "name": "densenet_bc_100_12",
    "options": {"arch": (2,), "memory_efficient": True},
}
STEPS = {
    f"{name}, {precision}": arguments
    | {"precision": precision, "deterministic": precision == "bf16"}
    for precision in ("fp32", "bf16")
    for name, arguments in {
        "train": {},
        "evaluate": {"step": "eval"},
        "efficient": THRIFTY,
    }.items()
}


@pytest.mark.slow
@pytest.mark.skipif(
    not find_spec("jax_cuda13_plugin"), reason="needs pip install jax-cuda13-plugin"
)
def test_steps_compile_for_an_h200():
    """Those of a training, an evaluation, a thrifty network: in both precisions."""
    code = f"ARGUMENTS = {json.dumps(STEPS)!r}\n{COMPILES}"
    result = python(code, JAX_SKIP_CUDA_CONSTRAINTS_CHECK="1")
    assert result.returncode == 0, result.stderr[-3000:]
    steps = json.loads(result.stdout.splitlines()[-1])
    assert steps.keys() == STEPS.keys()
    for name, text in steps.items():
        convolutions = [
            line
            for line in text.splitlines()
            if 'custom_call_target="__cudnn$conv' in line
        ]
        assert convolutions, name
        # XLA rounds factors to TF32 unless this says that it must not.
        exact = [c for c in convolutions if "operand_precision={highest,highest" in c]
        assert exact == convolutions, name
        is_low = name in ("train, bf16", "efficient, bf16")
        assert {"bf16[" in line for line in convolutions} == {is_low}, name
        # It would add gradients in whatever order they come.
        assert "select-and-scatter" not in text


@pytest.mark.parametrize("step", ["train", "eval"])
def test_fp32_is_fp32_on_a_gpu(step):
    """Every product asks for all bits: JAX's default would be TF32."""
    before = jax.config.jax_default_matmul_precision
    program = jax_steps.lowered(jax_steps.feigned(), step, precision="fp32").as_text()
    products = [
        line
        for line in program.splitlines()
        if "stablehlo.convolution(" in line or "stablehlo.dot_general" in line
    ]
    assert len(products) > 3
    assert {line.count("HIGHEST") for line in products} == {2}  # of both factors
    assert jax.config.jax_default_matmul_precision == before


def test_a_function_runs_where_its_weights_are(monkeypatch):
    """The compiler has the options of that device, not of JAX's default one."""
    asked = []
    monkeypatch.setattr(
        compiling, "compiled", lambda f, device: asked.append(device) or jax.jit(f)
    )
    [cpu] = jax.devices("cpu")[:1]
    run = compiling.compiled_anywhere(lambda variables, X: variables["a"] + X)
    for array in (jax.device_put(np.ones(2), cpu), np.ones(2)):
        assert run({"a": array}, np.ones(2)).tolist() == [2, 2]
    assert asked == [cpu]


def options(monkeypatch, device, **trainers):
    """The compiler's options for the two steps of a trainer on a device."""
    model, found = d2l.create_model("densenet_40_12", arch=(1,)), []
    trainer = d2l.Trainer(max_epochs=1, **trainers)
    trainer.device, trainer.model, model.trainer = device, model, trainer
    monkeypatch.setattr(
        compiling.jax, "jit", lambda f, **options: found.append(options)
    )
    trainer._make_steps()
    monkeypatch.undo()
    return [given["compiler_options"] for given in found]


def test_a_gpu_is_asked_for_equal_bits(monkeypatch):
    gpu = jax_steps.feigned()
    expected = {"xla_gpu_deterministic_ops": True}
    assert options(monkeypatch, gpu, deterministic=True) == [expected] * 2
    assert options(monkeypatch, gpu) == [None] * 2


def test_a_cpu_keeps_barriers(monkeypatch):
    """Whatever else the user has disabled stays so: XLA reads the last of each option."""
    expected = {"xla_disable_hlo_passes": "cse_barrier_expander"}
    assert options(monkeypatch, d2l.cpu(), deterministic=True) == [expected] * 2
    flag = "--xla_disable_hlo_passes"
    monkeypatch.setenv("XLA_FLAGS", f"{flag}=dce --a=1 {flag}=dce,cse")
    expected = {"xla_disable_hlo_passes": "dce,cse,cse_barrier_expander"}
    assert options(monkeypatch, d2l.cpu()) == [expected] * 2


def test_barriers_last_in_what_a_cpu_runs(monkeypatch):
    """In a step of a trainer, in predictions, and in what `examine` computes."""
    programs = [jax_steps.lowered(d2l.cpu(), **THRIFTY).compile()]
    run = compiling.compiled

    def compiled(*args, **kwargs):
        function = run(*args, **kwargs)

        def called(*arrays):
            programs.append(function.lower(*arrays).compile())
            return function(*arrays)

        return called

    monkeypatch.setattr(compiling, "compiled", compiled)
    small = jax_steps.SMALL | {"arch": (1,), "memory_efficient": True}
    model, (X, y) = d2l.create_model("densenet_40_12", **small), images((2, 1, 8, 8))
    d2l.predict(model, X)
    d2l.examine(model, X, y)
    assert ["opt-barrier" in program.as_text() for program in programs] == [True] * 3


def test_importing_leaves_the_processs_settings():
    """But for the memory that JAX would take, and that as the user has said."""
    code = (
        "import os\nfrom d2lext import jax\n"
        "print(os.environ.get('XLA_FLAGS'), "
        "os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'])"
    )
    for given, expected in ((None, "false"), ("true", "true")):
        variables = {"XLA_FLAGS": None, "XLA_PYTHON_CLIENT_PREALLOCATE": given}
        result = python(code, **variables)
        assert result.stdout == f"None {expected}\n", result.stderr


def card(platform="gpu", **attributes):
    return SimpleNamespace(platform=platform, **attributes)


# bfloat16 came with Ampere, 8.0 (NVIDIA's Programming Guide, "Compute Capabilities").
@pytest.mark.parametrize(
    ("device", "precision"),
    [
        (card(compute_capability="7.5"), "fp32"),
        (card(compute_capability="8.0"), "bf16"),
        (card(compute_capability="9.0"), "bf16"),
        (card(compute_capability="12.0"), "bf16"),
        (card(compute_capability="gfx942"), "bf16"),
        (card("tpu"), "bf16"),
        (card("METAL"), "fp32"),
    ],
)
def test_a_device_multiplies_what_it_has_units_for(monkeypatch, device, precision):
    monkeypatch.setattr(jax, "devices", lambda *_: [device, card("cpu")])
    trainer = d2l.Trainer(max_epochs=1, num_gpus=1)
    assert trainer.gpus == [device]
    assert trainer.used_precision == precision


def test_gpus_are_what_jax_uses(monkeypatch):
    """Its own choice, such as JAX_PLATFORMS makes, is not overruled."""
    cpu, gpu, tpu = (card(name) for name in ("cpu", "gpu", "tpu"))
    for found, expected in (([gpu, gpu], [gpu, gpu]), ([tpu], [tpu]), ([cpu], [])):
        monkeypatch.setattr(jax, "devices", lambda *_, found=found: found)
        assert d2l.num_gpus() == len(expected)
        assert [d2l.gpu(i) for i in range(len(expected))] == expected
        with pytest.raises(IndexError):
            d2l.gpu(len(expected))


def test_why_there_is_no_gpu(tmp_path, monkeypatch):
    """Without a plug-in for CUDA, with one that fails, or with one that is left out."""
    monkeypatch.setattr(
        devices, "why_no_gpu", lambda name, has_cuda: f"{name}: {has_cuda}"
    )
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    for found, folder in ((None, "none"), (spec, "xla_rocm7")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
        monkeypatch.setattr(
            d2l.device.importlib.util, "find_spec", lambda _, found=found: found
        )
        assert d2l.device.why_no_gpu() == "JAX: False"
    (tmp_path / "xla_cuda13").mkdir()
    (tmp_path / "xla_cuda13" / "__init__.py").touch()
    assert re.fullmatch(r"JAX: True \(.*cuda.*\)", d2l.device.why_no_gpu())
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", "cpu")
    try:
        assert "JAX_PLATFORMS=cpu leaves out the GPU" in d2l.device.why_no_gpu()
    finally:
        jax.config.update("jax_platforms", before)
    monkeypatch.setattr(devices, "why_no_gpu", lambda name, has_cuda: "")
    assert d2l.device.why_no_gpu() == ""


def test_data_on_a_gpu_are_the_same(monkeypatch):
    """Each of the 256 shades and each label, in the same order, to the bit."""
    data = object.__new__(d2l.FashionMNIST)
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    labels = np.array([7], np.uint8)
    X, y = data.to_tensors(jnp.asarray(pixels), jnp.asarray(labels))
    expected = pixels.reshape(1, 16, 16, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(X, expected)
    assert (X.dtype, y.dtype, y.tolist()) == (jnp.float32, jnp.int32, [7])

    epochs = []
    for resident in (False, True):
        monkeypatch.setattr(d2l.data, "has_room", lambda *_, fits=resident: fits)
        data = d2l.FashionMNIST(batch_size=6, num_train=16, num_val=8)
        data.device = d2l.cpu()
        loader = data.train_dataloader()
        assert isinstance(loader.images, jax.Array) is resident
        epochs.append([batch for _ in range(2) for batch in loader])
    for batch, other in zip(*epochs, strict=True):
        for a, b in zip(batch, other, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-7)


def test_room_for_data():
    """A tenth of what is free; a device that does not tell has none."""
    stats = {"bytes_limit": 2000, "bytes_in_use": 1000}
    gpu = card(memory_stats=lambda: stats)
    assert accelerators.has_room(gpu, 100)
    assert not accelerators.has_room(gpu, 101)
    assert not accelerators.has_room(d2l.cpu(), 1)


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """JAX has no folder for compiled programs; the cache is a new folder."""
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("D2LEXT_CACHE", str(tmp_path))
    compiling.compilation_cache.set_cache_dir(None)
    yield tmp_path / "programs"
    compiling.compilation_cache.set_cache_dir(before)
    compiling.compilation_cache.reset_cache()


def test_a_gpus_programs_are_kept(no_programs):
    keep = compiling._keep_programs.__wrapped__
    keep()
    assert jax.config.jax_compilation_cache_dir == str(no_programs)
    assert no_programs.stat().st_mode & 0o777 == 0o700
    jax.jit(lambda x: x + 1)(
        jnp.ones(3)
    )  # in a moment, which conftest says is kept too
    assert list(no_programs.iterdir())


def test_programs_of_others_are_not_read(no_programs):
    """Who may write in the folder decides what this process executes."""
    no_programs.mkdir()
    os.chmod(no_programs, 0o777)
    compiling._keep_programs.__wrapped__()
    assert jax.config.jax_compilation_cache_dir is None


def test_a_users_folder_for_programs_stays(no_programs):
    compiling.compilation_cache.set_cache_dir("somewhere")
    compiling._keep_programs.__wrapped__()
    assert jax.config.jax_compilation_cache_dir == "somewhere"
    assert not no_programs.exists()


def test_an_optimisers_state_begins_the_same_on_a_gpu():
    """Made on the CPU, where many small programs are compiled soon."""
    states, small = [], jax_steps.SMALL | {"arch": (1,), "momentum": 0.9}
    for gpus in ([], jax.devices()[:1]):
        model = d2l.create_model("densenet_40_12", **small)
        trainer = d2l.Trainer(max_epochs=1)
        trainer.gpus = gpus
        with trainer.seeded():
            trainer.prepare_data(jax_steps.Data(d2l))
            trainer.prepare_model(model)
            trainer.prepare_optimizer()
        states.append(trainer.get_state())
    assert parity.difference(*states) == 0
