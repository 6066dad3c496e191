"""Tasks of sheet 14: fields and maps on paper, Grad-CAM, occlusion, a saliency with a hole, and rank correlation."""

import math

import torch
import torch.nn.functional as F

from exercise_checks.tasks.task import Draw, as_list, slips, task

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


@task(
    "Fields, maps and hooks on paper", kind="predict", points=3, difficulty=3, importance=4, minutes=12,
    oracle=torch_on_paper,
)  # fmt: skip
def inside_on_paper():
    """Field: how wide is one step of each layer, in pixels of the picture? Deviation: which quantity adds up from layer
    to layer? Hooks: how many are there in the first, second, third, fourth run?

    `pooled`: 1 + 2·1 + 1·1 + 2·2 + 1·2 + 2·4. `dilated`: 1 + 2·1 + 2·3 + 2·9. `layers`: 2/3·n = 4². `occlusion`: (32 -
    6) // 2 + 1 a side. `kept`: 1 + 2 + 3 + 4.
    """
    return {"pooled": 18, "dilated": 27, "layers": 24, "occlusion": (14, 14), "passes": 197, "kept": 10}


slips(inside_on_paper, """
steps_not_multiplied = {"pooled": 9}
    For `pooled` you added up k - 1 of each layer, as if every step were one pixel wide. Behind a pooling with stride 2
    a step is two pixels wide, behind two of them four.
own_stride_counts = {"pooled": 21}
    For `pooled` you multiplied by the layer's own stride, too. Its kernel lies on the grid *before* it: only the
    strides of earlier layers count.
last_kernel = {"pooled": 3}
    For `pooled` you gave the size of the last kernel. It covers three numbers of the layer before, and each of those
    has seen more than one pixel.
dilation_ignored = {"dilated": 7}
    For `dilated` you took kernels without gaps. With dilation d a kernel of 3 spans 2d + 1 numbers.
dilation_times_kernel = {"dilated": 40}
    For `dilated` you added d·k. A kernel of 3 has two gaps between its three cells: d·(k - 1).
grows_evenly = {"layers": 6}
    For `layers` you let the deviation grow like n. The *variance* grows like n: 2/3 for each layer. Square first.
width_of_the_field = {"layers": 4}
    For `layers` you asked when the *field* is 4 pixels to either side. That takes 4 layers; its rim hardly counts, and
    the deviation grows more slowly.
every_pixel = {"occlusion": (27, 27)}
    For `occlusion` you moved the patch by one pixel. Its stride is 2.
steps_for_places = {"occlusion": (13, 13)}
    For `occlusion` you counted the steps of the patch. It also stands at its start: one place more.
hanging_over = {"occlusion": (16, 16)}
    For `occlusion` you let the patch hang over the rim: 32 / 2. Only places where it fits count.
one_pass_forgotten = {"passes": 196}
    For `passes` you counted the covered pictures. The fall of a score needs the score of the untouched picture, too.
one_hook = {"kept": 4}
    For `kept` you counted one copy a run. No hook is removed: in the fourth run four of them are at work.
last_run_only = {"kept": 16}
    For `kept` you counted as if four hooks had been there in every run. In the first there was one.
""")  # fmt: skip


def torch_cam(A, G):
    return torch.einsum("k,kij->ij", G.mean((1, 2)), A).relu()


def maps_and_gradients(draw: Draw):
    A = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
    G = torch.tensor([2.0, -1.0])[:, None, None].expand(2, 2, 2).contiguous()
    yield "the maps of lesson 14", A, G
    yield "gradients that differ from place to place", draw.whole(3, 3, 4, low=0), draw.whole(3, 3, 4)
    width = draw.size(5, 7)
    yield "wide maps", draw.real(4, 2, width), draw.real(4, 2, width)
    yield "one map", draw.real(1, 4, 3), draw.real(1, 4, 3) + 1
    yield "maps that all speak against the class", draw.whole(2, 3, 3, low=1), -draw.whole(2, 3, 3, low=1)
    yield "maps that are not contiguous", draw.turned(3, 4, 5), draw.turned(3, 4, 5)
    A = draw.real(5, 3, 4, dtype=torch.float64)
    yield "fractions in float64", A, draw.real(5, 3, 4, dtype=torch.float64)


def cam_window(index, A, G):
    i, j = index
    return f"the maps' {as_list(A[:, i, j])} with the weights {as_list(G.mean((1, 2)))}"


def is_scaled(value, A, G):
    cam = torch_cam(A, G)
    return torch.allclose(value.nan_to_num(0), (cam / cam.max()).nan_to_num(0), 1e-3)


@task(
    "Grad-CAM from maps and gradients", maps_and_gradients, points=2, difficulty=2, importance=4, minutes=10,
    oracle=torch_cam, window=cam_window,
)  # fmt: skip
def grad_cam_map(A, G):
    """Three steps: one weight for each map, the weighted sum of the maps, and what becomes of negative places? Over
    which dimensions of G is each map's weight a mean?

    `weights = G.mean((1, 2), keepdim=True)` has the shape C×1×1. Then `(weights * A).sum(0).relu()`.
    """
    weights = G.mean((1, 2), keepdim=True)  # C × 1 × 1
    return (weights * A).sum(0).relu()


slips(grad_cam_map, """
no_relu: .relu() ->
    The weighted sum is right, but negative places are still there. They speak against the class: cut them off with
    `relu`.
relu_too_early: .sum(0).relu() -> .relu().sum(0)
    You cut off each map before you add up. What speaks against the class must first be able to outweigh what speaks
    for it: ReLU comes last.
weights_cut: (weights * A).sum(0).relu() -> (weights.relu() * A).sum(0)
    You cut off the negative *weights*. Then no map can speak against the class. The ReLU belongs around the sum.
weights_and_sum_cut: weights * -> weights.relu() *
    You cut off negative weights and the sum as well. One ReLU, around the sum, is enough.
place_by_place: weights * -> G *
    You multiply each place by its own gradient. Grad-CAM gives each map *one* weight: the mean of its gradients.
gradients_summed: G.mean -> G.sum
    You add up the gradients of a map and do not divide. Its weight is their mean.
gradients_absolute: G.mean -> G.abs().mean
    You take the gradients without their sign. Then what speaks against the class counts as if it spoke for it.
maps_averaged: .sum(0) -> .mean(0)
    You average over the maps at the end. The formula adds them up.
one_weight_for_all: (1, 2), keepdim=True ->
    All your maps have the same weight, the mean over everything. Each map has its own: average over rows and columns,
    dimensions 1 and 2, alone.
mean_over_the_maps: (1, 2), keepdim=True -> 0
    You averaged the gradients over the maps, dimension 0. They must stay apart; rows and columns go.
not_added_up: .sum(0) ->
    You weighted the maps and did not add them up. The answer has rows and columns, and no channels.
divided_by_the_largest: return (weights -> cam = (weights
and: .relu() -> .relu(); return cam / cam.max()
if: is_scaled
    You divided by the largest number, so that it becomes 1. That hides how strong a map is, and a map of zeros becomes
    nan.
axis_kept: .sum(0) -> .sum(0, keepdim=True)
    The values are right, but an axis of size 1 is left in front. `sum(0)` takes it away; `sum(0, keepdim=True)` keeps
    it.
always_float32: .relu() -> .relu().float()
    The values are right, but they are always float32. A tensor that you make yourself needs `dtype=A.dtype`.
cut_off: .relu() -> .relu().detach()
    The values are right, but the way back is cut: a number that was taken out of its tensor carries no gradient.
""")  # fmt: skip


def score(X, K):
    """The sheet's small network: a convolution, ReLU, and the sum of what is left."""
    return F.conv2d(X[None, None], K[None, None]).relu().sum()


def covered_pictures(draw: Draw):
    bar, edge = torch.tensor([[0.0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]), torch.tensor([[-1.0, 1.0]])
    yield "an upright bar", bar, edge, 2
    yield "a wide picture", draw.whole(4, draw.size(6, 8)), draw.whole(2, 2), 2
    yield "a tall picture", draw.whole(draw.size(6, 8), 4), draw.whole(2, 3), 3
    yield "patches of one pixel", draw.whole(4, 5), draw.whole(3, 2), 1
    yield "a patch as high as the picture", draw.whole(3, 5), draw.whole(2, 2), 3
    yield "a picture that is not contiguous", draw.turned(5, 4), draw.whole(2, 2), 2
    yield "fractions in float64", draw.real(5, 6, dtype=torch.float64), draw.real(3, 3, dtype=torch.float64), 2


def patch_window(index, X, K, size):
    i, j = index
    return f"the score without the patch {as_list(X[i : i + size, j : j + size])}"


@task(
    "Cover it, and ask again", covered_pictures, points=3, difficulty=3, importance=5, minutes=20,
    gradient=False, window=patch_window,
)  # fmt: skip
def occlusion_map(X, K, size):
    """How many places has the patch? What must be made anew for each place, so that the patch before is there again? Of
    which two scores is the fall a difference?

    In both loops: `covered = X.clone()`, `covered[i : i + size, j : j + size] = 0`, `lost[i, j] = score(X, K) -
    score(covered, K)`. `lost` has the shape (H - size + 1, W - size + 1) and X's dtype.
    """
    before = score(X, K)
    lost = torch.zeros(X.shape[0] - size + 1, X.shape[1] - size + 1, dtype=X.dtype)
    for i in range(lost.shape[0]):
        for j in range(lost.shape[1]):
            covered = X.clone()
            covered[i : i + size, j : j + size] = 0
            lost[i, j] = before - score(covered, K)
    return lost


slips(occlusion_map, """
score_itself: before - score(covered, K) -> score(covered, K)
    You return the score that is left. The map shows what is *lost*: the score of the untouched picture minus it.
sign_reversed: before - score(covered, K) -> score(covered, K) - before
    The sign is reversed: where covering lowers the score, the map must be above 0. Take before minus after.
absolute: before - score(covered, K) -> (before - score(covered, K)).abs()
    You dropped the sign. A patch whose covering *raises* the score speaks against the class, and is below 0.
left_covered: covered = X.clone() -> pass
and: before = score(X, K) -> before = score(X, K); covered = X.clone()
    Your patches stay covered: the second place is tried on a picture that has lost the first already. Clone X anew for
    each place.
left_covered_in_place: X.clone() -> X
    Your patches stay covered, and in X itself: each place is tried on a picture that has lost all places before. Cover
    a clone, made anew for each place.
patch_by_patch: X.shape[0] - size + 1, X.shape[1] - size + 1 -> X.shape[0] // size, X.shape[1] // size
and: [i : i + size, j : j + size] -> [i * size : (i + 1) * size, j * size : (j + 1) * size]
    Your patch moves by its own size. Here it moves by one pixel, like a kernel with stride 1.
one_place_short: size + 1 -> size
    Your map is one row and one column short. There are n - size + 1 places a side.
hanging_over: - size + 1 ->
    Your map is as large as the picture: the last patches hang over the edge. Only whole patches count: n - size + 1
    places a side.
filled_with_the_mean: ] = 0 -> ] = X[i : i + size, j : j + size].mean()
    You fill the patch with its own mean. Background is 0 here, and a mean still says how light the patch was.
filled_with_ones: ] = 0 -> ] = 1
    You fill the patch with 1. That draws a white square, and the network answers to it. Fill with 0.
kept_only: X.clone() -> torch.zeros_like(X)
and: ] = 0 -> ] = X[i : i + size, j : j + size]
    You cover everything *but* the patch. That shows what the patch can do alone, not what is lost without it.
one_pixel: covered[i : i + size, j : j + size] -> covered[i, j]
    You cover one pixel at each place, not a patch: `covered[i, j] = 0`. Take rows i to i + size, columns j to j +
    size.
share: before - score(covered, K) -> (before - score(covered, K)) / before
    You divided by the score of the untouched picture. Return the fall itself; a score of 0 would divide by 0.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. `torch.zeros(...)` needs `dtype=X.dtype`.
""")  # fmt: skip


def broken_saliency(X, K):
    X = X.clone().requires_grad_()
    F.conv2d(X[None], K[None]).relu().sum().backward()
    return X.grad.amax(0).abs()


def gradient_of(X, K):
    with torch.enable_grad():
        leaf = X.detach().clone().requires_grad_()
        return torch.autograd.grad(F.conv2d(leaf[None], K[None]).relu().sum(), leaf)[0]


def is_usable(X, K):
    fits = X.ndim == K.ndim == 3 and len(X) == len(K) and 0 < X.numel() <= 10_000 and 0 < K.numel() <= 1000
    return bool(fits and K.shape[1] <= X.shape[1] and K.shape[2] <= X.shape[2] and X.isfinite().all())


def is_right_on(X, K):
    return torch.equal(broken_saliency(X, K), mended_saliency.answer(X, K))


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
    if is_right_on(X, K):
        return "On this input the function is right: the largest of each pixel's gradients, without sign."
    return None


def right_since(condition):
    """A predicate: the function is right on this input, and its gradients meet the condition."""

    def matches(value):
        X, K = value
        return is_usable(X, K) and is_right_on(X, K) and bool(condition(gradient_of(X, K)))

    return matches


@task(
    "Find a picture and a kernel that break it", kind="bug", points=1, difficulty=2, importance=3, minutes=6,
    accept=exposes, broken=broken_saliency,
)  # fmt: skip
def breaks_saliency():
    """The lesson drops the sign, then takes the largest channel. Here it is the other way round. For which two numbers
    does that matter?

    At one pixel the gradients of the channels should be, say, 1 and -3. With a kernel of 1×1 they are the kernel's
    weights, wherever the convolution is above 0. Let the first channel be bright enough.
    """
    return torch.tensor([[[9.0]], [[1.0]]]), torch.tensor([[[1.0]], [[-3.0]]])


slips(breaks_saliency, """
closed = torch.ones(2, 2, 2), torch.tensor([[[1.0]], [[-5.0]]])
if: right_since(lambda G: not G.any())
    All gradients are 0: ReLU lets nothing through, because the convolution is nowhere above 0. Make it positive first.
one_channel = torch.ones(1, 2, 2), torch.ones(1, 1, 1)
if: right_since(lambda G: len(G) == 1 and G.any())
    Your picture has one channel. The largest of one number is that number, and its sign is dropped rightly.
nothing_negative = torch.ones(2, 2, 2), torch.ones(2, 1, 1)
if: right_since(lambda G: len(G) > 1 and G.any() and (G >= 0).all())
    No gradient is negative here, so the order of `amax` and `abs` does not matter. Which weights of a kernel make a
    gradient negative?
outvoted = torch.ones(2, 2, 2), torch.tensor([[[2.0]], [[-1.0]]])
if: right_since(lambda G: len(G) > 1 and (G < 0).any() and (G.amax(0) > 0).any())
    There are negative gradients, but at each pixel another channel's positive one is at least as large, and that one
    is reported rightly. The negative one must be the larger, without sign.
whole_numbers = torch.ones(2, 2, 2, dtype=torch.int64), torch.ones(2, 1, 1, dtype=torch.int64)
if: lambda value: any(not T.is_floating_point() for T in value) and len(value) == 2
    Your numbers are whole, and a gradient needs float32. Write `-1.0` in place of `-1`.
""")  # fmt: skip


def colour_pictures(draw: Draw):
    yield "two channels that disagree", torch.tensor([[[9.0, 9.0]], [[1.0, 1.0]]]), torch.tensor([[[1.0]], [[-3.0]]])
    yield "three channels", draw.whole(3, 4, draw.size(5, 7)), draw.whole(3, 2, 2)
    yield "a tall picture", draw.whole(3, draw.size(5, 7), 3), draw.whole(3, 3, 2)
    yield "one channel", draw.whole(1, 4, 4), draw.whole(1, 2, 2)
    yield "a picture that is not contiguous", draw.turned(2, 4, 5), draw.whole(2, 2, 3)
    yield "fractions in float64", *(draw.real(3, side, side, dtype=torch.float64) for side in (5, 2))


def channels_window(index, X, K):
    i, j = index
    return f"the channels' gradients {as_list(gradient_of(X, K)[:, i, j])}"


@task(
    "Mend it", colour_pictures, kind="bug", points=1, difficulty=2, importance=4, minutes=4,
    gradient=False, window=channels_window,
)  # fmt: skip
def mended_saliency(X, K):
    """Which of the two comes first: `abs` or `amax`?

    `X.grad.abs().amax(0)`, and the rest as it was.
    """
    X = X.clone().requires_grad_()
    F.conv2d(X[None], K[None]).relu().sum().backward()
    return X.grad.abs().amax(0)


slips(mended_saliency, """
unchanged = broken_saliency
    The largest channel is still chosen before the sign is dropped, so a gradient of -3 loses against 1.
sign_kept: .abs() ->
    You do not drop the sign at all. A pixel that lowers the score matters as much as one that raises it.
added_then_absolute: abs().amax(0) -> sum(0).abs()
    You add up the channels. Gradients of 3 and -3 cancel then, though the score depends on both.
absolute_then_added: amax -> sum
    You add up the channels without sign. The lesson's map takes the largest of them.
averaged: amax -> mean
    You average over the channels. The lesson's map takes the largest of them.
channels_kept: .amax(0) ->
    You dropped the signs and kept all channels. The map has one number for each pixel: `amax(0)`.
first_channel: abs().amax(0) -> abs()[0]
    You return the first channel's gradient. The largest of all channels was asked for.
times_input: X.grad -> (X.grad * X)
    You multiplied by the picture. That is another map, and it shows the picture even where the network does not.
relu_lost: .relu() ->
    Your score has no ReLU: its gradient is the same for every picture. Keep the line with `relu()`.
""")  # fmt: skip


def torch_correlation(a, b):
    ranks = torch.stack([m.flatten().argsort().argsort().double() for m in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


def two_maps(draw: Draw):
    a, same = torch.tensor([[10.0, 20.0], [40.0, 30.0]]), draw.distinct(3, 4)
    width, others = draw.size(5, 7), [draw.distinct(5, 4).T for _ in range(2)]
    yield "four pixels", a, torch.tensor([[1.0, 3.0], [4.0, 2.0]])
    yield "numbers of very different size", a, torch.tensor([[1.0, 100.0], [1e6, 1e4]])
    yield "maps in opposite order", same, -(same**3)
    yield "wide maps", draw.distinct(3, width), draw.distinct(3, width)
    yield "maps that are not contiguous", *others
    yield "fractions in float64", *(draw.real(4, 4, dtype=torch.float64) for _ in range(2))


@task(
    "How alike two maps are", two_maps, points=2, difficulty=3, importance=4, minutes=15,
    oracle=torch_correlation, gradient=False, relative=1e-4, absolute=1e-5, forbids=frozenset({"spearmanr"}),
)  # fmt: skip
def rank_correlation(a, b):
    """The smallest pixel has rank 0, the next one rank 1. `a.flatten().argsort()` lists the pixels from the smallest
    on. At which place of this list stands pixel 0? What do you get if you sort the list itself?

    `ranks = a.flatten().argsort().argsort().float()`, for both; subtract the means; then the sum of products over
    `(x.norm() * y.norm())`, and `.item()`.
    """
    x = a.flatten().argsort().argsort().double()
    y = b.flatten().argsort().argsort().double()
    x, y = x - x.mean(), y - y.mean()
    return (x @ y / (x.norm() * y.norm())).item()


slips(rank_correlation, """
sorted_once: .argsort().argsort() -> .argsort()
    `argsort` tells which pixel comes first, second, third. A *rank* is the other way round: which place does the first
    pixel have? Apply `argsort` once more.
values_correlated: .argsort().argsort() ->
    You correlate the values. One very bright pixel then decides everything. Replace the values by their ranks first.
one_map_ranked: b.flatten().argsort().argsort() -> b.flatten()
    You rank the first map and leave the second one as it is. Both need ranks.
other_map_ranked: a.flatten().argsort().argsort() -> a.flatten()
    You rank the second map and leave the first one as it is. Both need ranks.
not_centred: x - x.mean(), y - y.mean() -> x, y
    You did not subtract the mean of the ranks. All ranks are 0 or more, so any two maps look alike.
not_normalised: (x.norm() * y.norm()) -> len(x)
    That is the covariance of the ranks; it grows with the number of pixels. Divide by both standard deviations.
sign_dropped: .item() -> .abs().item()
    You dropped the sign. Maps in opposite order have the correlation -1.
squared: .item() -> .square().item()
    You return the square of the correlation.
row_by_row: .flatten().argsort().argsort() -> .argsort().argsort().flatten()
    You rank each row by itself: `argsort` works along the last dimension. Flatten the maps first.
tensor_returned: .item() ->
if: lambda value, a, b: isinstance(value, torch.Tensor) and abs(value - torch_correlation(a, b)) < 1e-4
    The number is right, but it is still a tensor. Take it out with `.item()`.
""")  # fmt: skip
