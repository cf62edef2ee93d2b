"""Plots as SVG, whose text is text, in whatever font the reader has."""

import warnings
from io import BytesIO
from textwrap import fill

import matplotlib as mpl
from matplotlib.figure import Figure

SHORT = 28  # characters


def sheet(width: float, height: float) -> Figure:
    """Empty; inches."""
    return Figure((width, height), layout="constrained")


def plain(text: str) -> str:
    """Short, and no formula."""
    return literal(text if len(text) <= SHORT else f"{text[: SHORT - 1]}…")


def literal(text: str) -> str:
    """Whole, on as many lines as it takes: matplotlib sets what stands between dollars
    as a formula."""
    return fill(text, SHORT).replace("$", r"\$")


def svg(figure: Figure) -> bytes:
    """The same bytes for the same figure."""
    stream = BytesIO()
    style = {"svg.hashsalt": "osteon", "svg.fonttype": "none", "font.size": 10}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # missing here, not there
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
