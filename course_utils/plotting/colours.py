"""Colours: what each means, and what can be read on it."""

from matplotlib.colors import to_rgb

# One meaning each, wherever the course draws. The hues are Okabe and Ito's, which colour-blind readers tell apart.
INPUT, KERNEL, OUTPUT = "#0072B2", "#D55E00", "#009E73"
ACCENT, MUTED, INK = "#AA4499", "#666666", "#000000"
# Curves use other hues (after Paul Tol), so that an orange line is never read as a kernel.
SERIES = ("#332288", "#AA4499", "#117733", "#CC6677", "#555555", "#882255")


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """Mix a colour into white."""
    return tuple(1 - strength * (1 - c) for c in to_rgb(colour))


def luminance(colour) -> float:
    """Relative luminance in 0..1, as WCAG 2.2 defines it."""
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def readable(fill) -> str:
    """Return black or white, whichever can be read on `fill`."""
    # At luminance 0.179 both have the same contrast, 4.6 : 1 (WCAG 2.2, criterion 1.4.3).
    return INK if luminance(fill) > 0.179 else "#FFFFFF"
