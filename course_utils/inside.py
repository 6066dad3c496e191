"""Look inside a trained network: what its layers return, and which pixels a prediction depends on.

Every function takes any `nn.Module` that turns images `(N, C, H, W)` into class scores `(N, classes)`, and leaves it
unchanged: hooks are removed even if the model raises, every layer returns to its previous mode, and no parameter's
`.grad` changes. The model runs in eval mode, so an image's result does not depend on the rest of the batch.
"""

import contextlib
import difflib

import torch
from torch import Tensor, nn

from course_utils import arithmetic, shapes
from course_utils.shapes import IntOrPair
from course_utils.training.evaluation import eval_mode


def feature_maps(model: nn.Module, X: Tensor) -> dict[str, Tensor]:
    """Return the output of each layer without sublayers, in the order in which they are called.

    The names are those of `model.named_modules()`; a layer's second call is `name#2`, and so on. The tensors are
    detached copies, so a later in-place ReLU does not change them. Outputs that are not tensors are left out.

    Raises:
        TypeError: model is not a module, or X is not a floating-point tensor.
        ValueError: X is not `(N, C, H, W)`.

    Source: Zeiler and Fergus, *Visualizing and Understanding Convolutional Networks* (2014), section 2.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    >>> {name: tuple(Y.shape) for name, Y in feature_maps(net, torch.zeros(1, 1, 5, 5)).items()}
    {'0': (1, 2, 3, 3), '1': (1, 2, 3, 3), '2': (1, 18)}
    """
    maps: dict[str, Tensor] = {}

    def keep(name):
        def hook(layer, inputs, output):
            if isinstance(output, Tensor):
                calls = 1 + sum(key.partition("#")[0] == name for key in maps)
                maps[name if calls == 1 else f"{name}#{calls}"] = output.detach().clone()

        return hook

    with eval_mode(model), torch.no_grad(), contextlib.ExitStack() as hooks:  # removes the hooks, even on errors
        for name, layer in model.named_modules():
            if not list(layer.children()):
                hooks.enter_context(layer.register_forward_hook(keep(name)))
        model(_images(X))
    return maps


def saliency(model: nn.Module, X: Tensor, target: int | Tensor) -> Tensor:
    """Return `(N, H, W)`: the absolute gradient of the score of class `target` with respect to each pixel.

    With several channels, the maximum over them. `target` is one class for all images, or a tensor `(N,)` of classes.

    Raises:
        TypeError: model is not a module, or X is not a floating-point tensor.
        ValueError: X is not `(N, C, H, W)`, target does not fit, or the model does not return `(N, classes)`.

    Source: Simonyan, Vedaldi, Zisserman, *Deep Inside Convolutional Networks* (2014), section 3.1.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0, -2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 1.0]]))
    >>> saliency(net, torch.ones(1, 1, 2, 2), target=0)
    tensor([[[1., 2.],
             [0., 3.]]])
    """
    with eval_mode(model), torch.enable_grad():
        X = _images(X).requires_grad_()
        score = _scores(model, X, target)
        (gradient,) = torch.autograd.grad(score.sum(), X)
    return gradient.abs().amax(1)


def occlusion(
    model: nn.Module, X: Tensor, target: int | Tensor, size: IntOrPair = 5, stride: IntOrPair = 1, fill: float = 0.0
) -> Tensor:
    """Return `(N, rows, columns)`: how much the score of class `target` drops when a patch is covered.

    The patch of `size` pixels (an int, or rows and columns) moves by `stride`, like a kernel without padding; all its
    pixels become `fill`. Where the result is positive, the covered pixels are evidence for the class, else against it.

    Raises:
        TypeError, ValueError: as `saliency`; also if the patch does not fit into the image.

    Source: Zeiler and Fergus (2014), section 4.2. They show the score itself, not how much it drops.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0, -2.0, 0.0, 3.0]]))
    >>> occlusion(net, torch.ones(1, 1, 2, 2), target=0, size=(1, 2))
    tensor([[[-1.],
             [ 3.]]])
    """
    with eval_mode(model), torch.no_grad():
        before = _scores(model, _images(X), target)
        (h, w), (sh, sw), (H, W) = shapes.pair(size, "size", 1), shapes.pair(stride, "stride", 1), X.shape[-2:]
        if h > H or w > W:
            raise ValueError(f"size must fit into images of {H}×{W}, got {size!r}.")
        rows, columns = arithmetic.output_size((H, W), (h, w), (sh, sw))
        lost = before.new_empty(len(X), rows, columns)
        for i in range(rows):
            for j in range(columns):
                covered = X.clone()
                covered[..., i * sh : i * sh + h, j * sw : j * sw + w] = fill
                lost[:, i, j] = before - _scores(model, covered, target)
    return lost


def grad_cam(model: nn.Module, X: Tensor, target: int | Tensor, layer: str) -> Tensor:
    """Return `(N, h, w)`: where the feature maps of `layer` are evidence for class `target`, in the maps' resolution.

    The maps A are weighted by their average gradients, s being the score: `relu(sum_k mean(ds/dA_k) A_k)`.

    Raises:
        TypeError, ValueError: as `saliency`; also if there is no such layer, or it does not return feature maps.

    Source: Selvaraju et al., *Grad-CAM* (2017), equations 1 and 2.

    >>> net = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1))
    >>> _ = nn.init.constant_(net[3].weight, 8.0)
    >>> grad_cam(net, torch.tensor([[[[1.0, -1.0], [0.0, 2.0]]]]), target=0, layer="0")
    tensor([[[2., 0.],
             [0., 4.]]])
    """
    with eval_mode(model), torch.enable_grad():
        X, kept = _images(X).requires_grad_(), []
        with _layer(model, layer).register_forward_hook(_keep_for_gradient(kept)):
            score = _scores(model, X, target)
        A = _maps(kept, layer)
        (gradient,) = torch.autograd.grad(score.sum(), A)
    return (gradient.mean((2, 3), keepdim=True) * A).sum(1).relu().detach()


def measured_receptive_field(
    model: nn.Module, X: Tensor, layer: str | None = None, at: tuple[int, int] | None = None
) -> Tensor:
    """Return `(H, W)`: how strongly each pixel influences position `at` of the layer's maps, measured by gradients.

    The gradient is that of the sum of all channels at that position. Its absolute values are summed over the input's
    channels and averaged over the images. `layer` None is the model's own output; `at` None is the center.

    Raises:
        TypeError, ValueError: as `grad_cam`; also if `at` is outside the maps.

    Source: Luo, Li, Urtasun, Zemel, *Understanding the Effective Receptive Field* (2016), section 2.

    >>> net = nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2))
    >>> extent(measured_receptive_field(net, torch.zeros(1, 1, 12, 12)))
    (4, 4)
    """
    with eval_mode(model), torch.enable_grad():
        X, kept = _images(X).requires_grad_(), []
        with _layer(model, layer or "").register_forward_hook(_keep_for_gradient(kept)):
            model(X)
        A = _maps(kept, layer or "the model")
        i, j = (A.shape[2] // 2, A.shape[3] // 2) if at is None else at
        if not (0 <= i < A.shape[2] and 0 <= j < A.shape[3]):
            raise ValueError(f"at must be a position in maps of {A.shape[2]}×{A.shape[3]}, got {at!r}.")
        (gradient,) = torch.autograd.grad(A[:, :, i, j].sum(), X)
    return gradient.abs().sum(1).mean(0)


def extent(field: Tensor) -> tuple[int, int]:
    """Return the number of rows and columns of the smallest box around all nonzero entries of `(H, W)`.

    Raises:
        ValueError: field is not a matrix.

    >>> extent(torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]))
    (2, 2)
    """
    if field.ndim != 2:
        raise ValueError(f"field must be a matrix (H, W), got shape {tuple(field.shape)}.")
    positions = field.nonzero()
    return tuple((positions.amax(0) - positions.amin(0) + 1).tolist()) if len(positions) else (0, 0)


def _keep_for_gradient(kept: list):
    """Return a hook that keeps an output with its graph and passes on a copy, which in-place layers may change."""

    def hook(layer, inputs, output):
        kept.append(output)
        return output.clone() if isinstance(output, Tensor) else output

    return hook


def _maps(kept: list, name: str) -> Tensor:
    if len(kept) != 1:
        raise ValueError(f"layer {name!r} must be called once, but was called {len(kept)} times.")
    if not isinstance(kept[0], Tensor) or kept[0].ndim != 4:
        found = tuple(kept[0].shape) if isinstance(kept[0], Tensor) else type(kept[0]).__name__
        raise ValueError(f"layer {name!r} must return maps (N, C, h, w), got {found}.")
    return kept[0]


def _layer(model: nn.Module, name: str) -> nn.Module:
    layers = dict(model.named_modules())
    if name not in layers:
        closest = difflib.get_close_matches(str(name), layers, n=1, cutoff=0.0)[0]
        raise ValueError(f"layer is {name!r}, and the model has none of that name; did you mean {closest!r}?")
    return layers[name]


def _images(X) -> Tensor:
    """Return a detached copy of the images (N, C, H, W), so that the caller's tensor gets no gradient."""
    if not isinstance(X, Tensor) or not X.is_floating_point():
        found = f"a tensor of {X.dtype}" if isinstance(X, Tensor) else type(X).__name__
        raise TypeError(f"X must be a floating-point tensor, got {found}.")
    if X.ndim != 4 or not X.numel():
        raise ValueError(f"X must be images (N, C, H, W) and not be empty, got shape {tuple(X.shape)}.")
    return X.detach().clone()


def _scores(model, X, target) -> Tensor:
    """Return each image's score for its target class, `(N,)`."""
    scores = model(X)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(X):
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"model must return scores (N, classes), got {found}.")
    classes = torch.as_tensor(target, device=scores.device)
    if classes.is_floating_point() or classes.dtype == torch.bool or classes.shape not in ((), (len(X),)):
        raise ValueError(f"target must be one class or a tensor of {len(X)} classes, got {target!r}.")
    if classes.min() < 0 or classes.max() >= scores.shape[1]:
        raise ValueError(f"target must be from 0 to {scores.shape[1] - 1}, got {classes.tolist()}.")
    return scores.gather(1, classes.long().expand(len(X))[:, None])[:, 0]
