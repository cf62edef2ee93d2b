"""A search as a document: Markdown with its figures as SVG, to be kept or printed."""

import json
from collections.abc import Mapping
from pathlib import Path

from clinic import progress, search, standings
from clinic.charts import Chart
from clinic.models import Job
from clinic.terms import Terms
from search.drawn import literal, sheet, svg

DOCUMENT, CONFIG = "report.md", "net.config"
MARKS = ("o", "s", "^", "D")
PATHS = "images", "supernet", "patches"
ASKED = ("strategy", "budget", "hours", "finals", "workers", "seed", "size", "most")
ASKED += ("parent", "images", "digest", "supernet", "supernet_digest", "patches")
ASKED += ("patches_digest", "objective", "epochs", "final_epochs", "batch", "drawn")


def write(job: Job, folder: Path) -> Path:
    """Leave DOCUMENT and its figures in `folder`. ValueError where no candidate has
    been judged yet."""
    rows = progress.rows(job)
    best = search.best(row.trial for row in rows)
    if best is None:
        raise ValueError(f"Search {job.pk} has judged no candidate yet.")
    folder.mkdir(parents=True, exist_ok=True)
    charts = progress.charts(job, rows)
    for chart in charts:
        _draw(chart, folder / f"{chart.key}.svg", standings.scored(job))
    sections = [
        f"# Search {job.pk}: {job.parameters['space']}",
        standings.headline(job),
    ]
    sections += ["## What was asked", _bullets(_asked(job))]
    if job.candidate:
        sections += ["## What came of it", standings.report(job)]
    words = f"Trial {best.number}, {best.values[0]:.3f} on validation: "
    sections += [
        "## The best architecture",
        words + f"`{json.dumps(best.architecture)}`",
    ]
    if config := standings.net_config(job, best):
        (folder / CONFIG).write_text(config)
        sections += [f"The same as Once-For-All publishes it: [{CONFIG}]({CONFIG})."]
    sections += ["## Figures"]
    for chart in charts:
        sections.append(f"![{chart.title}]({chart.key}.svg)")
        sections += [chart.note] if chart.note else []
    sections += ["## Every trial", standings.trials(job)]
    document = folder / DOCUMENT
    document.write_text("\n\n".join(sections) + "\n")
    return document


def _asked(job: Job) -> dict[str, object]:
    terms = Terms.of(job).to_json()
    for path in PATHS:  # of the machine it ran on
        terms[path] = Path(terms[path]).name
    parent = f"{job.parent.name} {job.parent.brief}"
    told = {"seed": job.seed, "parent": parent} | job.parameters | terms
    return {name: told.get(name) for name in ASKED}


def _bullets(told: Mapping[str, object]) -> str:
    lines = []
    for name, value in told.items():
        if value in (None, "", {}, []):
            continue
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        lines.append(f"* {name.replace('_', ' ')}: {value}")
    return "\n".join(lines)


def _draw(chart: Chart, path: Path, score: str) -> None:
    figure = sheet(7, 3.6)
    axes = figure.add_subplot(xlabel=chart.x_label, ylabel=score)
    axes.set_title(chart.title)
    for place, (label, values) in enumerate(chart.lines.items()):
        points = [(x, y) for x, y in zip(chart.x, values) if y is not None]
        if not points:
            continue
        named = {"label": literal(label), "gid": f"line-{place}", "color": f"C{place}"}
        if label in chart.through:
            axes.plot(*zip(*points), drawstyle="steps-post", **named)
        else:
            mark = MARKS[place % len(MARKS)]
            axes.scatter(*zip(*points), s=18, marker=mark, **named)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    path.write_bytes(svg(figure))
