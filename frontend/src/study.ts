/** The study page: viewer, verdict form, and what changes while it is open. */

import htmx from "htmx.org";

import { type Box, Boxes } from "./boxes";
import { found, lost } from "./connection";
import { DraftStore } from "./draft";
import { offerHelp } from "./help";
import { type Actions, bindButtons, listen, type Shortcut } from "./keys";
import type { Study } from "./shape";
import { SHORTCUTS } from "./shortcuts";
import { type Tool, Viewer } from "./viewer";

const EVERY = 1000; // milliseconds between two looks at the study
const ACROSS = 4; // frame pixels that an arrow moves a box, at full zoom

class StudyPage {
  private opened: Study;
  private text: string;
  private etag = "";
  private looking = false;
  private recorded = false;
  private readonly drafts: DraftStore;
  private readonly boxes = new Boxes();
  private readonly viewer: Viewer;

  constructor(private readonly page: HTMLElement) {
    const data = document.getElementById("study-data")?.textContent ?? "";
    this.opened = JSON.parse(data) as Study;
    this.text = JSON.stringify(this.opened);
    this.drafts = new DraftStore(page.dataset.user ?? "", this.opened.pk);
    const host = page.querySelector<HTMLElement>("#panes") as HTMLElement;
    this.viewer = new Viewer(host, this.boxes, () => this.showState());
    this.boxes.subscribe(() => this.fillForm());
  }

  async start(): Promise<void> {
    const actions = this.actions();
    listen(SHORTCUTS as Shortcut[], actions);
    bindButtons(actions);
    this.page.addEventListener("keydown", (event) => this.leaveComment(event));
    this.page.querySelector("#opacity")?.addEventListener("input", (event) => {
      const { value } = event.target as HTMLInputElement;
      this.viewer.fade(Number(value) / 100 - this.viewer.opacity);
    });
    this.page.addEventListener("htmx:configRequest", () => this.fillForm());
    this.page.addEventListener("htmx:afterSwap", () => this.fillForm());
    this.page.addEventListener("htmx:beforeOnLoad", (event) => this.noteRecorded(event));
    window.addEventListener("pagehide", () => this.keepDraft());
    const reload = this.page.querySelector("#newer button");
    reload?.addEventListener("click", () => location.reload());
    setInterval(() => void this.look(), EVERY);
    await this.viewer.update(this.opened.images, this.settledBoxes());
    this.restoreDraft();
    this.showState();
  }

  private actions(): Actions {
    const { viewer, boxes } = this;
    const boxing = (): boolean => viewer.tool === "box" && boxes.current !== undefined;
    const arrow = (x: number, y: number, otherwise: () => void) => (): void =>
      boxing() ? this.nudge({ x, y }) : otherwise();
    const grow = (width: number, height: number) => (): void =>
      boxing() ? this.nudge({ width, height }) : viewer.pan(width, height);
    const actions: Actions = {
      "verdict-fracture": () => this.choose("fracture"),
      "verdict-no_fracture": () => this.choose("no_fracture"),
      "verdict-unsure": () => this.choose("unsure"),
      submit: () => this.form?.requestSubmit(),
      skip: () => document.querySelector<HTMLElement>("#skip")?.click(),
      comment: () => document.querySelector<HTMLElement>("#comment")?.focus(),
      worklist: () => location.assign("/"),
      left: arrow(-1, 0, () => void viewer.step(-1)),
      right: arrow(1, 0, () => void viewer.step(1)),
      up: arrow(0, -1, () => viewer.window(-1, 0)),
      down: arrow(0, 1, () => viewer.window(1, 0)),
      "grow-left": grow(-1, 0),
      "grow-right": grow(1, 0),
      "grow-up": grow(0, -1),
      "grow-down": grow(0, 1),
      previous: () => void viewer.step(-1),
      next: () => void viewer.step(1),
      "next-pane": () => viewer.nextPane(),
      "contrast-more": () => viewer.window(0, -1),
      "contrast-less": () => viewer.window(0, 1),
      "zoom-in": () => viewer.zoom(1),
      "zoom-out": () => viewer.zoom(-1),
      invert: () => viewer.invert(),
      rotate: () => viewer.rotate(),
      flip: () => viewer.flip(),
      reset: () => viewer.reset(),
      "overlay-toggle": () => viewer.explain(viewer.method ? null : viewer.last),
      "overlay-off": () => viewer.explain(null),
      "overlay-lrp": () => viewer.explain("lrp"),
      "overlay-gradcam": () => viewer.explain("gradcam"),
      "opacity-less": () => viewer.fade(-0.1),
      "opacity-more": () => viewer.fade(0.1),
      "box-place": () => viewer.tool === "box" && viewer.pane?.placeBox(),
      "box-remove": () => boxes.remove(),
      help: offerHelp(SHORTCUTS),
    };
    for (const tool of ["window", "pan", "zoom", "box"] as Tool[]) {
      actions[`tool-${tool}`] = () => viewer.choose(tool);
    }
    for (const count of [1, 2, 3, 4]) {
      actions[`layout-${count}`] = () => void viewer.arrange(count);
    }
    return actions;
  }

  private get form(): HTMLFormElement | null {
    return document.querySelector<HTMLFormElement>("#verdict-form");
  }

  private choose(verdict: string): void {
    const radio = this.form?.querySelector<HTMLInputElement>(`input[value="${verdict}"]`);
    radio?.click();
    radio?.focus();
  }

  private nudge(by: Partial<Box>): void {
    const size = this.viewer.pane?.size;
    if (!size) return;
    const step = Math.max(1, Math.round((size.columns / 1000) * ACROSS));
    const scaled = Object.entries(by).map(([key, value]) => [key, value * step]);
    this.boxes.nudge(Object.fromEntries(scaled), size);
  }

  private leaveComment(event: KeyboardEvent): void {
    if (!(event.target as Element).matches("textarea")) return;
    if (event.key === "Escape") (event.target as HTMLElement).blur();
    if (event.key === "Enter" && event.ctrlKey) this.form?.requestSubmit();
  }

  // --- What the page shows of the viewer -----------------------------------------

  private showState(): void {
    const { viewer } = this;
    if (!viewer) return; // the viewer is still being made
    const pressed = new Set([
      `tool-${viewer.tool}`,
      `layout-${viewer.layout}`,
      `overlay-${viewer.method ?? "off"}`,
    ]);
    for (const button of this.page.querySelectorAll<HTMLElement>("[aria-pressed]")) {
      button.setAttribute("aria-pressed", String(pressed.has(button.dataset.action ?? "")));
    }
    const slider = this.page.querySelector<HTMLInputElement>("#opacity");
    if (slider) slider.value = String(Math.round(viewer.opacity * 100));
    const legend = this.page.querySelector<HTMLElement>("#legend");
    if (legend) legend.dataset.method = viewer.method ?? "off";
    this.fillForm();
  }

  private fillForm(): void {
    const form = this.form;
    if (!form) return;
    const set = (name: string, value: string): void => {
      const input = form.querySelector<HTMLInputElement>(`input[name=${name}]`);
      if (input) input.value = value;
    };
    set("boxes", JSON.stringify(this.boxes.all.map(rounded)));
    set("overlay_shown", String(this.viewer.overlaySeen));
    const note = form.querySelector("#box-note");
    if (note) note.textContent = this.boxNote();
    const remove = form.querySelector<HTMLButtonElement>("[data-action=box-remove]");
    if (remove) remove.hidden = this.boxes.all.length === 0;
  }

  private boxNote(): string {
    const count = this.boxes.all.length;
    if (!count) return "No box drawn (B).";
    return count === 1 ? "1 box drawn." : `${count} boxes drawn.`;
  }

  private settledBoxes(): Box[] {
    return this.opened.reviews[0]?.boxes ?? [];
  }

  // --- What changes meanwhile ----------------------------------------------------

  private async look(): Promise<void> {
    if (this.looking) return; // a slow answer is not asked for twice
    this.looking = true;
    try {
      const headers: HeadersInit = this.etag ? { "If-None-Match": this.etag } : {};
      const answer = await fetch(this.page.dataset.api ?? "", { headers });
      if (answer.status === 403) location.reload(); // signed out meanwhile
      if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
      found();
      if (answer.status === 304) return;
      this.etag = answer.headers.get("ETag") ?? "";
      const now = (await answer.json()) as Study;
      const text = JSON.stringify(now);
      if (text === this.text) return;
      this.text = text;
      await this.take(now);
    } catch {
      lost();
    } finally {
      this.looking = false;
    }
  }

  private async take(now: Study): Promise<void> {
    const before = this.opened;
    const newer = whatCame(before, now);
    if (newer) {
      this.announce(newer);
      return;
    }
    this.opened = now;
    await this.viewer.update(now.images, this.settledBoxes());
    await this.fetchPart("reading", "#reading");
    if (!before.prediction && now.prediction) await this.fetchPart("form", "#judging");
    else if (before.disputed !== now.disputed) await this.fetchPart("form", "#adjudicate");
    this.showState();
  }

  private async fetchPart(name: string, target: string): Promise<void> {
    const element = this.page.querySelector(target);
    if (!element) return;
    const url = `${this.page.dataset.url}${name}/`;
    await htmx.ajax("get", url, { target, select: target, swap: "morph:outerHTML" });
  }

  private announce(words: string): void {
    const banner = this.page.querySelector<HTMLElement>("#newer");
    if (!banner) return;
    const line = banner.querySelector("p");
    if (line) line.textContent = words;
    banner.hidden = false;
  }

  // --- A verdict begun is not lost, however the page is left -----------------------

  private noteRecorded(event: Event): void {
    const { elt, xhr } = (event as CustomEvent<{ elt: Element; xhr: XMLHttpRequest }>).detail;
    this.recorded ||= elt === this.form && Boolean(xhr.getResponseHeader("HX-Redirect"));
  }

  private keepDraft(): void {
    if (this.recorded) return this.drafts.forget();
    if (!this.form) return; // what was kept before may still be asked for
    const data = new FormData(this.form);
    this.drafts.keep({
      verdict: String(data.get("verdict") ?? ""),
      comment: String(data.get("comment") ?? ""),
      boxes: this.boxes.all,
    });
  }

  private restoreDraft(): void {
    const draft = this.drafts.kept();
    const comment = document.querySelector<HTMLTextAreaElement>("#comment");
    if (!draft || !comment) return;
    comment.value = draft.comment;
    if (draft.verdict) this.choose(draft.verdict);
    this.boxes.restore(draft.boxes);
  }
}

function rounded(box: Box): Box {
  const shape = Object.entries(box).map(([key, value]) => [key, Math.round(value * 10) / 10]);
  return Object.fromEntries(shape) as Box;
}

/** What came after the page was opened and makes it out of date; "" for nothing. */
function whatCame(before: Study, now: Study): string {
  if (now.revision > before.revision) {
    const count = now.images.filter((image) => image.revision > before.revision).length;
    if (count === 0) return "This study changed after you opened it.";
    const images = count === 1 ? "1 image" : `${count} images`;
    return `${images} came after you opened this.`;
  }
  if (before.prediction && now.prediction && before.prediction.pk !== now.prediction.pk) {
    return `The study was read again, by ${now.prediction.model}, after you opened this.`;
  }
  return "";
}

export async function startStudy(page: HTMLElement): Promise<void> {
  await new StudyPage(page).start();
}
