"""d2l's DenseNet, data and training loop in PyTorch."""

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

VERSIONS = ("torch",)


class FashionMNIST(Dataset):
    """torchvision's data set with its transforms Resize and ToTensor.

    Repair: torchvision must match the exact build of torch; Pillow, which torchvision
    calls too, does the same here, image by image and again in each epoch.
    """

    def __init__(self, images, labels, resize):
        self.data, self.targets = torch.from_numpy(images), torch.from_numpy(labels)
        self.resize = resize

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, target = self.data[index], int(self.targets[index])
        height, width = self.resize
        image = Image.fromarray(image.numpy())
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        X = torch.from_numpy(np.array(image, np.uint8, copy=True))
        X = X.view(height, width, 1).permute(2, 0, 1).contiguous()
        return X.to(torch.float32).div(255), target


def conv_block(num_channels):
    return nn.Sequential(
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.LazyConv2d(num_channels, kernel_size=3, padding=1),
    )


class DenseBlock(nn.Module):
    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.net = nn.Sequential(*(conv_block(num_channels) for _ in range(num_convs)))

    def forward(self, X):
        for blk in self.net:
            Y = blk(X)
            X = torch.cat((X, Y), dim=1)
        return X


def transition_block(num_channels):
    return nn.Sequential(
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.LazyConv2d(num_channels, kernel_size=1),
        nn.AvgPool2d(kernel_size=2, stride=2),
    )


class DenseNet(nn.Module):
    def __init__(self, num_channels=64, growth_rate=32, arch=(4, 4, 4, 4), lr=0.01):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, num_convs in enumerate(arch):
            self.net.append(DenseBlock(num_convs, growth_rate))
            num_channels += num_convs * growth_rate
            if i != len(arch) - 1:
                num_channels //= 2
                self.net.append(transition_block(num_channels))
        self.net.append(
            nn.Sequential(
                nn.LazyBatchNorm2d(),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d((1, 1)),
                nn.Flatten(),
                nn.LazyLinear(10),
            )
        )
        # d2l applies init_cnn here, which has no effect on layers without weights.

    def forward(self, X):
        return self.net(X)

    def training_step(self, batch):
        X, y = batch
        l = F.cross_entropy(self(X), y)
        self.plotted = l.to("cpu").detach().numpy()
        return l


class Trainer:
    def __init__(self, model, data, batch_size):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.data, self.batch_size = model, data, batch_size
        self.model.to(self.device)
        # As in d2l, before the lazy layers are built: SGD accepts them as they are.
        self.optim = torch.optim.SGD(model.parameters(), lr=model.lr)
        self.model.train()

    def batches(self):
        return iter(DataLoader(self.data, self.batch_size, shuffle=True, num_workers=4))

    def step(self, batch):
        loss = self.model.training_step([a.to(self.device) for a in batch])
        self.optim.zero_grad()
        with torch.no_grad():
            loss.backward()
            self.optim.step()

    def wait(self):
        """Wait for a GPU, where the optimiser's step may still be running."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def start(images, labels, batch_size=128, resize=(96, 96)):
    return Trainer(DenseNet(), FashionMNIST(images, labels, resize), batch_size)


def num_params(trainer):
    return sum(p.numel() for p in trainer.model.parameters())
