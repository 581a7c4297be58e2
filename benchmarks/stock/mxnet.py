"""d2l's DenseNet, data and training loop in MXNet."""

import importlib.util
import runpy
from pathlib import Path

# Repair: NumPy 2 lacks names that MXNet 1.9.1 reads. This changes no thread settings
# and loads nothing else of ours.
_ours = importlib.util.find_spec("d2lext").submodule_search_locations[0]
runpy.run_path(str(Path(_ours) / "mxnet" / "numpy1.py"))

# isort: split
from mxnet import autograd, gluon, init, nd, np, npx
from mxnet.gluon import nn
from mxnet.gluon.data.vision import transforms

VERSIONS = ("mxnet",)
npx.set_np()


class FashionMNIST(gluon.data.Dataset):
    """Gluon's data set of images (28, 28, 1) in memory, without its download."""

    def __init__(self, images, labels):
        self._data = np.array(images[..., None], dtype="uint8")
        self._label = labels.astype("int32")

    def __len__(self):
        return len(self._label)

    def __getitem__(self, index):
        return self._data[index], self._label[index]


def conv_block(num_channels):
    blk = nn.Sequential()
    blk.add(
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(num_channels, kernel_size=3, padding=1),
    )
    return blk


class DenseBlock(nn.Block):
    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.net = nn.Sequential()
        for _ in range(num_convs):
            self.net.add(conv_block(num_channels))

    def forward(self, X):
        for blk in self.net:
            Y = blk(X)
            X = np.concatenate((X, Y), axis=1)
        return X


def transition_block(num_channels):
    blk = nn.Sequential()
    blk.add(
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(num_channels, kernel_size=1),
        nn.AvgPool2D(pool_size=2, strides=2),
    )
    return blk


class DenseNet(nn.Block):
    def __init__(self, num_channels=64, growth_rate=32, arch=(4, 4, 4, 4), lr=0.01):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential()
        self.net.add(
            nn.Conv2D(64, kernel_size=7, strides=2, padding=3),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        )
        for i, num_convs in enumerate(arch):
            self.net.add(DenseBlock(num_convs, growth_rate))
            num_channels += num_convs * growth_rate
            if i != len(arch) - 1:
                num_channels //= 2
                self.net.add(transition_block(num_channels))
        self.net.add(
            nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Dense(10)
        )
        self.net.initialize(init.Xavier())

    def forward(self, X):
        return self.net(X)

    def training_step(self, batch):
        X, y = batch
        l = gluon.loss.SoftmaxCrossEntropyLoss()(self(X), y).mean()
        self.plotted = l.asnumpy()
        return l


class Trainer:
    def __init__(self, model, data, batch_size):
        self.model, self.data, self.batch_size = model, data, batch_size
        params = model.collect_params()
        self.optim = gluon.Trainer(params, "sgd", {"learning_rate": model.lr})

    def batches(self):
        return iter(
            gluon.data.DataLoader(
                self.data, self.batch_size, shuffle=True, num_workers=4
            )
        )

    def step(self, batch):
        with autograd.record():
            loss = self.model.training_step(batch)
        loss.backward()
        self.optim.step(1)

    def wait(self):
        nd.waitall()


def start(images, labels, batch_size=128, resize=(96, 96)):
    trans = transforms.Compose([transforms.Resize(resize), transforms.ToTensor()])
    data = FashionMNIST(images, labels).transform_first(trans)
    return Trainer(DenseNet(), data, batch_size)


def num_params(trainer):
    params = trainer.model.collect_params().values()
    return sum(p.data().size for p in params if p.grad_req != "null")
