"""Three sheets' mistakes as somebody makes them who has not read the solutions, and what must be said about each.

On every sheet: one of thinking, one of shapes or axes, a slip of Python, an error, something changed in place or wrong
on one kind of input only, and a loop that never ends.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """What stands in a task's cell, a stretch of what `check` says, and what is asked next with the answer to it."""

    task: str
    code: str
    says: str
    asks: str = ""
    answers: str = ""


LOOPS = """\
def corr2d(X, K):
    H, W = X.shape
    h, w = K.shape
    Y = torch.zeros(H - h + 1, W - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            Y[i, j] = (window * K).sum()
    return Y"""

SHEET_1 = (
    Mistake(
        "corr2d",
        LOOPS.replace("Y.shape[0]", "H").replace("Y.shape[1]", "W"),
        "Your loops run over the picture, and your table is smaller.",
        'failing_case("corr2d")',
        "tensor([[0., 1., 2.],",
    ),
    Mistake(
        "corr2d",
        LOOPS.replace("    return Y", "    print(Y.shape)"),
        "your function returned None. Is the line with return missing?",
    ),
    Mistake(
        "corr2d",
        LOOPS.replace("(window * K).sum()", "window * K"),
        "You put a whole table of products into one place of the answer.",
    ),
    Mistake(
        "answer_sizes",
        'def answer_sizes():\n    return {"digit": (24, 24), "wide": (6, 7), "twice": (19, 19)}',
        "you took one kernel of 10×10",
        'hint("answer_sizes")',
        "Hint 1 of 2. Put the kernel at the far left.",
    ),
    Mistake(
        "Conv2D",
        """\
class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return ops.corr2d(X, self.weight) + self.bias""",
        "is a pair already, (rows, columns)",
    ),
    Mistake(
        "corr2d",
        LOOPS.replace("(window * K).sum()", "window.mul_(K).sum()"),
        "it shares X's memory, so X itself changes",
    ),
)

SHEET_4 = (
    Mistake(
        "corr2d_multi_in",
        """\
def corr2d_multi_in(X, K):
    answers = [ops.corr2d(x, k) for x, k in zip(X, K)]
    return torch.stack(answers).sum(1)""",
        "You added up the rows of each channel's answer",
        'hint("corr2d_multi_in")',
        "Hint 1 of 2. How many numbers are there at the top left",
    ),
    Mistake(
        "corr2d_multi_in_out",
        """\
def corr2d_multi_in_out(X, K):
    maps = []
    for k in K:
        maps.append(sum(ops.corr2d(x, kernel) for x, kernel in zip(X, k)))
    return torch.tensor(maps)""",
        "A list of tensors becomes one with torch.stack",
    ),
    Mistake(
        "layer_costs",
        """\
def layer_costs():
    return {
        "weight": (6, 4, 3, 5),
        "bias": (6),
        "answer": (6, 8, 10),
        "parameters": 366,
        "macs": 28800,
        "bytes": 1464,
        "grouped_weight": (6, 2, 3, 5),
    }""",
        "Brackets alone make no tuple",
    ),
    Mistake(
        "mended_layer",
        """\
def mended_layer(X, K, bias):
    answers = []
    for kernels, b in zip(K, bias, strict=True):
        answers.append(sum(ops.corr2d(x, k) for x, k in zip(X, kernels, strict=True)))
    return torch.stack(answers) + b""",
        "All output channels get the last bias.",
    ),
    Mistake(
        "corr2d_batch",
        """\
def corr2d_batch(X, K, bias):
    windows = X.unfold(2, K.shape[2], 1).unfold(3, K.shape[3], 1)
    Y = torch.einsum("ncijab,ocab->noij", windows, K).squeeze()
    return Y + bias.reshape(-1, 1, 1)""",
        "On a batch of one (X is 1×3×4×6, K is 2×3×2×3, bias is 2): the shape is 2×3×4, must be 1×2×3×4.",
        'X, K, bias = failing_case("corr2d_batch")\nX.shape',
        "torch.Size([1, 3, 4, 6])",
    ),
    Mistake(
        "corr2d_multi_in_out",
        """\
def corr2d_multi_in_out(X, K):
    Y = torch.zeros(X.shape[1] - K.shape[2] + 1, X.shape[2] - K.shape[3] + 1, dtype=X.dtype)
    maps = []
    for k in K:
        for x, kernel in zip(X, k):
            Y += ops.corr2d(x, kernel)
        maps.append(Y)
    return torch.stack(maps)""",
        "All your output channels are one and the same table",
    ),
)

STAMPS = """\
def paint(X, K, stride=1, padding=0):
    s, t = stride if isinstance(stride, tuple) else (stride, stride)
    p, q = padding if isinstance(padding, tuple) else (padding, padding)
    (H, W), (h, w) = X.shape, K.shape
    Y = torch.zeros((H - 1) * s + h, (W - 1) * t + w, dtype=X.dtype)
    for i in range(H):
        for j in range(W):
            stamp = K
            Y[i * s : i * s + h, j * t : j * t + w] += stamp * X[i, j]
    return Y[p : Y.shape[0] - p, q : Y.shape[1] - q]"""

SHEET_9 = (
    Mistake(
        "paint",
        """\
def paint(X, K, stride=1, padding=0):
    H, W = X.shape
    h, w = K.shape
    Y = torch.zeros(H + h - 1, W + w - 1)
    for i in range(H):
        for j in range(W):
            Y[i * stride : i * stride + h, j * stride : j * stride + w] += X[i, j] * K
    return Y[padding : Y.shape[0] - padding, padding : Y.shape[1] - padding]""",
        "Your paper is too small once the stride is above 1: its size does not know the stride.",
        'hint("paint")',
        "Hint 1 of 2. Where is the top left corner of the stamp of X[0, 0]",
    ),
    Mistake(
        "paint",
        STAMPS.replace("range(H)", "range(h)").replace("range(W)", "range(w)"),
        "Your loops run over the kernel.",
        'X, K, padding = failing_case("paint")\nK.shape',
        "torch.Size([3, 3])",
    ),
    Mistake(
        "conv_matrix",
        """\
def conv_matrix(K, shape):
    H, W = shape
    h, w = K.shape
    A = torch.zeros((H - h + 1) * (W - w + 1), H * W, dtype=K.dtype)
    row = 0
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            picture = torch.zeros(H, W, dtype=K.dtype)
            picture[i : i + h, j : j + w] = K
            A[row] = picture.flatten()
        row += 1
    return A""",
        "the answers of a line are written over each other",
    ),
    Mistake(
        "paint_with_matrix",
        "def paint_with_matrix(A, Y, shape):\n    return (A.T * Y.flatten()).reshape(shape)",
        "multiplies number by number and adds nothing up",
    ),
    Mistake(
        "mended_slide",
        """\
def mended_slide(X, K, stride):
    h, w = K.shape
    K.flip(0, 1)
    spread = torch.zeros((X.shape[0] - 1) * stride + 1, (X.shape[1] - 1) * stride + 1, dtype=X.dtype)
    spread[::stride, ::stride] = X
    around = F.pad(spread, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(around[None, None], K[None, None])[0, 0]""",
        "K itself stays as it is.",
    ),
    Mistake(
        "stamp_counts",
        """\
def stamp_counts():
    return {
        "row": [1, 1, 2, 1, 2, 1, 2, 1, 1],
        "kernel_3": [1, 2, 4],
        "kernel_6": 9,
        "even": [3, 6, 9],
        "unpainted": 66,
        "tent": 4,
    }""",
        "you counted the places twice where an empty row crosses an empty column",
    ),
    Mistake(
        "paint",
        STAMPS.replace("stamp = K", "stamp = K.mul_(X[i, j])").replace("stamp * X[i, j]", "stamp"),
        "Your stamp is K itself, not a copy",
    ),
)

# A loop that never ends, and before it a file that tells that it has begun.
ENDLESS = {
    "01_corr2d": Mistake(
        "learn_kernel",
        """\
kept = ["everything", "else"]


def learn_kernel(X, Y, kernel_size):
    K = torch.zeros(kernel_size, requires_grad=True)
    loss = torch.tensor(1.0)
    open("begun", "w").close()
    while loss > 0:
        error = (ops.corr2d(X, K) - Y).square().mean()
    return K""",
        "your code was interrupted at line",
    ),
    "04_channels": Mistake(
        "corr2d_batch",
        """\
kept = ["everything", "else"]


def corr2d_batch(X, K, bias):
    answers, n = [], 0
    open("begun", "w").close()
    while n < len(X):
        answers = answers[-1:] + [corr2d_multi_in_out(X[n], K)]
    return torch.stack(answers)""",
        "your code was interrupted at line",
    ),
    "09_transposed_conv": Mistake(
        "paint",
        """\
kept = ["everything", "else"]


def paint(X, K, stride=1, padding=0):
    row = 0
    open("begun", "w").close()
    while row < X.shape[0]:
        stamp = X[row, 0] * K
    return stamp""",
        "your code was interrupted at line",
    ),
}
SHEETS = {"01_corr2d": SHEET_1, "04_channels": SHEET_4, "09_transposed_conv": SHEET_9}
