"""Plots as SVG, whose text is text, in whatever font the reader has."""

import warnings
from io import BytesIO

import matplotlib as mpl
from matplotlib.figure import Figure


def sheet(width: float, height: float) -> Figure:
    """Empty; inches."""
    return Figure((width, height), layout="constrained")


def plain(text: str) -> str:
    """Short, and no formula: matplotlib sets what stands between dollars."""
    return (text if len(text) <= 28 else f"{text[:27]}…").replace("$", r"\$")


def svg(figure: Figure) -> bytes:
    """The same bytes for the same figure."""
    stream = BytesIO()
    style = {"svg.hashsalt": "osteon", "svg.fonttype": "none", "font.size": 10}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # missing here, not there
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
