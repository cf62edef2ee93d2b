/** The viewer: up to four panes side by side, one of them active, one tool in hand. */

import { init as startCore, RenderingEngine } from "@cornerstonejs/core";
import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import {
  addTool,
  Enums,
  init as startTools,
  PanTool,
  ToolGroupManager,
  type Types,
  WindowLevelTool,
  ZoomTool,
} from "@cornerstonejs/tools";

import type { Box, Boxes } from "./boxes";
import { Pane } from "./pane";
import type { Method, StudyImage } from "./shape";

export type Tool = "window" | "pan" | "zoom" | "box";

const { MouseBindings, KeyboardBindings } = Enums;
const GROUP = "viewer";
const NAMES: Record<Exclude<Tool, "box">, string> = {
  window: WindowLevelTool.toolName,
  pan: PanTool.toolName,
  zoom: ZoomTool.toolName,
};
/** What works whichever tool is in hand. */
const ALWAYS: Record<Exclude<Tool, "box">, Types.IToolBinding[]> = {
  window: [],
  pan: [
    { mouseButton: MouseBindings.Auxiliary },
    { mouseButton: MouseBindings.Primary, modifierKey: KeyboardBindings.Shift },
  ],
  zoom: [{ mouseButton: MouseBindings.Secondary }, { mouseButton: MouseBindings.Wheel }],
};
const ZOOM_STEP = 1.25;
const PAN_STEP = 40; // CSS pixels
const WINDOW_STEP = 0.1; // of the window's width

export class Viewer {
  images: StudyImage[] = [];
  layout = 1;
  tool: Tool = "window";
  method: Method | null = null;
  last: Method = "lrp";
  opacity = 0.6;
  overlaySeen = false;
  private panes: Pane[] = [];
  private active = 0;
  private settled: Box[] = [];
  private readonly engine: RenderingEngine;

  constructor(
    private readonly host: HTMLElement,
    readonly boxes: Boxes,
    private readonly changed: () => void,
  ) {
    startCore();
    startTools();
    dicomImageLoader.init();
    for (const tool of [WindowLevelTool, PanTool, ZoomTool]) addTool(tool);
    const group = ToolGroupManager.createToolGroup(GROUP);
    for (const name of Object.values(NAMES)) group?.addTool(name);
    this.engine = new RenderingEngine("osteon");
    boxes.subscribe(() => this.replace());
    this.choose("window");
    new ResizeObserver(() => this.fit()).observe(host);
  }

  get pane(): Pane | undefined {
    return this.panes[this.active];
  }

  /** Show what the study has; panes keep their image unless it has gone. */
  async update(images: StudyImage[], settled: Box[]): Promise<void> {
    const before = this.images.map((image) => image.pk).join();
    this.images = images.filter((image) => image.shown);
    this.settled = settled;
    if (before !== this.images.map((image) => image.pk).join()) {
      await this.arrange(this.images.length > 1 ? 2 : 1);
      return;
    }
    for (const pane of this.panes) this.refresh(pane);
    this.replace();
  }

  async arrange(layout: number): Promise<void> {
    this.layout = layout;
    const from = layout === 1 ? (this.pane?.index ?? 0) : 0;
    while (this.panes.length > layout) this.panes.pop()?.close();
    this.host.dataset.layout = String(layout);
    while (this.panes.length < layout) this.open();
    this.activate(Math.min(this.active, layout - 1));
    this.engine.resize(true, false);
    await Promise.all(this.panes.map((pane, i) => this.showIn(pane, from + i)));
  }

  async step(by: number): Promise<void> {
    const { pane, images } = this;
    if (!pane || images.length < 2) return;
    await this.showIn(pane, (pane.index + by + images.length) % images.length);
  }

  nextPane(): void {
    this.activate((this.active + 1) % this.panes.length);
    this.pane?.element.focus();
  }

  /** Take a tool in hand: it is what dragging with the left button does. */
  choose(tool: Tool): void {
    this.tool = tool;
    this.host.classList.toggle("boxing", tool === "box");
    const group = ToolGroupManager.getToolGroup(GROUP);
    for (const [key, name] of Object.entries(NAMES)) {
      const bindings = [...ALWAYS[key as keyof typeof ALWAYS]];
      if (key === tool) bindings.push({ mouseButton: MouseBindings.Primary });
      group?.setToolPassive(name, { removeAllBindings: true });
      if (bindings.length) group?.setToolActive(name, { bindings });
    }
    this.changed();
  }

  explain(method: Method | null): void {
    this.method = method;
    if (method) this.last = method;
    this.replace();
    this.changed();
  }

  fade(by: number): void {
    this.opacity = Math.min(1, Math.max(0.1, Math.round((this.opacity + by) * 10) / 10));
    this.replace();
    this.changed();
  }

  invert(): void {
    const { viewport } = this.pane ?? {};
    viewport?.setProperties({ invert: !viewport.getProperties().invert });
    viewport?.render();
  }

  /** A quarter turn clockwise. */
  rotate(): void {
    const { viewport } = this.pane ?? {};
    const { rotation = 0 } = viewport?.getViewPresentation() ?? {};
    viewport?.setViewPresentation({ rotation: (rotation + 90) % 360 });
    viewport?.render();
  }

  /** Left becomes right. */
  flip(): void {
    const { viewport } = this.pane ?? {};
    viewport?.setCamera({ flipHorizontal: !viewport.getCamera().flipHorizontal });
    viewport?.render();
  }

  reset(): void {
    const { pane } = this;
    if (pane?.image) void this.showIn(pane, pane.index);
  }

  zoom(by: 1 | -1): void {
    const { viewport } = this.pane ?? {};
    viewport?.setZoom(viewport.getZoom() * ZOOM_STEP ** by);
    viewport?.render();
  }

  pan(x: number, y: number): void {
    const { viewport } = this.pane ?? {};
    const [nowX, nowY] = viewport?.getPan() ?? [0, 0];
    viewport?.setPan([nowX + x * PAN_STEP, nowY + y * PAN_STEP]);
    viewport?.render();
  }

  /** Move the window by `level` and widen it by `width`, in tenths of its width. */
  window(level: number, width: number): void {
    const { viewport } = this.pane ?? {};
    const range = viewport?.getProperties().voiRange;
    if (!viewport || !range) return;
    const step = (range.upper - range.lower) * WINDOW_STEP;
    const lower = range.lower + step * (level - width / 2);
    const upper = range.upper + step * (level + width / 2);
    viewport.setProperties({ voiRange: { lower, upper } });
    viewport.render();
  }

  private open(): void {
    const number = this.panes.length;
    const pane = new Pane(this.host, this.engine, this.boxes, number + 1);
    pane.element.addEventListener("pointerdown", () => this.activate(number), true);
    pane.element.addEventListener("focus", () => this.activate(number));
    ToolGroupManager.getToolGroup(GROUP)?.addViewport(pane.id, this.engine.id);
    this.panes.push(pane);
  }

  private activate(number: number): void {
    this.active = number;
    this.panes.forEach((pane, i) => pane.element.classList.toggle("active", i === number));
    this.changed();
  }

  private async showIn(pane: Pane, index: number): Promise<void> {
    const image = this.images[index];
    if (!image) {
      pane.say("No further image.");
      return;
    }
    pane.settled = this.settled;
    await pane.show(image, index, this.images.length);
    this.explainIn(pane);
    this.changed();
  }

  private refresh(pane: Pane): void {
    const image = this.images[pane.index];
    if (!image || !pane.image) return;
    pane.image = image;
    pane.settled = this.settled;
    pane.describe(this.images.length);
  }

  private replace(): void {
    for (const pane of this.panes) this.explainIn(pane);
  }

  private explainIn(pane: Pane): void {
    pane.explain(this.method, this.opacity);
    this.overlaySeen ||= pane.explained;
  }

  private fit(): void {
    if (this.panes.length) this.engine.resize(true, true);
  }
}
