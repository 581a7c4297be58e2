"""`memory_efficient` changes what is kept for the backward pass, and no number.

The oracle is the same network without it.
"""

import numpy as np
import pytest
from shared.random_images import Data, images
from shared.selected import in_backends

from d2lext.core.densenet import parity

SMALL = {
    "arch": (2, 3),
    "growth_rate": 4,
    "num_channels": 8,
    "num_classes": 10,
    "in_channels": 1,
}
X, y = images((4, 1, 8, 8))
# What a compiler keeps for the backward pass is what this is about.
pytestmark = pytest.mark.usefixtures("optimized")


@pytest.fixture
def pair(d2l, framework):
    """A function that makes two networks of the same weights, the second one thrifty."""

    def make(name="densenet_bc_100_12", **options):
        models = []
        for memory_efficient in (False, True):
            framework.seed(0)  # a dropout of Keras' draws its seed when it is made
            options["memory_efficient"] = memory_efficient
            models.append(d2l.create_model(name, **SMALL | options))
        return models

    return make


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")  # no number depends on what is kept
@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize("name", ["densenet_bc_100_12", "densenet_40_12"])
def test_a_step_is_the_same(d2l, framework, pair, name, dropout):
    """Logits, gradients, and statistics that one step has moved once."""
    steps = []
    for model in pair(name, dropout=dropout):
        framework.seed(0)
        steps.append(d2l.examine(model, X, y))
    plain, thrifty = steps
    start = d2l.get_weights(model)
    moved = [np.abs(a - start[n]).max() for n, a in plain.statistics.items()]
    assert min(moved) > 1e-4
    for what, found in parity.compare(thrifty, plain).items():
        assert found <= parity.TOLERANCES[what], what


@in_backends("torch")
def test_other_random_numbers_are_found(d2l, framework, pair):
    """Other masks of dropout give other gradients: the test above can tell."""
    grads = []
    for number, model in enumerate(pair(dropout=0.3)):
        framework.seed(number)
        grads.append(d2l.examine(model, X, y).gradients)
    assert parity.difference(*grads) > 0.01


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")
def test_training_is_the_same(d2l, pair, whole_runs):
    """Three epochs of one compiled step each, by the trainer."""
    weights, start = [], None
    for model in pair(lr=0.1, momentum=0.9):
        start = d2l.get_weights(model)
        trainer = d2l.Trainer(max_epochs=3, precision="fp32")
        trainer.fit(model, Data(d2l, (1, 8, 8), batch_size=20))
        weights.append(d2l.get_weights(model))
    plain, thrifty = weights
    assert parity.difference(plain, start) > 0.01
    tolerance = parity.TOLERANCES["weights after 10 steps"]
    assert parity.difference(thrifty, plain) <= tolerance


@in_backends("torch")
def test_pytorch_keeps_less(d2l, pair):
    """The bytes that one step keeps for its backward pass."""
    import torch

    kept = []
    for model in pair():
        found = {}

        def keep(tensor, found=found):
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            d2l.examine(model, X, y)
        kept.append(sum(found.values()))
    plain, thrifty = kept
    assert thrifty < plain / 2


def twice(torch, model, X):
    loss = model(X).square().sum()
    loss.backward(retain_graph=True)
    loss.backward()


def gradient_penalty(torch, model, X):
    loss = model(X.requires_grad_()).square().sum()
    [slope] = torch.autograd.grad(loss, X, create_graph=True)
    slope.square().sum().backward()


def evaluated_before_backward(torch, model, X):
    loss = model(X).square().sum()
    model.eval()
    with torch.no_grad():
        model(X)
    loss.backward()


def with_other_weights(torch, model, X):
    other = {n: 1.1 * p for n, p in model.named_parameters()}
    torch.func.functional_call(model, other, (X,)).square().sum().backward()


def with_other_statistics(torch, model, X):
    other = {n: 1.5 * b for n, b in model.named_buffers() if b.is_floating_point()}
    logits = torch.func.functional_call(model.eval(), other, (X,))
    logits.square().sum().backward()


def with_spectral_norm(torch, model, X):
    torch.manual_seed(0)  # each pass moves the vectors that are drawn now
    for layer in [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]:
        torch.nn.utils.parametrizations.spectral_norm(layer)
    model(X).square().sum().backward()


def gradient_of_each_example(torch, model, X):
    def loss(params, x):
        return torch.func.functional_call(model, params, (x[None],)).square().sum()

    model.eval()
    params = dict(model.named_parameters())
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(params, X)
    for name, param in params.items():
        param.grad = each[name].std(dim=0).detach()


def forward_mode(torch, model, X):
    model.eval()
    slopes = torch.func.jvp(model, (X,), (torch.ones_like(X),))[1]
    slopes.square().sum().backward()


def compiled(torch, model, X):
    torch.compile(model, backend="aot_eager")(X).square().sum().backward()


def exported(torch, model, X):
    program = torch.export.export(model.eval(), (X,))
    program.module()(X).square().sum().backward()
    program = dict(program.named_parameters())
    for name, param in model.named_parameters():
        param.grad = program[name].grad


USES = (
    twice,
    gradient_penalty,
    evaluated_before_backward,
    with_other_weights,
    with_other_statistics,
    with_spectral_norm,
    gradient_of_each_example,
    forward_mode,
    pytest.param(compiled, marks=pytest.mark.slow),
    pytest.param(exported, marks=pytest.mark.slow),
)


@in_backends("torch")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, within
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_pytorch_does_with_networks(pair, use):
    """Gradients, statistics and modes are those of the plain network."""
    import torch

    plain, thrifty = pair()
    for model in (plain, thrifty):
        use(torch, model, torch.from_numpy(X.copy()))
    grads = [
        {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
        for model in (plain, thrifty)
    ]
    assert sum(grad.any() for grad in grads[0].values()) > 15
    assert parity.difference(*grads) <= parity.TOLERANCES["gradients"]
    for a, b in zip(plain.buffers(), thrifty.buffers(), strict=True):
        torch.testing.assert_close(b, a)
    modes = [[m.training for m in model.modules()] for model in (plain, thrifty)]
    assert modes[0] == modes[1]


@in_backends("torch")
def test_weights_that_changed_before_the_backward_pass(d2l, pair):
    """The plain network refuses it, too: the gradient would be another one."""
    import torch

    for model, rule in zip(
        pair(), ("modified by an inplace", "weights of a network with"), strict=True
    ):
        loss = model(torch.from_numpy(X)).square().sum()
        block = next(m for m in model.modules() if isinstance(m, d2l.DenseBlockBC))
        with torch.no_grad():
            for param in block.parameters():
                param += 0.1  # as an optimiser's step
        with pytest.raises(RuntimeError, match=rule):
            loss.backward()


@in_backends("mxnet")
def test_mxnet_runs_each_block_once_more(monkeypatch, d2l, pair):
    from d2lext.mxnet.memory import _Recomputed

    run, calls = _Recomputed._run, []
    monkeypatch.setattr(
        _Recomputed, "_run", lambda *args: calls.append(1) or run(*args)
    )
    for model, expected in zip(pair(), (0, 2), strict=True):
        d2l.examine(model, X, y)
        assert len(calls) == expected * sum(SMALL["arch"])


def mxnet_gradients(model):
    params = [p for p in model.collect_params().values() if p.grad_req != "null"]
    return {str(i): param.grad().asnumpy() for i, param in enumerate(params)}


@in_backends("mxnet")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("backward_in_train_mode", [True, False])
def test_mxnet_gradients_in_evaluation_mode(
    d2l, pair, compiled, backward_in_train_mode
):
    """As of a saliency map: by the image, with statistics that stay."""
    from mxnet import autograd

    grads = []
    for model in pair():
        before, image = d2l.get_weights(model), d2l.tensor(X)
        model.hybridize(compiled)
        image.attach_grad()
        with autograd.record(train_mode=False):
            loss = (model(image) ** 2).sum()
        loss.backward(train_mode=backward_in_train_mode)
        grads.append({"image": image.grad.asnumpy(), **mxnet_gradients(model)})
        after = d2l.get_weights(model)
        assert parity.difference(after, before) <= 1e-6
    assert grads[0]["image"].any()
    assert parity.difference(*grads) <= parity.TOLERANCES["gradients"]


@in_backends("mxnet")
def test_mxnet_adds_gradients_where_it_is_told_to(d2l, pair):
    """After two passes it is twice what a plain network writes in one."""
    from mxnet import autograd

    grads = []
    for model, req in zip(pair(), ("write", "add"), strict=True):
        for param in model.collect_params().values():
            if param.grad_req != "null":
                param.grad_req = req
        for _ in range(2):
            with autograd.record():
                loss = (model(d2l.tensor(X)) ** 2).sum()
            loss.backward()
        grads.append(mxnet_gradients(model))
    written, added = grads
    twice = {name: 2 * grad for name, grad in written.items()}
    assert parity.difference(added, twice) <= parity.TOLERANCES["gradients"]


@in_backends("mxnet")
def test_mxnet_adds_the_gradient_of_a_blocks_input(d2l):
    from mxnet import autograd
    from mxnet.gluon import nn

    block = nn.Dense(3, flatten=False)
    block.initialize()
    array = d2l.tensor(X)
    block(array)
    expected = 2 * block.weight.data().asnumpy().sum(axis=0)
    array.attach_grad("add")
    for _ in range(2):
        with autograd.record():
            loss = d2l.recompute(block, array).sum()
        loss.backward()
    expected = np.broadcast_to(expected, X.shape)
    np.testing.assert_allclose(array.grad.asnumpy(), expected, rtol=1e-5)


@pytest.mark.slow
@in_backends("tensorflow")
def test_tensorflow_recomputes_with_fused_normalization(d2l, pair):
    """The compiled step of a trainer has one for each of what it computes anew."""
    from d2lext.tensorflow.trainer import _specs

    counts, data = [], Data(d2l, (1, 8, 8), batch_size=20)
    for model in pair():
        trainer = d2l.Trainer(max_epochs=1, precision="fp32")
        trainer.fit(model, data)
        specs = _specs(data.train_dataloader()[0])
        step = trainer._function(trainer._train, specs, trainer._traced.values())
        kinds = [op.type for op in step.graph.get_operations()]
        counts.append(kinds.count("FusedBatchNormV3"))
    plain, thrifty = counts
    assert thrifty == plain + 2 * sum(SMALL["arch"])  # two of each block


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")  # XLA plans before it writes the program
@in_backends("jax")
def test_xla_plans_for_one_gradient_a_feature(d2l):
    """The memory of a gradient's intermediate values, as XLA's own plan has it.

    It is less than what the plain network needs, and grows by the same for each block:
    there is neither an old concatenation in it nor a gradient that waits for its sum. The
    option is the one that `recompute` asks of a reader's own program.
    """
    import jax
    from jax import numpy as jnp

    def planned(depth, memory_efficient):
        options = {"arch": (depth,), "memory_efficient": memory_efficient}
        model = d2l.create_model("densenet_bc_100_12", **SMALL | options)

        def loss(params, X):
            variables = model.variables | {"params": params}
            return model.apply(variables, X, mutable=["batch_stats"])[0].sum()

        X = jnp.zeros((16, 16, 16, 1))
        option = {"xla_disable_hlo_passes": "cse_barrier_expander"}
        grad = jax.jit(jax.grad(loss), compiler_options=option)
        grad = grad.lower(model.variables["params"], X)
        return grad.compile().memory_analysis().temp_size_in_bytes

    few, more, many = (planned(depth, True) for depth in (8, 10, 12))
    assert many < planned(12, False) / 3
    assert many - more == pytest.approx(more - few, rel=0.1)
