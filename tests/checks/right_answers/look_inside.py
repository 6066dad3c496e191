"""Sheet 14: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F

PAPER = {"pooled": 18, "dilated": 27, "layers": 24, "occlusion": (14, 14), "passes": 197, "kept": 10}


def cam_by_loops(A, G):
    total = 0
    for maps, gradients in zip(A, G, strict=True):
        total = total + maps * gradients.sum() / gradients.numel()
    return total.clamp(min=0)


def cam_by_matrix(A, G):
    C, h, w = A.shape
    return (G.reshape(C, -1).mean(1) @ A.reshape(C, -1)).relu().view(h, w)


def cam_by_convolution(A, G):
    """The weights are a 1×1 kernel."""
    return F.relu(F.conv2d(A[None], G.mean((1, 2))[None, :, None, None]))[0, 0]


def score(X, K):
    return F.conv2d(X[None, None], K[None, None]).relu().sum()


def by_masks(X, K, size):
    """All covered pictures at once, as a batch of masks."""
    H, W = X.shape
    h, w = H - size + 1, W - size + 1
    masks = torch.ones(h * w, 1, H, W, dtype=X.dtype)
    for place in range(h * w):
        masks[place, 0, place // w : place // w + size, place % w : place % w + size] = 0
    after = F.conv2d(X * masks, K[None, None]).relu().sum((1, 2, 3))
    return (score(X, K) - after).reshape(h, w)


def by_putting_back(X, K, size):
    """One copy; the patch is put back after each place."""
    X, rows = X.clone(), []
    before = score(X, K)
    for i in range(X.shape[0] - size + 1):
        rows.append([])
        for j in range(X.shape[1] - size + 1):
            patch = X[i : i + size, j : j + size].clone()
            X[i : i + size, j : j + size] = 0
            rows[-1].append(before - score(X, K))
            X[i : i + size, j : j + size] = patch
    return torch.stack([torch.stack(row) for row in rows])


def gradient(X, K):
    """Without autograd: the windows that ReLU lets through hand the kernel back."""
    open_windows = (F.conv2d(X[None], K[None]) > 0).to(X.dtype)
    return F.conv_transpose2d(open_windows, K[None])[0]


def largest_by_hand(X, K):
    return gradient(X, K).abs().max(0).values


def larger_of_two(X, K):
    G = gradient(X, K)
    return torch.maximum(G.amax(0), -G.amin(0))


def by_squares(a, b):
    """Spearman's formula for ranks without ties."""
    ranks = []
    for m in (a, b):
        rank = torch.empty(m.numel(), dtype=torch.float64)
        rank[m.flatten().argsort()] = torch.arange(m.numel(), dtype=torch.float64)
        ranks.append(rank)
    n = a.numel()
    return 1 - 6 * ((ranks[0] - ranks[1]) ** 2).sum().item() / (n * (n**2 - 1))


def by_counting(a, b):
    """A pixel's rank is the number of pixels below it."""
    ranks = np.stack([(m.reshape(-1, 1) > m.reshape(1, -1)).sum(1).numpy() for m in (a, b)])
    return np.corrcoef(ranks)[0, 1]


def by_scipy(a, b):
    from scipy.stats import spearmanr

    return spearmanr(a.flatten(), b.flatten()).statistic


RIGHT = {
    "inside_on_paper": [
        lambda: dict(reversed(PAPER.items())),
        lambda: {**PAPER, "pooled": 18.0, "occlusion": [14, 14], "passes": np.int64(197)},
    ],
    "grad_cam_map": [cam_by_loops, cam_by_matrix, cam_by_convolution],
    "occlusion_map": [by_masks, by_putting_back],
    "breaks_saliency": [
        lambda: (torch.tensor([9.0, 1, 4])[:, None, None].expand(3, 4, 5), torch.tensor([[[1.0]], [[-2.0]], [[0.5]]])),
        lambda: (torch.tensor([[[9.0, 9.0]], [[1.0, 1.0]]]), torch.tensor([[[1.0, 1.0]], [[-3.0, 1.0]]])),
    ],
    "mended_saliency": [largest_by_hand, larger_of_two],
    "rank_correlation": [by_squares, by_counting, by_scipy],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("inside_on_paper", lambda: {**PAPER, "pooled": 16}, "pooled: 16 is not right"),
    ("inside_on_paper", lambda: {k: v for k, v in PAPER.items() if k != "kept"}, "'kept' is missing"),
    ("grad_cam_map", lambda A, G: torch.zeros_like(A[0]), "values are wrong"),
    ("grad_cam_map", lambda A, G: cam_by_matrix(A, G).flip(0), "wrong"),
    ("grad_cam_map", lambda A, G: cam_by_matrix(A, G).T, "the shape is 4×3, must be 3×4"),
    ("grad_cam_map", lambda A, G: cam_by_matrix(A, G).numpy(force=True), "an object of type ndarray"),
    ("occlusion_map", lambda X, K, size: torch.zeros_like(by_masks(X, K, size)), "values are wrong"),
    ("occlusion_map", lambda X, K, size: by_masks(X, K, size).flip(1), "values are wrong"),
    ("occlusion_map", lambda X, K, size: by_masks(X, K, size).relu(), "wrong"),
    ("occlusion_map", lambda X, K, size: by_masks(X, K, size).T, "the shape is"),
    ("breaks_saliency", lambda: torch.ones(2, 2, 2), "Return two tensors"),
    ("breaks_saliency", lambda: (torch.ones(2, 2, 2), torch.ones(3, 1, 1)), "with the same C"),
    ("breaks_saliency", lambda: (torch.ones(2, 2), torch.ones(1, 1)), "need the shapes (C, H, W)"),
    ("breaks_saliency", lambda: (torch.ones(2, 2, 2).double(), torch.ones(2, 1, 1).double()), "Take float32 for both"),
    ("breaks_saliency", lambda: (torch.ones(2, 2, 2), torch.full((2, 1, 1), float("nan"))), "without inf and nan"),
    ("mended_saliency", lambda X, K: torch.ones_like(X[0]), "values are wrong"),
    ("mended_saliency", lambda X, K: largest_by_hand(X, K).flip(1), "wrong"),
    ("mended_saliency", lambda X, K: gradient(X, K).square().amax(0), "wrong"),
    ("rank_correlation", lambda a, b: 0.8, "expected 1, got 0.8"),
    ("rank_correlation", lambda a, b: -by_squares(a, b), "expected 0.8, got -0.8"),
    ("rank_correlation", lambda a, b: None, "returned None"),
]
