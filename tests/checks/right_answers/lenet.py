"""Sheet 13: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import lenet


class Appended(nn.Module):
    """Pooling before the bend (the same, for ReLU and max), and layers appended one by one."""

    def __init__(self, classes):
        super().__init__()
        self.net = nn.Sequential()
        for channels, more, padding in ((1, 6, 2), (6, 16, 0)):
            for layer in (nn.Conv2d(channels, more, (5, 5), padding=padding), nn.MaxPool2d(2), nn.ReLU(inplace=True)):
                self.net.append(layer)
        for layer in (nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()):
            self.net.append(layer)
        self.net.append(nn.Linear(84, classes))

    def forward(self, X):
        for layer in self.net:
            X = layer(X)
        return X


class Lazy(nn.Module):
    """Same names, and everything but the parameters done by functions."""

    def __init__(self, classes):
        super().__init__()
        none = nn.Identity
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 6, 5), none(), none(), nn.Conv2d(6, 16, 5), none(), none(), none()),
            *(nn.Linear(400, 120), none(), nn.Linear(120, 84), none(), nn.Linear(84, classes)),
        )

    def forward(self, X):
        net = self.net
        X = F.max_pool2d(F.relu(net[0](F.pad(X, (2, 2, 2, 2)))), 2)
        X = F.max_pool2d(F.relu(net[3](X)), 2).flatten(1)
        return net[11](F.relu(net[9](F.relu(net[7](X)))))


class Unshaped(nn.Module):
    """Layers that find out their inputs by themselves, from a first picture."""

    def __init__(self, classes=10):
        super().__init__()
        bend_pool = nn.ReLU(), nn.MaxPool2d(2)
        self.net = nn.Sequential(nn.LazyConv2d(6, 5, padding="same"), *bend_pool, nn.LazyConv2d(16, 5), *bend_pool)
        for layer in (
            nn.Flatten(),
            nn.LazyLinear(120),
            nn.ReLU(),
            nn.LazyLinear(84),
            nn.ReLU(),
            nn.LazyLinear(classes),
        ):
            self.net.append(layer)
        self.net(torch.zeros(1, 1, 28, 28))

    def forward(self, X):
        return self.net[7:](self.net[:6](X).reshape(len(X), -1))


def by_logaddexp(scores, y):
    """The logarithm of the sum, two classes at a time."""
    total = scores[:, 0]
    for column in scores.unbind(1)[1:]:
        total = torch.logaddexp(total, column)
    return torch.stack([total[i] - scores[i, true] for i, true in enumerate(y)]).mean()


def by_logsumexp(scores, y):
    return (scores.logsumexp(1) - scores.gather(1, y[:, None])[:, 0]).mean()


def by_one_hot(scores, y):
    s = scores.double() - scores.double().amax(1, keepdim=True)
    log_p = s - torch.log(torch.exp(s).sum(1, keepdim=True))
    return -(F.one_hot(y, scores.shape[1]) * log_p).sum(1).mean().to(scores.dtype)


def loss_by_loop(scores, y):
    losses = [(row - row[true]).exp().sum().log() if (row - row[true]).max() < 80 else (row - row[true]).max()
              for row, true in zip(scores, y, strict=True)]  # fmt: skip
    return torch.stack(losses).mean()


def by_hand(X, y, batch_size, epochs):
    """Without autograd: the gradient is probability minus truth."""
    weight, bias = torch.zeros(3, X.shape[1]), torch.zeros(3)
    for _ in range(epochs):
        for few, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
            wrong = ((few @ weight.T + bias).softmax(1) - F.one_hot(labels, 3)) / len(few)
            weight, bias = weight - 0.1 * wrong.T @ few, bias - 0.1 * wrong.sum(0)
    return weight


def by_autograd(X, y, batch_size, epochs):
    weight, bias = (torch.zeros(*shape, requires_grad=True) for shape in ((3, X.shape[1]), (3,)))
    for _ in range(epochs):
        for start in range(0, len(X), batch_size):
            batch = slice(start, start + batch_size)
            loss = F.cross_entropy(F.linear(X[batch], weight, bias), y[batch])
            with torch.no_grad():
                for parameter, gradient in zip((weight, bias), torch.autograd.grad(loss, (weight, bias)), strict=True):
                    parameter -= 0.1 * gradient
    return weight.detach().double().float()


def by_loader(X, y, batch_size, epochs):
    """torch's own batches, in order; the gradients are forgotten behind the step."""
    net = nn.Linear(X.shape[1], 3)
    for parameter in net.parameters():
        parameter.data.zero_()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size)
    for _ in range(epochs):
        for few, labels in loader:
            F.cross_entropy(net(few), labels).backward()
            optimizer.step()
            net.zero_grad(set_to_none=False)
    return net.weight.data


def by_comparing(scores, y):
    classes = range(scores.shape[1])
    said = scores.max(1).indices
    return torch.tensor([[int(((y == r) & (said == c)).sum()) for c in classes] for r in classes])


def by_bincount(scores, y):
    classes = scores.shape[1]
    return (y * classes + scores.argmax(1)).bincount(minlength=classes**2).reshape(classes, classes)


def by_put(scores, y):
    table = torch.zeros(scores.shape[1], scores.shape[1], dtype=torch.int64)
    return table.index_put_((scores.argmax(1), y), torch.ones(len(y), dtype=torch.int64), accumulate=True).T


def with_sgd(X, y):
    """A linear reader of flat pictures, with batch normalization: no convolution is asked for."""
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(10):
        for batch in torch.randperm(len(X)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net(X[batch]), y[batch]).backward()
            optimizer.step()
    return net


class Memory(nn.Module):
    """The most similar picture's class: it stores the pile and trains nothing."""

    def __init__(self, X, y):
        super().__init__()
        self.X, self.y = X.flatten(1), y

    def forward(self, X):
        return F.one_hot(self.y[torch.cdist(X.flatten(1), self.X).argmin(1)], 10)


def untrained(X, y):
    torch.manual_seed(0)
    return lenet.LeNet()


def as_function(X, y):
    return lambda pictures: torch.zeros(len(pictures), 10)


NUMBERS = {
    "bytes": np.int64(432344),
    "parameters": 108086.0,
    "fc1_parameters": 120 * 785,
    "conv1_parameters": 6 * 76,
    "flatten": 28**2,
    "conv2": torch.Size([16, 14, 14]),
    "pool1": [6, 18, 18],
}

RIGHT = {
    "lenet_numbers": [lambda: NUMBERS],
    "DigitNet": [Appended, Lazy, Unshaped],
    "cross_entropy": [by_logsumexp, by_one_hot, loss_by_loop, by_logaddexp],
    "breaks_train": [
        lambda: [torch.rand(4, 2) + torch.eye(4)[:, :2], torch.tensor([0, 1, 2, 0]), 3, 1],  # the rest
        lambda: (torch.eye(3), torch.arange(3), 5, 1),  # a batch larger than the pile
        lambda: (torch.eye(3), torch.arange(3), 1, 1),  # three steps in one epoch
    ],
    "mended_train": [by_hand, by_autograd, by_loader],
    "confusion": [by_bincount, by_put, by_comparing],
    "train_digits": [with_sgd, Memory],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("lenet_numbers", lambda: {**NUMBERS, "parameters": 108087}, "parameters: 108087 is not right"),
    ("DigitNet", lambda classes: Appended(classes), "Hand in the class itself"),
    ("DigitNet", lenet.LeNet, "raised TypeError"),
    ("cross_entropy", lambda scores, y: by_logsumexp(scores, y).item(), "expected a tensor of shape ()"),
    ("cross_entropy", lambda scores, y: by_logsumexp(scores.detach(), y), "no gradient flows back to scores"),
    ("cross_entropy", lambda scores, y: by_logsumexp(scores, y).round(decimals=2), "wrong"),
    ("cross_entropy", lambda scores, y: by_logsumexp(scores, y).float(), "the dtype is float32"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3)), "Return pictures, labels and two whole numbers"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(1, 4), 3, 2), "labels are 0, 1 or 2"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3.0), 3, 2), "must hold int64"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3), 3, 10**9), "1 to 20 epochs"),  # and no waiting
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3), 3, 0), "1 to 20 epochs"),
    ("breaks_train", lambda: (np.eye(3), np.arange(3), 3, 2), "must be tensors"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3), 3.0, 2), "must be whole numbers"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(2), 3, 2), "one label for each picture"),
    ("breaks_train", lambda: (torch.eye(3), torch.arange(3), 0, 2), "batch size from 1"),
    ("mended_train", lambda X, y, batch_size, epochs: -by_hand(X, y, batch_size, epochs), "values are wrong"),
    ("mended_train", lambda X, y, batch_size, epochs: by_hand(X, y, batch_size, epochs).T, "the shape is 2×3"),
    ("mended_train", lambda X, y, batch_size, epochs: by_hand(X.flip(0), y.flip(0), batch_size, epochs), "are wrong"),
    ("mended_train", lambda X, y, batch_size, epochs: by_hand(X, y, batch_size, epochs) * 0.1, "values are wrong"),
    ("confusion", lambda scores, y: by_bincount(scores, y) / len(y), "the dtype is float32"),
    ("confusion", lambda scores, y: by_bincount(scores, y).int(), "the dtype is int32"),
    ("confusion", lambda scores, y: by_bincount(scores, y).trace(), "the shape is ()"),
    ("confusion", lambda scores, y: by_bincount(scores, y).tolist(), "expected a tensor of shape 3×3"),
    ("confusion", lambda scores, y: by_bincount(scores, y).flip(0, 1), "values are wrong"),
    ("train_digits", untrained, "says the same to nearly all pictures"),
    ("train_digits", as_function, "Return the trained model"),
    ("train_digits", lambda X, y: nn.Flatten(), "unseen pictures"),
]
