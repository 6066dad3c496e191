"""Pictures for the lessons: number grids, the sliding window, images, curves.

Every function takes tensors (or nested lists) and returns a `Picture`: a PNG and a sentence that says what it
shows. The sentence is computed from the numbers drawn, so a test that compares sentences compares pictures.
Nothing here touches pyplot or its global state.
"""

from course_utils.plotting.colours import ACCENT, INK, INPUT, KERNEL, MUTED, OUTPUT
from course_utils.plotting.curves import bars, history, lines
from course_utils.plotting.fields import receptive_field
from course_utils.plotting.grids import matrices
from course_utils.plotting.maps import heatmap, images, overlays
from course_utils.plotting.picture import Picture
from course_utils.plotting.stamps import stamping_window
from course_utils.plotting.windows import animate_window, pooling_window, sliding_window

__all__ = [
    "ACCENT", "INK", "INPUT", "KERNEL", "MUTED", "OUTPUT", "Picture", "animate_window", "bars", "heatmap", "history",
    "images", "lines", "matrices", "overlays", "pooling_window", "receptive_field",
    "sliding_window", "stamping_window",
]  # fmt: skip
