"""Knobs to turn: what `plotting` draws, drawn again at every move.

Each widget is one object. As the last line of a cell it shows its controls where a kernel runs, and its first picture
with its description everywhere else. A setting that cannot be is answered by a sentence, never by an exception.
"""

from course_utils.widgets.convolution import ConvolutionExplorer
from course_utils.widgets.painter import KernelPainter
from course_utils.widgets.pooling import PoolingExplorer
from course_utils.widgets.receptive_field import ReceptiveFieldBuilder

__all__ = ["ConvolutionExplorer", "KernelPainter", "PoolingExplorer", "ReceptiveFieldBuilder"]
