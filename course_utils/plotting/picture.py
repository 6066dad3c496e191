"""What a drawing becomes: a small PNG, still or animated, with its sentence."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_utils.files import write_then_rename

# A folded output shows its first line in JupyterLab: without this one, the answer itself, since the tag begins with it.
UNFOLDS = "<!-- The picture unfolds when the cell is run. -->\n"


@dataclass(frozen=True, repr=False)
class Picture:
    """A PNG (still or animated) together with the sentence that describes it.

    JupyterLab 4.6 and nbconvert 7.17 give the image of a PNG output no alt text, whatever its metadata say.
    In HTML they keep it, even before a notebook is trusted. Therefore the PNG travels inside `<img alt="...">`.

    >>> from course_utils import plotting
    >>> plotting.matrices({"input": [[0, 1], [2, 3]]})
    <Picture: input 2x2 [0 1; 2 3]>
    """

    png: bytes
    alt: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels, half of what the PNG's header says."""
        return tuple(int.from_bytes(self.png[i : i + 4], "big") // 2 for i in (16, 20))

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"

    @property
    def html(self) -> str:
        """The tag that shows the picture anywhere, without a file."""
        source = f'src="data:image/png;base64,{base64.b64encode(self.png).decode("ascii")}"'
        return f'<img alt="{html.escape(self.alt)}" width="{self.size[0]}" style="max-width: 100%" {source}>'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": UNFOLDS + self.html}, {}

    def save(self, path: Path | str) -> Path:
        """Write the PNG to `path`, whole or not at all."""
        write_then_rename(path, self.png)
        return Path(path)


def still(fig: Figure, alt: str) -> Picture:
    return Picture(_encode(_few_colours(raster(fig)), optimize=True), alt)


def sketch(fig: Figure, alt: str) -> Picture:
    """Return what `still` does in half of the time, three times as large: for a picture that is soon replaced."""
    return Picture(_encode(Image.fromarray(raster(fig)), compress_level=1), alt)


def film(figures: Iterable[Figure], colours: Sequence[tuple], fps: float, alt: str) -> Picture:
    """Return an endless animated PNG that shows `fps` figures a second, in the given colours, (R, G, B) in 0..1.

    After the first frame only the pixels that changed are stored; the others are transparent.
    """
    palette, unchanged = [round(255 * c) for colour in colours for c in colour], len(colours)
    guide = Image.new("P", (1, 1))
    guide.putpalette(palette)
    frames, before = [], None
    for fig in figures:
        now = raster(fig)
        red, green, blue = np.moveaxis(now != before if frames else np.ones_like(now, dtype=bool), -1, 0)
        changed = red | green | blue
        indices = np.full(now.shape[:2], unchanged, dtype=np.uint8)
        indices[changed] = np.asarray(Image.fromarray(now[changed][None]).quantize(palette=guide, dither=0))[0]
        frames.append(Image.fromarray(indices))
        frames[-1].putpalette([*palette, 255, 255, 255])
        before = now
    motion = {"duration": 1000 / fps, "loop": 0, "blend": 1, "disposal": 0, "transparency": unchanged}
    return Picture(_encode(frames[0], save_all=True, append_images=frames[1:], compress_level=9, **motion), alt)


def raster(fig: Figure) -> np.ndarray:
    """Return the drawn figure's pixels, (height, width, 3) in 0..255."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _few_colours(pixels: np.ndarray) -> Image.Image:
    """Return an image of at most 256 colours, without dither: it makes files large and flat areas grainy.

    The colours are chosen among cells of 4 x 4 x 4 neighbours. A cell with many pixels counts less than they do: else
    a photograph's sky takes all the colours, and a few red pillars turn brown. At last each is the mean of its pixels.
    """
    cells = (pixels >> 2).astype(np.intp) @ np.array([64 * 64, 64, 1])
    counts = np.bincount(cells.ravel())
    there = counts.nonzero()[0]
    sample = np.stack([there // 64**2, there // 64 % 64, there % 64], axis=-1).astype(np.uint8) * 4
    sample = sample.repeat(np.ceil(counts[there] ** 0.7).astype(int), axis=0)
    image = Image.fromarray(pixels)
    image = image.quantize(palette=Image.fromarray(sample[None]).quantize(256, kmeans=1), dither=0)
    index = np.asarray(image).ravel()
    sums = np.stack([np.bincount(index, channel.ravel()) for channel in np.moveaxis(pixels, -1, 0)], axis=-1)
    image.putpalette((sums / np.bincount(index).clip(1)[:, None]).round().astype(np.uint8).tobytes())
    return image


def _encode(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()
