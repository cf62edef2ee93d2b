/** Charts: whatever `_chart.html` holds as JSON, drawn above the table of its numbers. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

interface Drawn {
  title: string;
  xLabel: string;
  scatter: boolean;
  time: boolean;
  through: string[];
  labels: string[];
  data: (number | null)[][];
}

const COLOURS = ["#66c2d9", "#f2c66d", "#ff9a8d", "#8fd6a3", "#c7a3f0", "#e3e3e3"];
const QUIET = "#a3b3bf";
const GRID = "#2f3b45";
const HEIGHT = 260;
const DAY = 86400;
const DAYS = [1, 2, 7, 14, 28, 91, 182].map((days) => days * DAY);
const NOTHING = "Nothing to draw yet.";
const isoDay = uPlot.fmtDate("{YYYY}-{MM}-{DD}");
/** Days are those of the table, wherever the browser is (clinic.charts.noon). */
const inUtc = (seconds: number): Date => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

function axis(label?: string): uPlot.Axis {
  const lines = { stroke: GRID, width: 1 };
  return { label, stroke: QUIET, grid: lines, ticks: lines };
}

function series(label: string, at: number, drawn: Drawn): uPlot.Series {
  const stroke = COLOURS[at % COLOURS.length]!;
  const dash = at < COLOURS.length ? [] : [8, 5]; // the colours come a second time
  const line = { label, stroke, dash, width: 2, spanGaps: true };
  if (!drawn.scatter) return line;
  if (drawn.through.includes(label)) return { ...line, points: { show: false } };
  const points = { show: true, size: 7, fill: stroke };
  return { label, stroke, paths: () => null, points };
}

/** A lone point stands in the middle of a day or a step; uPlot puts it before years. */
function across(drawn: Drawn): uPlot.Scale {
  const unit = drawn.time ? DAY : 1;
  const lone = drawn.data[0]!.length === 1;
  const range: uPlot.Range.Function = (_, low, high) =>
    lone || low === high ? [low - unit, low + unit] : [low, high];
  return { time: drawn.time, range };
}

/** Epochs and trials are counted in whole ones, time in whole days. */
function steps(drawn: Drawn): Partial<uPlot.Axis> {
  const values: uPlot.Axis.DynamicValues = (_, at) => at.map((x) => isoDay(inUtc(x)));
  if (drawn.time) return { incrs: DAYS, space: 90, values };
  const counted = drawn.data[0]!.every((x) => Number.isInteger(x));
  return counted ? { incrs: WHOLE } : {};
}

function draw(figure: HTMLElement): void {
  const area = figure.querySelector<HTMLElement>(".chart-area")!;
  const drawn = JSON.parse(figure.querySelector("script")!.textContent!) as Drawn;
  if (!drawn.data[0]!.length) {
    area.textContent = NOTHING;
    return;
  }
  const options: uPlot.Options = {
    tzDate: inUtc,
    width: area.clientWidth,
    height: HEIGHT,
    scales: { x: across(drawn) },
    axes: [{ ...axis(drawn.xLabel), ...steps(drawn) }, axis()],
    series: [
      { label: drawn.xLabel },
      ...drawn.labels.map((label, at) => series(label, at, drawn)),
    ],
    legend: { live: false },
  };
  const plot = new uPlot(options, drawn.data as uPlot.AlignedData, area);
  new ResizeObserver(() => plot.setSize({ width: area.clientWidth, height: HEIGHT })).observe(area);
}

/** Draw every chart below `root` that is not drawn yet. */
export function drawCharts(root: ParentNode): void {
  for (const figure of root.querySelectorAll<HTMLElement>("[data-chart]:not([data-drawn])")) {
    figure.dataset.drawn = "";
    draw(figure);
  }
}

/** Numbers that somebody has opened stay open when newer charts take their place. */
export function keepNumbersOpen(): void {
  let open: string[] = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = (event as CustomEvent<{ target: HTMLElement }>).detail;
    open = [...target.querySelectorAll("details[open][id]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
}
