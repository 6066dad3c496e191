"""filters against scipy.ndimage, which has the same kernels under the same names."""

import pytest
import torch
from scipy import ndimage

from course_utils import filters

IMAGE = torch.rand(2, 9, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_scipy(function, **options):
    return torch.stack([torch.from_numpy(function(channel.numpy(), mode="nearest", **options)) for channel in IMAGE])


@pytest.mark.parametrize(
    ("kernel", "peer", "options"),
    [
        (filters.sobel_x(), ndimage.sobel, {"axis": 1}),
        (filters.sobel_y(), ndimage.sobel, {"axis": 0}),
        (filters.prewitt_x(), ndimage.prewitt, {"axis": 1}),
        (filters.prewitt_y(), ndimage.prewitt, {"axis": 0}),
        (filters.laplacian(), ndimage.laplace, {}),
        (filters.box(5), ndimage.uniform_filter, {"size": 5}),
        (filters.gaussian(7, 1.5), ndimage.gaussian_filter, {"sigma": 1.5, "radius": 3}),
    ],
)
def test_each_filter_is_scipys(kernel, peer, options):
    torch.testing.assert_close(filters.filter2d(IMAGE, kernel), by_scipy(peer, **options), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("zeros", "constant"), ("replicate", "nearest"), ("reflect", "mirror"), ("circular", "wrap")],
)
@pytest.mark.parametrize("shape", [(3, 3), (1, 4), (4, 2)])
def test_borders_are_scipys(ours, theirs, shape):
    kernel = torch.arange(1.0, 1 + shape[0] * shape[1]).reshape(shape)
    # For an even kernel scipy's origin lies one to the right of torch's "same"; shift it back.
    origin = [-1 if k % 2 == 0 else 0 for k in shape]
    expected = [ndimage.correlate(c.numpy(), kernel.numpy(), mode=theirs, origin=origin) for c in IMAGE]
    torch.testing.assert_close(
        filters.filter2d(IMAGE, kernel, ours), torch.stack([torch.from_numpy(e) for e in expected])
    )


@pytest.mark.parametrize("name", ["sobel_x", "sobel_y", "prewitt_x", "prewitt_y", "laplacian"])
def test_derivatives_are_blind_to_flat_areas(name):
    assert getattr(filters, name)().sum() == 0


def test_laplacian_with_diagonals():
    assert filters.laplacian(diagonals=True).tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    "kernel", [filters.box(3), filters.gaussian(5, 2.0), filters.sharpen(0.7), filters.identity(5)]
)
def test_averages_keep_the_brightness(kernel):
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))


def test_sharpen_adds_what_the_laplacian_takes():
    expected = IMAGE - 0.5 * filters.filter2d(IMAGE, filters.laplacian())
    torch.testing.assert_close(filters.filter2d(IMAGE, filters.sharpen(0.5)), expected)


@pytest.mark.parametrize("kernel", [filters.gaussian(5), filters.sobel_y(), filters.box(3), filters.prewitt_x()])
def test_column_then_row_is_the_whole_kernel(kernel):
    column, row = filters.separate(kernel)
    torch.testing.assert_close(
        filters.filter2d(filters.filter2d(IMAGE, column), row),
        filters.filter2d(IMAGE, kernel),
        atol=1e-6,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("size must be an odd whole number", lambda: filters.box(4)),
        ("sigma must be above 0, got 0", lambda: filters.gaussian(5, 0)),
        ("its rank is 2", lambda: filters.separate(filters.laplacian())),
        (r"kernel must have shape \(kh, kw\)", lambda: filters.separate(IMAGE)),
        (r"image must have shape \(C, H, W\)", lambda: filters.filter2d(IMAGE[0], filters.box())),
        (r"kernel must have shape \(kh, kw\)", lambda: filters.filter2d(IMAGE, IMAGE)),
        (
            "padding_mode must be one of .* got 'mirror'",
            lambda: filters.filter2d(IMAGE, filters.box(), "mirror"),
        ),
    ],
)
def test_wrong_calls_get_one_sentence(sentence, call):
    with pytest.raises(ValueError, match=sentence):
        call()
