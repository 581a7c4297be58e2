"""What PyTorch's backend has alone: lazy layers, modes of modules, default types.

A lazy network with `init_cnn` or `init_he` is loaded, copied and saved as PyTorch's plain
lazy layers are.
"""

import contextlib
import copy
import io
import pickle

import numpy as np
import pytest
from shared.frameworks import small
from shared.random_images import Data, images

pytest.importorskip("d2lext.torch", exc_type=ImportError)

import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from d2lext import torch as d2l

TINY = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "num_classes": 10}
X, y = images((2, 1, 28, 28))
X = torch.from_numpy(X)


def lenet():
    model = d2l.LeNet()
    model.net.apply(d2l.init_he)
    return model


def readers_own():
    """A network without a class of ours around it."""
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    return net.apply(d2l.init_cnn)


NETWORKS = {
    "LeNet": lenet,
    "DenseNet": lambda: small(d2l, arch=(1,)),
    "DenseNetBC": lambda: d2l.DenseNetBC(small_images=True, **TINY),
    "a reader's own": readers_own,
}


@pytest.fixture(params=NETWORKS)
def make(request):
    """A function that makes a network, not built."""
    return NETWORKS[request.param]


def layers(model):
    return [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]


def assert_same(model, other):
    for a, b in zip(*(m.state_dict().items() for m in (model, other)), strict=True):
        assert a[0] == b[0]
        assert torch.equal(a[1], b[1]), a[0]


def assert_initialised_once(model):
    """As `init_cnn` and `init_he` do, in the first forward pass alone."""
    model.eval()
    logits = model(X)
    assert torch.equal(model(X), logits)
    assert not any(
        layer.bias.any() for layer in layers(model) if layer.bias is not None
    )


# Loaded, copied, saved


@pytest.mark.parametrize("assign", [False, True])
def test_loaded_weights_stay(make, assign):
    built, model = make().eval(), make().eval()
    logits = built(X)
    for layer in layers(built):
        layer.weight.data += 1
    logits = built(X)
    model.load_state_dict(copy.deepcopy(built.state_dict()), assign=assign)
    assert torch.equal(model(X), logits)
    assert_same(model, built)


def test_layers_that_are_not_in_the_file_are_drawn():
    """As in fine-tuning, where the last layer is another one."""
    built, model = readers_own().eval(), readers_own().eval()
    built(X)
    weights = {n: a for n, a in built.state_dict().items() if not n.startswith("3.")}
    model.load_state_dict(weights, strict=False)
    assert_initialised_once(model)
    for name, array in weights.items():
        assert torch.equal(model.state_dict()[name], array)


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "torch.save": saved,
    "average": lambda model: torch.optim.swa_utils.AveragedModel(model).module,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies(make, how):
    """A copy draws its weights once, as does what it was copied from."""
    model = make()
    twin = COPIES[how](model)
    assert_initialised_once(twin)
    assert_initialised_once(model)
    assert not torch.equal(layers(twin)[0].weight, layers(model)[0].weight)


def test_a_copy_has_the_weights_of_a_seed():
    model, twin = (small(d2l, arch=(1,), lr=0) for _ in range(2))
    twin = copy.deepcopy(twin)
    for each in (model, twin):
        d2l.Trainer(max_epochs=1, seed=3).fit(each, Data(d2l))
    assert_same(model, twin)


def test_pruned_and_normalized_once_loaded():
    """With weights from elsewhere."""
    built = readers_own().eval()
    built(X)
    for change in (
        lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5),
        parametrizations.weight_norm,
    ):
        expected, model = copy.deepcopy(built), readers_own().eval()
        model.load_state_dict(built.state_dict())
        model(X)
        for network in (expected, model):
            for layer in layers(network):
                change(layer)
        assert torch.equal(model(X), expected(X))


def test_weights_of_a_network_that_has_loaded_them():
    """Before its first forward pass, when its layers still call themselves lazy."""
    built, model = (NETWORKS["DenseNetBC"]() for _ in range(2))
    built(X)
    model.load_state_dict(built.state_dict())
    for name, array in d2l.get_weights(built).items():
        np.testing.assert_array_equal(d2l.get_weights(model)[name], array)


# How often and by what a layer is initialised


def test_the_last_initialiser_counts():
    """And no other one draws from the trainer's seed."""
    networks = [small(d2l, arch=(1,), lr=0) for _ in range(2)]
    networks[0].net.apply(d2l.init_he)
    networks[1].net.apply(d2l.init_he)
    networks[1].net.apply(d2l.init_he)
    for network in networks:
        d2l.Trainer(max_epochs=1).fit(network, Data(d2l))
    assert_same(*networks)
    first = layers(networks[0])[0].weight  # (8, 1, 7, 7)
    assert first.std().item() == pytest.approx((2 / 49) ** 0.5, rel=0.15)


# Modes, types and devices


@pytest.fixture
def model():
    """A small network with weights."""
    return d2l.create_model("densenet_bc_100_12", in_channels=1, **TINY)


def test_frozen_normalization_stays_frozen(model):
    """Whatever predicts, examines or sums up leaves each module's mode as it was."""
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.eval()
    d2l.predict(model, X.numpy())
    d2l.examine(model, X.numpy(), y)
    model.layer_summary((1, 1, 28, 28))
    assert model.training
    assert not norm.training


def test_predict_and_examine_in_the_models_type(model):
    expected = d2l.predict(model, X.numpy())
    step = d2l.examine(model, X.numpy(), y)
    model.double()
    logits = d2l.predict(model, X.numpy())
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert d2l.examine(model, X.numpy(), y).loss == pytest.approx(step.loss, rel=1e-5)
    np.testing.assert_allclose(
        d2l.predict(model.bfloat16(), X.numpy()), expected, atol=0.1
    )


@pytest.mark.parametrize(
    "wrap", [torch.optim.swa_utils.AveragedModel, nn.DataParallel], ids=str
)
def test_a_model_that_another_wraps(tmp_path, model, wrap):
    path = tmp_path / "model.safetensors"
    wrapped = wrap(model)
    for use in (d2l.save_weights, d2l.load_weights):
        with pytest.raises(TypeError, match=": pass the model .* attribute `module`$"):
            use(wrapped, path)
    d2l.save_weights(wrapped.module, path)
    d2l.load_weights(wrapped.module, path)


def test_predict_and_examine_within_a_mode(model):
    """They compute in the model's own type, with gradients for `examine`."""
    expected, step = d2l.predict(model, X.numpy()), d2l.examine(model, X.numpy(), y)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits, within = d2l.predict(model, X.numpy()), d2l.examine(model, X.numpy(), y)
    assert np.array_equal(logits, expected)
    assert within.loss == step.loss
    for name, gradient in step.gradients.items():
        assert np.array_equal(within.gradients[name], gradient), name


def test_a_double_model_trains_in_double():
    """On images in float32, as in PyTorch's own loop on images in float64."""
    model = d2l.DenseNetBC(**TINY, small_images=True, lr=0.1)
    model(X)
    model.double()
    other, data = copy.deepcopy(model), Data(d2l, batch_size=20)
    d2l.Trainer(1, precision="fp32").fit(model, data)
    other.loss(other.net(data.X[:20].double()), data.y[:20]).backward()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert p.dtype == torch.float64
        torch.testing.assert_close(p, q - 0.1 * q.grad, rtol=1e-9, atol=1e-12)


@pytest.fixture
def default_dtype():
    """A function that sets PyTorch's default type until the test ends."""
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


def test_other_defaults_of_pytorch(model, default_dtype):
    expected = d2l.predict(model, X.numpy())
    step = d2l.examine(model, X.numpy(), y)
    default_dtype(torch.float64)
    with torch.device("meta"):
        np.testing.assert_array_equal(d2l.predict(model, X.numpy()), expected)
        assert d2l.examine(model, X.numpy(), y).loss == step.loss
        model.layer_summary((1, 1, 28, 28))
    other = d2l.create_model("densenet_bc_100_12", in_channels=1, **TINY)
    np.testing.assert_allclose(
        d2l.predict(other, X.numpy()), expected, rtol=1e-4, atol=1e-5
    )


# Other kinds of batch normalization


@pytest.mark.usefixtures("whole_runs")
def test_synchronized_normalization(model, tmp_path):
    """In one process it is the plain one, in files too."""

    def trained(make):
        model = make(d2l.create_model("densenet_bc_100_12", in_channels=1, **TINY))
        for epochs in (1, 2):  # the second resumes
            path = tmp_path / f"{make.__name__}.npz"
            d2l.Trainer(epochs, checkpoint=path, precision="fp32").fit(model, Data(d2l))
        d2l.save_weights(model, tmp_path / make.__name__)
        return model

    plain = trained(lambda model: model)
    other = trained(nn.SyncBatchNorm.convert_sync_batchnorm)
    expected = d2l.get_weights(plain)
    for path in ("<lambda>", "convert_sync_batchnorm"):
        d2l.load_weights(model, tmp_path / path)
        found = d2l.get_weights(model)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    np.testing.assert_array_equal(
        d2l.predict(other, X.numpy()), d2l.predict(plain, X.numpy())
    )


def cumulative():
    """A network whose normalizations average over all batches."""
    model = d2l.create_model("densenet_bc_100_12", in_channels=1, **TINY)
    for norm in norms(model):
        norm.momentum = None
    return model


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.usefixtures("whole_runs")
def test_averages_over_all_batches(tmp_path):
    """The first normalization's mean is that of all that it has seen, also resumed."""
    model, path, means = cumulative(), tmp_path / "run.npz", []

    def note(norm, args):
        if norm.training:
            means.append(args[0].detach().mean((0, 2, 3)))

    norms(model)[0].register_forward_pre_hook(note)
    for epochs in (1, 2):
        d2l.Trainer(epochs, checkpoint=path, precision="fp32").fit(model, Data(d2l))
    expected = torch.stack(means).mean(0)
    torch.testing.assert_close(norms(model)[0].running_mean, expected)
    resumed = cumulative()
    d2l.Trainer(2, checkpoint=path, precision="fp32").fit(resumed, Data(d2l))
    counts = {int(norm.num_batches_tracked) for norm in norms(resumed)}
    assert counts == {len(means)}
    before = [b.clone() for b in model.buffers()]
    d2l.examine(model, X.numpy(), y)
    assert all(map(torch.equal, before, model.buffers()))


def test_a_file_of_weights_has_no_number_of_batches(tmp_path):
    """The next step would forget the averages."""
    rule = r"got 'net\.\d+\.\S*num_batches_tracked'.*: save the model as its framework does"
    with pytest.raises(ValueError, match=rule):
        d2l.save_weights(cumulative(), tmp_path / "weights")


# Weights that are computed from others


@pytest.mark.parametrize("change", ["pruned", "parametrized"])
def test_computed_weights_are_read_and_not_set(model, change):
    layer = layers(model)[0]
    if change == "pruned":
        prune.l1_unstructured(layer, "weight", amount=0.5)
    else:
        parametrizations.spectral_norm(layer)
    weights = d2l.get_weights(model.eval())
    expected = layer.weight.detach().numpy()
    np.testing.assert_array_equal(weights["features.conv0.weight"], expected)
    with pytest.raises(ValueError, match=r"conv0\.weight must be a parameter, got one"):
        d2l.set_weights(model, weights)


# Trainings of a part


def head_alone(freeze):
    """A network whose optimiser trains the last layer."""
    torch.manual_seed(0)
    model = d2l.Classifier()
    model.net = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.Linear(8, 10))
    model.net[1].requires_grad_(not freeze)
    head = model.net[2].parameters()
    model.configure_optimizers = lambda: torch.optim.SGD(head, 0.1)
    return model


def test_clipping_counts_what_the_optimiser_trains():
    """Others' gradients, which nobody clears, pile up."""
    models = [head_alone(freeze) for freeze in (False, True)]
    for model in models:
        d2l.Trainer(4, gradient_clip_val=0.1, precision="fp32").fit(model, Data(d2l))
    assert torch.equal(models[0].net[2].weight, models[1].net[2].weight)


@pytest.mark.parametrize(
    "around",
    [lambda: torch.autocast("cpu", torch.bfloat16), torch.no_grad],
    ids=["autocast", "no_grad"],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_mode_around_a_fit_does_not_reach_its_steps(around, precision):
    fits = []
    for context in (contextlib.nullcontext, around):
        trainer, model = d2l.Trainer(1, precision=precision), head_alone(False)
        with context():
            trainer.fit(model, Data(d2l))
        fits.append((model, trainer.history[0]))
    (model, alone), (other, within) = fits
    assert torch.equal(model.net[2].weight, other.net[2].weight)
    for key in ("train_loss", "val_loss", "val_acc"):
        assert alone[key] == within[key]


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_labels(dtype):
    model, Y_hat = head_alone(False), torch.randn(4, 10)
    Y = torch.tensor([3, 0, 9, 3])
    expected = torch.nn.functional.cross_entropy(Y_hat, Y)
    assert model.loss(Y_hat, Y.to(dtype)) == expected
    assert model.loss(Y_hat, (Y + 7).to(dtype)).isnan()
    assert model.accuracy(-Y_hat, (-Y_hat).argmax(1).to(dtype)) == 1


def test_a_layer_in_evaluation_mode_is_not_trained():
    """Nor when the model is fitted again, unless its author has changed the mode."""
    model = d2l.Classifier()
    model.lr = 0.1
    model.net = nn.Sequential(
        nn.BatchNorm2d(1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(256, 10)
    )
    frozen, trained = model.net[:2]
    frozen.eval()
    for _ in range(2):
        before = trained.running_mean.clone()
        d2l.Trainer(1, precision="fp32").fit(model, Data(d2l))
        assert torch.equal(frozen.running_mean, torch.zeros(1))
        assert not torch.equal(trained.running_mean, before)
    # As a part of another model, it is as the fit has left it.
    other = d2l.Classifier()
    other.lr, other.net = 0.1, nn.Sequential(*model.net[1:])
    before = trained.running_mean.clone()
    d2l.Trainer(1, precision="fp32").fit(other, Data(d2l))
    assert not torch.equal(trained.running_mean, before)
    model.train()
    d2l.Trainer(1, precision="fp32").fit(model, Data(d2l))
    assert not torch.equal(frozen.running_mean, torch.zeros(1))


def test_an_optimiser_that_computes_gradients_again():
    model = head_alone(freeze=False)
    lbfgs = torch.optim.LBFGS(model.parameters())
    model.configure_optimizers = lambda: lbfgs
    with pytest.raises(TypeError, match="^the step of an optimizer must .* of LBFGS"):
        d2l.Trainer(1).fit(model, Data(d2l))


def resumed(fit, path):
    """The same training whole, and in two halves."""
    fit(2, path)
    return fit(4, path), fit(4, None)


class Sharpness:
    """An optimiser around another, as readers write it."""

    def __init__(self, params):
        self.base = torch.optim.Adam(params, np.logspace(-3, -1, 3)[1])

    def zero_grad(self):
        self.base.zero_grad()

    def step(self):
        self.base.step()


def test_states_within_other_objects(tmp_path):
    """Of an optimiser in another one, of schedules in a list; rates of NumPy."""

    def fit(max_epochs, path):
        model = head_alone(freeze=False)
        optim = Sharpness(model.parameters())
        rates = torch.optim.lr_scheduler.LambdaLR(optim.base, lambda i: np.cos(i / 9))
        model.schedules = [rates]
        model.configure_optimizers = lambda: optim

        def validation_step(batch):
            rates.step()
            d2l.Classifier.validation_step(model, batch)

        model.validation_step = validation_step
        trainer = d2l.Trainer(max_epochs, checkpoint=path, precision="fp32")
        trainer.fit(model, Data(d2l))
        return model.net[2].weight

    assert torch.equal(*resumed(fit, tmp_path / "one.npz"))


def test_a_loader_with_a_generator(tmp_path):
    class Shuffled(Data):
        def get_dataloader(self, train):
            data = torch.utils.data.TensorDataset(self.X, self.y)
            return torch.utils.data.DataLoader(data, 5, True, generator=self.generator)

    def fit(max_epochs, path):
        model, data = head_alone(freeze=False), Shuffled(d2l)
        data.generator = torch.Generator().manual_seed(0)
        trainer = d2l.Trainer(max_epochs, checkpoint=path, precision="fp32")
        trainer.fit(model, data)
        return model.net[2].weight

    assert torch.equal(*resumed(fit, tmp_path / "one.npz"))


def test_a_sampler_decides_how_many_examples_there_are():
    """17 images, of which a fold has 16: no batch has one."""

    class Fold(Data):
        def get_dataloader(self, train):
            data = torch.utils.data.TensorDataset(self.X[:17], self.y[:17])
            fold = torch.utils.data.SubsetRandomSampler(range(16))
            return torch.utils.data.DataLoader(data, 8, sampler=fold)

    model = d2l.Classifier()
    model.lr = 0.1
    model.net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 10))
    d2l.Trainer(1).fit(model, Fold(d2l))


def test_weights_in_bfloat16(tmp_path):
    class Halved(Data):
        def get_dataloader(self, train):
            return [(X.bfloat16(), y) for X, y in super().get_dataloader(train)]

    def fit(max_epochs, path):
        model = head_alone(freeze=False).bfloat16()
        trainer = d2l.Trainer(max_epochs, checkpoint=path, precision="fp32")
        trainer.fit(model, Halved(d2l))
        return model.net[2].weight

    assert torch.equal(*resumed(fit, tmp_path / "one.npz"))


class Cached(torch.utils.data.Dataset):
    """Keeps what it has read."""

    def __init__(self, X, y):
        self.X, self.y, self.read = X, y, {}

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.read.setdefault(i, (self.X[i], self.y[i]))


def test_a_data_set_that_keeps_what_it_has_read(tmp_path):
    """Folds of one data set, each with a checkpoint, before and after a restart."""
    X, y = Data(d2l).X, Data(d2l).y

    class Fold(d2l.DataModule):
        def __init__(self, cached, first):
            super().__init__()
            self.parts = [
                torch.utils.data.Subset(cached, [*range(first, first + 16)]),
                torch.utils.data.Subset(cached, [*range(32)]),
            ]

        def get_dataloader(self, train):
            return torch.utils.data.DataLoader(self.parts[not train], 8, train)

    def fit(cached, fold, max_epochs, path):
        trainer = d2l.Trainer(max_epochs, precision="fp32", checkpoint=path)
        model = head_alone(freeze=False)
        trainer.fit(model, Fold(cached, fold))
        return model.net[2].weight

    paths = [tmp_path / f"{fold}.npz" for fold in range(2)]
    for cached, max_epochs in [(Cached(X, y), 1), (Cached(X, y), 2)]:
        found = [fit(cached, i, max_epochs, path) for i, path in enumerate(paths)]
    assert torch.equal(found[1], fit(Cached(X, y), 1, 2, None))
    for changed in (Cached(X, y.flip(0)), Cached(X.flip(0), y)):
        with pytest.raises(ValueError, match="got other data than now"):
            fit(changed, 0, 3, paths[0])
    with pytest.raises(ValueError, match="got other data than now"):
        fit(Cached(X, y), 1, 3, paths[0])
