"""A search as a document: Markdown with its figures as SVG, to be kept or printed."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from clinic import progress, standings
from clinic.charts import Chart
from clinic.models import Job

DOCUMENT = "report.md"
# The same search is the same file, whenever it is written.
STYLE = {"svg.hashsalt": "osteon", "svg.fonttype": "none", "font.size": 9}
MARKS = ("o", "s", "^", "D")


def write(job: Job, folder: Path) -> Path:
    """Leave DOCUMENT and its figures in `folder`. ValueError where no candidate has
    been judged yet."""
    rows = progress.rows(job)
    best = progress.best(rows)
    if best is None:
        raise ValueError(f"Search {job.pk} has judged no candidate yet.")
    folder.mkdir(parents=True, exist_ok=True)
    charts = progress.charts(job, rows)
    for chart in charts:
        _draw(chart, folder / f"{chart.key}.svg")
    sections = [
        f"# Search {job.pk}: {job.parameters['space']}",
        standings.headline(job),
    ]
    sections += ["## What was asked", _bullets(_asked(job))]
    if job.candidate:
        sections += ["## What came of it", standings.report(job)]
    words = f"Trial {best.trial.number}, {best.score:.3f} on validation: "
    sections += ["## The best architecture", words + f"`{best.trial.architecture}`"]
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
    paths = ("images", "supernet")  # of the machine it ran on
    known = {n: Path(v).name if n in paths and v else v for n, v in terms.items()}
    return {name: value for name, value in (told | known).items() if value}


def _bullets(told: Mapping[str, object]) -> str:
    return "\n".join(f"* {name.replace('_', ' ')}: {told[name]}" for name in told)


def _draw(chart: Chart, path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.add_subplot(xlabel=chart.x_label, ylabel="AUROC by study")
        axes.set_title(chart.title)
        for place, (label, values) in enumerate(chart.lines.items()):
            known = [(x, y) for x, y in zip(chart.x, values) if y is not None]
            if not known:
                continue
            if label in chart.through:
                axes.plot(*zip(*known), label=label, drawstyle="steps-post")
            else:
                mark = MARKS[place % len(MARKS)]
                axes.scatter(*zip(*known), s=18, marker=mark, label=label)
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, metadata={"Date": None})
