"""A search as a document: Markdown with its figures as SVG, to be kept or printed."""

from collections.abc import Mapping
from pathlib import Path

from clinic import progress, search, standings
from clinic.charts import Chart
from clinic.models import Job
from search.drawn import plain, sheet, svg

DOCUMENT = "report.md"
MARKS = ("o", "s", "^", "D")


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
    sections += ["## The best architecture", words + f"`{best.architecture}`"]
    sections += ["## Figures"]
    sections += [f"![{chart.title}]({chart.key}.svg)" for chart in charts]
    sections += ["## Every trial", standings.trials(job)]
    document = folder / DOCUMENT
    document.write_text("\n\n".join(sections) + "\n")
    return document


def _asked(job: Job) -> dict[str, object]:
    said, terms = job.parameters, job.parameters["evaluation"]
    names = ("strategy", "budget", "hours", "finals", "workers", "size", "most")
    told = {name: said.get(name) for name in names} | {"seed": job.seed}
    told["parent"] = f"{job.parent.name} {job.parent.brief}"
    paths = ("images", "supernet", "patches")  # of the machine it ran on
    known = {n: Path(v).name if n in paths and v else v for n, v in terms.items()}
    return {name: value for name, value in (told | known).items() if value}


def _bullets(told: Mapping[str, object]) -> str:
    return "\n".join(f"* {name.replace('_', ' ')}: {told[name]}" for name in told)


def _draw(chart: Chart, path: Path, score: str) -> None:
    figure = sheet(7, 3.6)
    axes = figure.add_subplot(xlabel=chart.x_label, ylabel=score)
    axes.set_title(chart.title)
    for place, (label, values) in enumerate(chart.lines.items()):
        points = [(x, y) for x, y in zip(chart.x, values) if y is not None]
        if not points:
            continue
        named = {"label": plain(label), "gid": f"line-{place}"}
        if label in chart.through:
            axes.plot(*zip(*points), drawstyle="steps-post", **named)
        else:
            mark = MARKS[place % len(MARKS)]
            axes.scatter(*zip(*points), s=18, marker=mark, **named)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    path.write_bytes(svg(figure))
