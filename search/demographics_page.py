"""Who is in a data set, as one HTML page with plots, and the same as JSON.

The page needs nothing else: no script, no font, no picture from elsewhere. Every plot
has its numbers in a table beside it.
"""

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from search import drawn
from search.dataset import write_text
from search.demographics import NUMBERS, PAGE

TITLES = {
    "age": "Age in years",
    "sex": "Sex",
    "side": "Side",
    "view": "View",
    "part": "Part of the body",
    "maker": "Maker of the device",
    "cast": "Cast",
    "metal": "Metal",
}
# Told apart by lightness too, for those who do not tell these colours apart.
COLOURS = {"fractured": "#b3261e", "not_fractured": "#7fa7c9", "without_label": "#ccc"}
WORDS = {
    "fractured": "fractured",
    "not_fractured": "not fractured",
    "without_label": "without a label",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .9rem .15rem 0; font-weight: normal; }
thead th { border-bottom: 1px solid #888; }
th:first-child { text-align: left; max-width: 22rem; overflow-wrap: anywhere; }
.missing { color: #5a5a5a; } img { max-width: 100%; height: auto; display: block; }
"""


def write(folder: Path, told: Mapping[str, object], title: str) -> None:
    """Leave PAGE and NUMBERS in `folder`. told: of `demographics.summary`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / NUMBERS, json.dumps(told, indent=1))
    write_text(folder / PAGE, page(told, title))


def page(told: Mapping, title: str) -> str:
    sections = "".join(
        _section(name, attribute) for name, attribute in told["attributes"].items()
    )
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        f"<p>{escape(_counts(told))}</p>\n{sections}</body></html>\n"
    )


def _counts(told: Mapping) -> str:
    total = f"{told['images']:,} images"
    if told["studies"]:
        total += f" of {told['studies']:,} studies"
    if told["patients"]:
        total += f" and {told['patients']:,} patients"
    labels = ", ".join(f"{told[key]:,} {word}" for key, word in WORDS.items())
    return f"{total}: {labels}. Shares are of the images with a label."


def _section(name: str, attribute: Mapping) -> str:
    heading = f"<h2>{escape(TITLES.get(name, name))}</h2>\n"
    known, missing = attribute["known"], attribute["missing"]
    if not known:
        return f'{heading}<p class="missing">Not known of any image.</p>\n'
    text = f"Known of {known:,} images, missing for {missing:,}."
    if years := attribute.get("years"):
        text += (
            " Median {median:g}, half between {lower_quartile:g} and "
            "{upper_quartile:g}, all between {youngest:g} and {oldest:g}."
        ).format(**years)
    groups = attribute["groups"]
    return f"{heading}<p>{escape(text)}</p>\n{_plot(name, groups)}{_table(attribute)}"


def _table(attribute: Mapping) -> str:
    rows = [_row(group["group"], group) for group in attribute["groups"]]
    if attribute["missing"]:
        rows.append(_row("missing", attribute["of_the_missing"], ' class="missing"'))
    columns = ["", "images", "patients", *WORDS.values(), "share fractured"]
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "\n".join(rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def _row(group: str, counted: Mapping, attributes: str = "") -> str:
    labelled = counted["fractured"] + counted["not_fractured"]
    share = f"{counted['fractured'] / labelled:.0%}" if labelled else "–"
    keys = ("images", "patients", *WORDS)
    cells = "".join(f"<td>{counted[key]:,}</td>" for key in keys)
    head = f'<th scope="row">{escape(group)}</th>'
    return f"<tr{attributes}>{head}{cells}<td>{share}</td></tr>"


def _plot(name: str, groups: list[Mapping]) -> str:
    """Bars of images a group, divided by label; upright for ages, which have order."""
    title = f"{TITLES.get(name, name)}: images of each group, by label"
    data = base64.b64encode(_svg(name, groups)).decode()
    source = f"data:image/svg+xml;base64,{data}"
    return f'<img alt="{escape(title)}; the table has the numbers" src="{source}">\n'


def _svg(name: str, groups: list[Mapping]) -> bytes:
    upright = name == "age"
    height = 2.9 if upright else 0.75 + 0.3 * len(groups)
    figure = drawn.sheet(8.2, height)
    axes = figure.add_subplot()
    names = [drawn.plain(group["group"]) for group in groups]
    places, start = range(len(groups)), [0] * len(groups)
    for key, word in WORDS.items():
        sizes = [group[key] for group in groups]
        if not any(sizes):
            continue
        if upright:
            axes.bar(places, sizes, bottom=start, color=COLOURS[key], label=word)
        else:
            axes.barh(places, sizes, left=start, color=COLOURS[key], label=word)
        start = [a + b for a, b in zip(start, sizes, strict=True)]
    if upright:
        axes.set_xticks(places, names)
        axes.set_ylabel("images")
    else:
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=len(WORDS), frameon=False)
    return drawn.svg(figure)
