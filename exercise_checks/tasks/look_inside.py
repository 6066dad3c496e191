"""Tasks of sheet 14: fields and maps on paper, Grad-CAM, occlusion, a saliency with a hole, and rank correlation."""

import math

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once

# ---------------------------------------------------------------------------------------------------------
# On paper: fields, maps, hooks
# ---------------------------------------------------------------------------------------------------------

POOLED = ((3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1), (3, 1, 1))  # kernel, stride, dilation
DILATED = ((3, 1, 1), (3, 1, 3), (3, 1, 9))


def seen_width(layers, width=64):
    """How many pixels of a row one output depends on, by gradient: with weights 1 no path cancels another."""
    with torch.enable_grad():
        X = torch.zeros(1, 1, width, requires_grad=True)
        Y = X
        for kernel, stride, dilation in layers:
            Y = F.conv1d(Y, torch.ones(1, 1, kernel), None, stride, 0, dilation)
        places = torch.autograd.grad(Y[0, 0, 0], X)[0][0, 0].nonzero()
    return int(places.max() - places.min()) + 1


def deviation(layers):
    """The standard deviation of the gradient behind so many layers of three-pixel averages."""
    field = torch.ones(1, 1, 1, dtype=torch.float64)
    for _ in range(layers):
        field = F.conv1d(field, torch.full((1, 1, 3), 1 / 3, dtype=torch.float64), padding=2)
    place = torch.arange(field.numel(), dtype=torch.float64) - layers
    return (field[0, 0] * place**2).sum().sqrt().item()


def torch_on_paper():
    rows = F.unfold(torch.zeros(1, 1, 32, 32), 6, stride=2).shape[-1]
    return {
        "pooled": seen_width(POOLED),
        "dilated": seen_width(DILATED),
        "layers": next(n for n in range(1, 100) if abs(deviation(n) - 4) < 1e-9),
        "occlusion": (math.isqrt(rows), math.isqrt(rows)),
        "passes": rows + 1,
        "kept": sum(range(1, 5)),
    }


PAPER = Task(
    id="inside_on_paper",
    title="Fields, maps and hooks on paper",
    kind="predict",
    points=3,
    difficulty=3,
    importance=4,
    minutes=12,
    oracle=torch_on_paper,
    cases=once,
    misconceptions=(
        Misconception(
            "steps_not_multiplied",
            "For `pooled` you added up k - 1 of each layer, as if every step were one pixel wide. Behind a pooling "
            "with stride 2 a step is two pixels wide, behind two of them four.",
            lambda: {"pooled": 9},
        ),
        Misconception(
            "own_stride_counts",
            "For `pooled` you multiplied by the layer's own stride, too. Its kernel lies on the grid *before* it: only "
            "the strides of earlier layers count.",
            lambda: {"pooled": 21},
        ),
        Misconception(
            "last_kernel",
            "For `pooled` you gave the size of the last kernel. It covers three numbers of the layer before, and each "
            "of those has seen more than one pixel.",
            lambda: {"pooled": 3},
        ),
        Misconception(
            "dilation_ignored",
            "For `dilated` you took kernels without gaps. With dilation d a kernel of 3 spans 2d + 1 numbers.",
            lambda: {"dilated": 7},
        ),
        Misconception(
            "dilation_times_kernel",
            "For `dilated` you added d·k. A kernel of 3 has two gaps between its three cells: d·(k - 1).",
            lambda: {"dilated": 40},
        ),
        Misconception(
            "grows_evenly",
            "For `layers` you let the deviation grow like n. The *variance* grows like n: 2/3 for each layer. Square "
            "first.",
            lambda: {"layers": 6},
        ),
        Misconception(
            "width_of_the_field",
            "For `layers` you asked when the *field* is 4 pixels to either side. That takes 4 layers; its rim hardly "
            "counts, and the deviation grows more slowly.",
            lambda: {"layers": 4},
        ),
        Misconception(
            "every_pixel",
            "For `occlusion` you moved the patch by one pixel. Its stride is 2.",
            lambda: {"occlusion": (27, 27)},
        ),
        Misconception(
            "steps_for_places",
            "For `occlusion` you counted the steps of the patch. It also stands at its start: one place more.",
            lambda: {"occlusion": (13, 13)},
        ),
        Misconception(
            "hanging_over",
            "For `occlusion` you let the patch hang over the rim: 32 / 2. Only places where it fits count.",
            lambda: {"occlusion": (16, 16)},
        ),
        Misconception(
            "one_pass_forgotten",
            "For `passes` you counted the covered pictures. The fall of a score needs the score of the untouched "
            "picture, too.",
            lambda: {"passes": 196},
        ),
        Misconception(
            "one_hook",
            "For `kept` you counted one copy a run. No hook is removed: in the fourth run four of them are at work.",
            lambda: {"kept": 4},
        ),
        Misconception(
            "last_run_only",
            "For `kept` you counted as if four hooks had been there in every run. In the first there was one.",
            lambda: {"kept": 16},
        ),
    ),
    hints=(
        "Field: how wide is one step of each layer, in pixels of the picture? Deviation: which quantity adds up from "
        "layer to layer? Hooks: how many are there in the first, second, third, fourth run?",
        "`pooled`: 1 + 2·1 + 1·1 + 2·2 + 1·2 + 2·4. `dilated`: 1 + 2·1 + 2·3 + 2·9. `layers`: 2/3·n = 4². "
        "`occlusion`: (32 - 6) // 2 + 1 a side. `kept`: 1 + 2 + 3 + 4.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Grad-CAM from maps and gradients
# ---------------------------------------------------------------------------------------------------------


def cam_oracle(A, G):
    return torch.einsum("k,kij->ij", G.mean((1, 2)), A).relu()


def maps_and_gradients(seed):
    draw = Draw(seed)
    A = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
    G = torch.tensor([2.0, -1.0])[:, None, None].expand(2, 2, 2).contiguous()
    yield Case("the maps of lesson 14", (A, G))
    yield Case("gradients that differ from place to place", (draw.whole(3, 3, 4, low=0), draw.whole(3, 3, 4)))
    width = draw.size(5, 7)
    yield Case("wide maps", (draw.real(4, 2, width), draw.real(4, 2, width)))
    yield Case("one map", (draw.real(1, 4, 3), draw.real(1, 4, 3) + 1))
    yield Case("maps that all speak against the class", (draw.whole(2, 3, 3, low=1), -draw.whole(2, 3, 3, low=1)))
    yield Case("maps that are not contiguous", (draw.turned(3, 4, 5), draw.turned(3, 4, 5)))
    A = draw.real(5, 3, 4, dtype=torch.float64)
    yield Case("fractions in float64", (A, draw.real(5, 3, 4, dtype=torch.float64)))


def alpha(G):
    return G.mean((1, 2), keepdim=True)


def scaled(cam):
    return cam / cam.max()


CAM = Task(
    id="grad_cam_map",
    title="Grad-CAM from maps and gradients",
    kind="write",
    points=2,
    difficulty=2,
    importance=4,
    minutes=10,
    oracle=cam_oracle,
    cases=maps_and_gradients,
    window=lambda index, A, G: (
        f"the maps' {as_list(A[:, index[0], index[1]])} with the weights {as_list(G.mean((1, 2)))}"
    ),
    misconceptions=(
        Misconception(
            "no_relu",
            "The weighted sum is right, but negative places are still there. They speak against the class: cut them "
            "off with `relu`.",
            lambda A, G: (alpha(G) * A).sum(0),
        ),
        Misconception(
            "relu_too_early",
            "You cut off each map before you add up. What speaks against the class must first be able to outweigh what "
            "speaks for it: ReLU comes last.",
            lambda A, G: (alpha(G) * A).relu().sum(0),
        ),
        Misconception(
            "weights_cut",
            "You cut off the negative *weights*. Then no map can speak against the class. The ReLU belongs around the "
            "sum.",
            lambda A, G: (alpha(G).relu() * A).sum(0),
        ),
        Misconception(
            "weights_and_sum_cut",
            "You cut off negative weights and the sum as well. One ReLU, around the sum, is enough.",
            lambda A, G: (alpha(G).relu() * A).sum(0).relu(),
        ),
        Misconception(
            "place_by_place",
            "You multiply each place by its own gradient. Grad-CAM gives each map *one* weight: the mean of its "
            "gradients.",
            lambda A, G: (G * A).sum(0).relu(),
        ),
        Misconception(
            "gradients_summed",
            "You add up the gradients of a map and do not divide. Its weight is their mean.",
            lambda A, G: (G.sum((1, 2), keepdim=True) * A).sum(0).relu(),
        ),
        Misconception(
            "gradients_absolute",
            "You take the gradients without their sign. Then what speaks against the class counts as if it spoke for "
            "it.",
            lambda A, G: (alpha(G.abs()) * A).sum(0).relu(),
        ),
        Misconception(
            "maps_averaged",
            "You average over the maps at the end. The formula adds them up.",
            lambda A, G: (alpha(G) * A).mean(0).relu(),
        ),
        Misconception(
            "one_weight_for_all",
            "All your maps have the same weight, the mean over everything. Each map has its own: average over rows and "
            "columns, dimensions 1 and 2, alone.",
            lambda A, G: (G.mean() * A).sum(0).relu(),
        ),
        Misconception(
            "mean_over_the_maps",
            "You averaged the gradients over the maps, dimension 0. They must stay apart; rows and columns go.",
            lambda A, G: (G.mean(0) * A).sum(0).relu(),
        ),
        Misconception(
            "not_added_up",
            "You weighted the maps and did not add them up. The answer has rows and columns, and no channels.",
            lambda A, G: (alpha(G) * A).relu(),
        ),
        Misconception(
            "divided_by_the_largest",
            "You divided by the largest number, so that it becomes 1. That hides how strong a map is, and a map of "
            "zeros becomes nan.",
            lambda A, G: scaled(cam_oracle(A, G)),
            matches=lambda Y, A, G: torch.allclose(Y.nan_to_num(0), scaled(cam_oracle(A, G)).nan_to_num(0), 1e-3),
        ),
        Misconception(
            "axis_kept",
            "The values are right, but an axis of size 1 is left in front. `sum(0)` takes it away; `sum(0, "
            "keepdim=True)` keeps it.",
            lambda A, G: cam_oracle(A, G)[None],
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. A tensor that you make yourself needs `dtype=A.dtype`.",
            lambda A, G: cam_oracle(A, G).float(),
        ),
        Misconception(
            "cut_off",
            "The values are right, but the way back is cut: a number that was taken out of its tensor carries no "
            "gradient.",
            lambda A, G: cam_oracle(A, G).detach(),
        ),
    ),
    hints=(
        "Three steps: one weight for each map, the weighted sum of the maps, and what becomes of negative places? Over "
        "which dimensions of G is each map's weight a mean?",
        "`weights = G.mean((1, 2), keepdim=True)` has the shape C×1×1. Then `(weights * A).sum(0).relu()`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Occlusion
# ---------------------------------------------------------------------------------------------------------


def score(X, K):
    """The sheet's small network: a convolution, ReLU, and the sum of what is left."""
    return F.conv2d(X[None, None], K[None, None]).relu().sum()


def occlude(X, K, size, fill=lambda patch: 0.0, steps=None, result=lambda before, after: before - after):
    """The map by two loops; a misconception gives one of the parts another form."""
    rows, columns = steps or (range(X.shape[0] - size + 1), range(X.shape[1] - size + 1))
    before, lost = score(X, K), X.new_zeros(len(rows), len(columns))
    for a, i in enumerate(rows):
        for b, j in enumerate(columns):
            covered = X.clone()
            patch = covered[i : i + size, j : j + size]
            patch[:] = fill(patch)
            lost[a, b] = result(before, score(covered, K))
    return lost


def with_steps(steps):
    return lambda X, K, size: occlude(X, K, size, steps=[steps(n, size) for n in X.shape])


def left_covered(X, K, size):
    covered, before = X.clone(), score(X, K)
    lost = X.new_zeros(X.shape[0] - size + 1, X.shape[1] - size + 1)
    for i in range(lost.shape[0]):
        for j in range(lost.shape[1]):
            covered[i : i + size, j : j + size] = 0
            lost[i, j] = before - score(covered, K)
    return lost


def all_in_place(X, K, size):
    lost = left_covered(X, K, size)
    X.zero_()  # every pixel lies under some patch
    return lost


def kept_only(X, K, size):
    lost, before = occlude(X, K, size), score(X, K)
    for i in range(lost.shape[0]):
        for j in range(lost.shape[1]):
            alone = torch.zeros_like(X)
            alone[i : i + size, j : j + size] = X[i : i + size, j : j + size]
            lost[i, j] = before - score(alone, K)
    return lost


def one_pixel(X, K, size):
    lost = occlude(X, K, size)
    return occlude(X, K, 1)[: lost.shape[0], : lost.shape[1]]


def covered_pictures(seed):
    draw = Draw(seed)
    edge = torch.tensor([[-1.0, 1.0]])
    X = torch.tensor([[0.0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]])
    yield Case("an upright bar", (X, edge, 2), gradient=False)
    yield Case("a wide picture", (draw.whole(4, draw.size(6, 8)), draw.whole(2, 2), 2), gradient=False)
    yield Case("a tall picture", (draw.whole(draw.size(6, 8), 4), draw.whole(2, 3), 3), gradient=False)
    yield Case("patches of one pixel", (draw.whole(4, 5), draw.whole(3, 2), 1), gradient=False)
    yield Case("a patch as high as the picture", (draw.whole(3, 5), draw.whole(2, 2), 3), gradient=False)
    yield Case("a picture that is not contiguous", (draw.turned(5, 4), draw.whole(2, 2), 2), gradient=False)
    X, K = (draw.real(*shape, dtype=torch.float64) for shape in ((5, 6), (3, 3)))
    yield Case("fractions in float64", (X, K, 2), gradient=False)


OCCLUSION = Task(
    id="occlusion_map",
    title="Cover it, and ask again",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=20,
    oracle=occlude,
    cases=covered_pictures,
    window=lambda index, X, K, size: (
        f"the score without the patch {as_list(X[index[0] : index[0] + size, index[1] : index[1] + size])}"
    ),
    misconceptions=(
        Misconception(
            "score_itself",
            "You return the score that is left. The map shows what is *lost*: the score of the untouched picture "
            "minus it.",
            lambda X, K, size: occlude(X, K, size, result=lambda before, after: after),
        ),
        Misconception(
            "sign_reversed",
            "The sign is reversed: where covering lowers the score, the map must be above 0. Take before minus after.",
            lambda X, K, size: occlude(X, K, size, result=lambda before, after: after - before),
        ),
        Misconception(
            "absolute",
            "You dropped the sign. A patch whose covering *raises* the score speaks against the class, and is below 0.",
            lambda X, K, size: occlude(X, K, size, result=lambda before, after: (before - after).abs()),
        ),
        Misconception(
            "left_covered",
            "Your patches stay covered: the second place is tried on a picture that has lost the first already. Clone "
            "X anew for each place.",
            left_covered,
        ),
        Misconception(
            "left_covered_in_place",
            "Your patches stay covered, and in X itself: each place is tried on a picture that has lost all places "
            "before. Cover a clone, made anew for each place.",
            all_in_place,
        ),
        Misconception(
            "patch_by_patch",
            "Your patch moves by its own size. Here it moves by one pixel, like a kernel with stride 1.",
            with_steps(lambda n, size: range(0, n - size + 1, size)),
        ),
        Misconception(
            "one_place_short",
            "Your map is one row and one column short. There are n - size + 1 places a side.",
            with_steps(lambda n, size: range(n - size)),
        ),
        Misconception(
            "hanging_over",
            "Your map is as large as the picture: the last patches hang over the edge. Only whole patches count: n - "
            "size + 1 places a side.",
            with_steps(lambda n, size: range(n)),
        ),
        Misconception(
            "filled_with_the_mean",
            "You fill the patch with its own mean. Background is 0 here, and a mean still says how light the patch "
            "was.",
            lambda X, K, size: occlude(X, K, size, fill=lambda patch: patch.mean()),
        ),
        Misconception(
            "filled_with_ones",
            "You fill the patch with 1. That draws a white square, and the network answers to it. Fill with 0.",
            lambda X, K, size: occlude(X, K, size, fill=lambda patch: 1.0),
        ),
        Misconception(
            "kept_only",
            "You cover everything *but* the patch. That shows what the patch can do alone, not what is lost without "
            "it.",
            kept_only,
        ),
        Misconception(
            "one_pixel",
            "You cover one pixel at each place, not a patch: `covered[i, j] = 0`. Take rows i to i + size, columns j "
            "to j + size.",
            one_pixel,
        ),
        Misconception(
            "share",
            "You divided by the score of the untouched picture. Return the fall itself; a score of 0 would divide by "
            "0.",
            lambda X, K, size: occlude(X, K, size, result=lambda before, after: (before - after) / before),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. `torch.zeros(...)` needs `dtype=X.dtype`.",
            lambda X, K, size: occlude(X, K, size).float(),
        ),
    ),
    hints=(
        "How many places has the patch? What must be made anew for each place, so that the patch before is there "
        "again? Of which two scores is the fall a difference?",
        "In both loops: `covered = X.clone()`, `covered[i : i + size, j : j + size] = 0`, `lost[i, j] = score(X, K) - "
        "score(covered, K)`. `lost` has the shape (H - size + 1, W - size + 1) and X's dtype.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a saliency that overlooks what is negative
# ---------------------------------------------------------------------------------------------------------


def broken_saliency(X, K):
    X = X.clone().requires_grad_()
    F.conv2d(X[None], K[None]).relu().sum().backward()
    return X.grad.amax(0).abs()


def gradient_of(X, K):
    with torch.enable_grad():
        leaf = X.detach().clone().requires_grad_()
        return torch.autograd.grad(F.conv2d(leaf[None], K[None]).relu().sum(), leaf)[0]


def saliency(X, K):
    return gradient_of(X, K).abs().amax(0)


def is_usable(X, K):
    fits = X.ndim == K.ndim == 3 and len(X) == len(K) and 0 < X.numel() <= 10_000 and 0 < K.numel() <= 1000
    return bool(fits and K.shape[1] <= X.shape[1] and K.shape[2] <= X.shape[2] and X.isfinite().all())


def exposes(value):
    """A picture and a kernel on which `broken_saliency` goes wrong."""
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(T, torch.Tensor) for T in value):
        return "Return two tensors: the picture and the kernel, as in `return X, K`."
    X, K = value
    if {X.dtype, K.dtype} != {torch.float32}:
        return "Take float32 for both, as `torch.ones(...)` makes it."
    if not is_usable(X, K) or not K.isfinite().all():
        return (
            "Picture and kernel need the shapes (C, H, W) and (C, h, w) with the same C, the kernel no larger than the "
            "picture, at most 10000 pixels and 1000 weights, without inf and nan."
        )
    if torch.equal(broken_saliency(X, K), saliency(X, K)):
        return "On this input the function is right: the largest of each pixel's gradients, without sign."
    return None


def fools(value, condition):
    X, K = value
    return is_usable(X, K) and torch.equal(broken_saliency(X, K), saliency(X, K)) and bool(condition(gradient_of(X, K)))


EXPOSE = Task(
    id="breaks_saliency",
    title="Find a picture and a kernel that break it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=3,
    minutes=6,
    oracle=lambda: (torch.tensor([[[9.0]], [[1.0]]]), torch.tensor([[[1.0]], [[-3.0]]])),
    cases=once,
    accept=exposes,
    broken=broken_saliency,
    misconceptions=(
        Misconception(
            "closed",
            "All gradients are 0: ReLU lets nothing through, because the convolution is nowhere above 0. Make it "
            "positive first.",
            lambda: (torch.ones(2, 2, 2), torch.tensor([[[1.0]], [[-5.0]]])),
            matches=lambda value: fools(value, lambda G: not G.any()),
        ),
        Misconception(
            "one_channel",
            "Your picture has one channel. The largest of one number is that number, and its sign is dropped rightly.",
            lambda: (torch.ones(1, 2, 2), torch.ones(1, 1, 1)),
            matches=lambda value: fools(value, lambda G: len(G) == 1 and G.any()),
        ),
        Misconception(
            "nothing_negative",
            "No gradient is negative here, so the order of `amax` and `abs` does not matter. Which weights of a kernel "
            "make a gradient negative?",
            lambda: (torch.ones(2, 2, 2), torch.ones(2, 1, 1)),
            matches=lambda value: fools(value, lambda G: len(G) > 1 and G.any() and (G >= 0).all()),
        ),
        Misconception(
            "outvoted",
            "There are negative gradients, but at each pixel another channel's positive one is at least as large, and "
            "that one is reported rightly. The negative one must be the larger, without sign.",
            lambda: (torch.ones(2, 2, 2), torch.tensor([[[2.0]], [[-1.0]]])),
            matches=lambda value: fools(value, lambda G: len(G) > 1 and (G < 0).any() and (G.amax(0) > 0).any()),
        ),
        Misconception(
            "whole_numbers",
            "Your numbers are whole, and a gradient needs float32. Write `-1.0` in place of `-1`.",
            lambda: (torch.ones(2, 2, 2, dtype=torch.int64), torch.ones(2, 1, 1, dtype=torch.int64)),
            matches=lambda value: any(not T.is_floating_point() for T in value) and len(value) == 2,
        ),
    ),
    hints=(
        "The lesson drops the sign, then takes the largest channel. Here it is the other way round. For which two "
        "numbers does that matter?",
        "At one pixel the gradients of the channels should be, say, 1 and -3. With a kernel of 1×1 they are the "
        "kernel's weights, wherever the convolution is above 0. Let the first channel be bright enough.",
    ),
)


def colour_pictures(seed):
    draw = Draw(seed)
    X, K = torch.tensor([[[9.0, 9.0]], [[1.0, 1.0]]]), torch.tensor([[[1.0]], [[-3.0]]])
    yield Case("two channels that disagree", (X, K), gradient=False)
    yield Case("three channels", (draw.whole(3, 4, draw.size(5, 7)), draw.whole(3, 2, 2)), gradient=False)
    yield Case("a tall picture", (draw.whole(3, draw.size(5, 7), 3), draw.whole(3, 3, 2)), gradient=False)
    yield Case("one channel", (draw.whole(1, 4, 4), draw.whole(1, 2, 2)), gradient=False)
    yield Case("a picture that is not contiguous", (draw.turned(2, 4, 5), draw.whole(2, 2, 3)), gradient=False)
    X, K = (draw.real(3, side, side, dtype=torch.float64) for side in (5, 2))
    yield Case("fractions in float64", (X, K), gradient=False)


def without_relu(X, K):
    return F.conv_transpose2d(torch.ones_like(F.conv2d(X[None], K[None])), K[None])[0]


MENDED = Task(
    id="mended_saliency",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=4,
    oracle=saliency,
    cases=colour_pictures,
    window=lambda index, X, K: f"the channels' gradients {as_list(gradient_of(X, K)[:, index[0], index[1]])}",
    misconceptions=(
        Misconception(
            "unchanged",
            "The largest channel is still chosen before the sign is dropped, so a gradient of -3 loses against 1.",
            broken_saliency,
        ),
        Misconception(
            "sign_kept",
            "You do not drop the sign at all. A pixel that lowers the score matters as much as one that raises it.",
            lambda X, K: gradient_of(X, K).amax(0),
        ),
        Misconception(
            "added_then_absolute",
            "You add up the channels. Gradients of 3 and -3 cancel then, though the score depends on both.",
            lambda X, K: gradient_of(X, K).sum(0).abs(),
        ),
        Misconception(
            "absolute_then_added",
            "You add up the channels without sign. The lesson's map takes the largest of them.",
            lambda X, K: gradient_of(X, K).abs().sum(0),
        ),
        Misconception(
            "averaged",
            "You average over the channels. The lesson's map takes the largest of them.",
            lambda X, K: gradient_of(X, K).abs().mean(0),
        ),
        Misconception(
            "channels_kept",
            "You dropped the signs and kept all channels. The map has one number for each pixel: `amax(0)`.",
            lambda X, K: gradient_of(X, K).abs(),
        ),
        Misconception(
            "first_channel",
            "You return the first channel's gradient. The largest of all channels was asked for.",
            lambda X, K: gradient_of(X, K)[0].abs(),
        ),
        Misconception(
            "times_input",
            "You multiplied by the picture. That is another map, and it shows the picture even where the network does "
            "not.",
            lambda X, K: (gradient_of(X, K) * X).abs().amax(0),
        ),
        Misconception(
            "relu_lost",
            "Your score has no ReLU: its gradient is the same for every picture. Keep the line with `relu()`.",
            lambda X, K: without_relu(X, K).abs().amax(0),
        ),
    ),
    hints=(
        "Which of the two comes first: `abs` or `amax`?",
        "`X.grad.abs().amax(0)`, and the rest as it was.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# How alike are two maps?
# ---------------------------------------------------------------------------------------------------------


def pearson(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1].item()


def ranks(a):
    return a.flatten().argsort().argsort().double()


def rank_oracle(a, b):
    return pearson(ranks(a), ranks(b))


def two_maps(seed):
    draw = Draw(seed)
    a, same = torch.tensor([[10.0, 20.0], [40.0, 30.0]]), draw.distinct(3, 4)
    width, others = draw.size(5, 7), [draw.distinct(5, 4).T for _ in range(2)]
    yield Case("four pixels", (a, torch.tensor([[1.0, 3.0], [4.0, 2.0]])), gradient=False)
    yield Case("numbers of very different size", (a, torch.tensor([[1.0, 100.0], [1e6, 1e4]])), gradient=False)
    yield Case("maps in opposite order", (same, -(same**3)), gradient=False)
    yield Case("wide maps", (draw.distinct(3, width), draw.distinct(3, width)), gradient=False)
    yield Case("maps that are not contiguous", tuple(others), gradient=False)
    fractions = [draw.real(4, 4, dtype=torch.float64) for _ in range(2)]
    yield Case("fractions in float64", tuple(fractions), gradient=False)


def covariance(a, b):
    x, y = (r - r.mean() for r in (ranks(a), ranks(b)))
    return (x * y).mean().item()


def row_by_row(a, b):
    return pearson(*(m.argsort(-1).argsort(-1) for m in (a, b)))


RANKS = Task(
    id="rank_correlation",
    title="How alike two maps are",
    kind="write",
    points=2,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=rank_oracle,
    cases=two_maps,
    relative=1e-4,
    absolute=1e-5,
    misconceptions=(
        Misconception(
            "sorted_once",
            "`argsort` tells which pixel comes first, second, third. A *rank* is the other way round: which place "
            "does the first pixel have? Apply `argsort` once more.",
            lambda a, b: pearson(*(m.flatten().argsort() for m in (a, b))),
        ),
        Misconception(
            "values_correlated",
            "You correlate the values. One very bright pixel then decides everything. Replace the values by their "
            "ranks first.",
            lambda a, b: pearson(a, b),
        ),
        Misconception(
            "one_map_ranked",
            "You rank the first map and leave the second one as it is. Both need ranks.",
            lambda a, b: pearson(ranks(a), b),
        ),
        Misconception(
            "other_map_ranked",
            "You rank the second map and leave the first one as it is. Both need ranks.",
            lambda a, b: pearson(a, ranks(b)),
        ),
        Misconception(
            "not_centred",
            "You did not subtract the mean of the ranks. All ranks are 0 or more, so any two maps look alike.",
            lambda a, b: F.cosine_similarity(ranks(a), ranks(b), 0).item(),
        ),
        Misconception(
            "not_normalised",
            "That is the covariance of the ranks; it grows with the number of pixels. Divide by both standard "
            "deviations.",
            covariance,
        ),
        Misconception(
            "sign_dropped",
            "You dropped the sign. Maps in opposite order have the correlation -1.",
            lambda a, b: abs(rank_oracle(a, b)),
        ),
        Misconception(
            "squared",
            "You return the square of the correlation.",
            lambda a, b: rank_oracle(a, b) ** 2,
        ),
        Misconception(
            "row_by_row",
            "You rank each row by itself: `argsort` works along the last dimension. Flatten the maps first.",
            row_by_row,
        ),
        Misconception(
            "tensor_returned",
            "The number is right, but it is still a tensor. Take it out with `.item()`.",
            lambda a, b: torch.tensor(rank_oracle(a, b), dtype=torch.float64),
            matches=lambda value, a, b: isinstance(value, torch.Tensor) and abs(value - rank_oracle(a, b)) < 1e-4,
        ),
    ),
    hints=(
        "The smallest pixel has rank 0, the next one rank 1. `a.flatten().argsort()` lists the pixels from the "
        "smallest on. At which place of this list stands pixel 0? What do you get if you sort the list itself?",
        "`ranks = a.flatten().argsort().argsort().float()`, for both; subtract the means; then the sum of products "
        "over `(x.norm() * y.norm())`, and `.item()`.",
    ),
)

TASKS = (PAPER, CAM, OCCLUSION, EXPOSE, MENDED, RANKS)
