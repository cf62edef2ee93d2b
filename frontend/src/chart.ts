/** Charts: whatever `_chart.html` holds as JSON, drawn above the table of its numbers. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

interface Drawn {
  title: string;
  xLabel: string;
  scatter: boolean;
  time: boolean;
  labels: string[];
  data: (number | null)[][];
}

const COLOURS = ["#66c2d9", "#f2c66d", "#ff9a8d", "#8fd6a3"];
const QUIET = "#a3b3bf";
const GRID = "#2f3b45";
const HEIGHT = 260;

function axis(label?: string): uPlot.Axis {
  const lines = { stroke: GRID, width: 1 };
  return { label, stroke: QUIET, grid: lines, ticks: lines };
}

function series(label: string, at: number, scatter: boolean): uPlot.Series {
  const stroke = COLOURS[at % COLOURS.length]!;
  if (!scatter) return { label, stroke, width: 2, spanGaps: true };
  const points = { show: true, size: 7, fill: stroke };
  return { label, stroke, paths: () => null, points };
}

function draw(figure: HTMLElement): void {
  const area = figure.querySelector<HTMLElement>(".chart-area")!;
  const drawn = JSON.parse(figure.querySelector("script")!.textContent!) as Drawn;
  const options: uPlot.Options = {
    width: area.clientWidth,
    height: HEIGHT,
    scales: { x: { time: drawn.time } },
    axes: [axis(drawn.xLabel), axis()],
    series: [
      { label: drawn.xLabel },
      ...drawn.labels.map((label, at) => series(label, at, drawn.scatter)),
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
