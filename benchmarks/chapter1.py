"""Trains what the first chapter looks at: its DenseNet, or a ResNet-18 in the same way.

python -m benchmarks.chapter1 densenet    takes as long as the chapter
python -m benchmarks.chapter1 resnet18    about as long

Both write a record into the library, the first one its weights as well. A training that
was interrupted resumes, from `_build/bench`.
"""

import argparse
from pathlib import Path

from torch import nn
from torch.nn import functional as F

from d2lext import torch as d2l
from d2lext.core.training import records


# Not d2l.Residual: its convolutions have biases, which the paper and torchvision leave out.
class Residual(nn.Module):
    """Two 3x3 convolutions, added to their input (He et al., 2016, Figure 2)."""

    def __init__(self, num_channels, stride=1, use_1x1conv=False):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(num_channels, 3, stride, padding=1, bias=False),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.LazyConv2d(num_channels, 3, padding=1, bias=False),
            nn.LazyBatchNorm2d(),
        )
        self.skip = nn.Identity()
        if use_1x1conv:
            conv = nn.LazyConv2d(num_channels, 1, stride, bias=False)
            self.skip = nn.Sequential(conv, nn.LazyBatchNorm2d())

    def forward(self, X):
        return F.relu(self.net(X) + self.skip(X))


class ResNet18(d2l.Classifier):
    """The network of Table 1 (He et al., 2016) for images with one channel."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(64, 7, stride=2, padding=3, bias=False),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        for i, num_channels in enumerate((64, 128, 256, 512)):
            first = (num_channels, 2, True) if i else (num_channels,)
            self.net.extend([Residual(*first), Residual(num_channels)])
        self.net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
        self.net.append(nn.LazyLinear(num_classes))
        self.net.apply(d2l.init_cnn)


# And how many epochs: an epoch of ResNet-18 takes nearly twice as long.
NETWORKS = {"densenet": (d2l.DenseNet, 10), "resnet18": (ResNet18, 5)}


def main(argv=None):
    """Train, test once, write the record into the library."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chapter1",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", choices=NETWORKS)
    name = parser.parse_args(argv).network
    checkpoint = Path("_build/bench") / f"{name}.npz"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    network, max_epochs = NETWORKS[name]
    model = network(lr=0.01)
    data = d2l.FashionMNIST(batch_size=128, resize=(96, 96))
    trainer = d2l.Trainer(max_epochs, num_gpus=1, checkpoint=checkpoint)
    trainer.fit(model, data)
    if name == "densenet":  # before the record, which leads to them
        d2l.save_weights(model, records.folder() / f"{name}.safetensors")
    print("written:", records.write(name, trainer, data))


if __name__ == "__main__":
    main()
