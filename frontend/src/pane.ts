/** One viewport: the original image, the overlay registered on it, the boxes. */

import {
  Enums,
  imageLoader,
  type RenderingEngine,
  type Types,
  utilities,
} from "@cornerstonejs/core";

import { type Box, type Boxes, type Size } from "./boxes";
import { imageIdOf, NotHandedOut } from "./files";
import { lookOf } from "./greys";
import { type Affine, apply, frameToCanvas, invert, type Point } from "./registration";
import { METHODS, type Method, type StudyImage } from "./shape";

const SVG = "http://www.w3.org/2000/svg";
const UNDECODED = "This image cannot be shown here: its pixels could not be decoded.";
const FIRST_BOX = 0.12; // of the frame's shorter side, when placed by keyboard

function child<T extends HTMLElement>(parent: HTMLElement, tag: string, name: string): T {
  const element = document.createElement(tag) as T;
  element.className = name;
  parent.appendChild(element);
  return element;
}

export class Pane {
  readonly element: HTMLElement;
  readonly id: string;
  image: StudyImage | null = null;
  index = 0;
  settled: Box[] = [];
  private readonly screen: HTMLDivElement;
  private readonly overlay: HTMLImageElement;
  private readonly svg: SVGSVGElement;
  private readonly title: HTMLElement;
  private readonly figures: HTMLElement;
  private readonly message: HTMLElement;
  private method: Method | null = null;
  private loads = 0; // only the latest may say how it went

  constructor(
    host: HTMLElement,
    private readonly engine: RenderingEngine,
    private readonly boxes: Boxes,
    number: number,
  ) {
    this.id = `pane-${number}`;
    this.element = child(host, "div", "pane");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "group");
    this.screen = child(this.element, "div", "screen");
    const type = Enums.ViewportType.STACK;
    engine.enableElement({ viewportId: this.id, type, element: this.screen });
    this.overlay = child(this.screen, "img", "overlay");
    this.overlay.alt = "";
    this.overlay.hidden = true;
    this.overlay.draggable = false;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "boxes");
    this.svg.setAttribute("aria-hidden", "true");
    this.screen.appendChild(this.svg);
    this.title = child(this.element, "p", "pane-title");
    this.figures = child(this.element, "p", "pane-figures");
    this.message = child(this.element, "p", "pane-message");
    this.screen.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.place());
    this.screen.addEventListener("contextmenu", (event) => event.preventDefault());
    this.listenForBoxes();
  }

  get viewport(): Types.IStackViewport {
    return this.engine.getViewport(this.id) as Types.IStackViewport;
  }

  get size(): Size | null {
    const image = this.image && this.viewport.getCornerstoneImage();
    return image ? { columns: image.columns, rows: image.rows } : null;
  }

  close(): void {
    this.engine.disableElement(this.id);
    this.element.remove();
  }

  /** Load and draw the original pixels of `image`, fitted to the pane. */
  async show(image: StudyImage, index: number, of: number): Promise<void> {
    const load = ++this.loads;
    this.image = image;
    this.index = index;
    this.element.dataset.instance = String(image.pk);
    delete this.element.dataset.ready;
    this.element.setAttribute("aria-label", `Image ${index + 1} of ${of}: ${image.label}`);
    this.say("Loading…");
    this.overlay.hidden = true;
    this.describe(of);
    try {
      const id = await imageIdOf(image.url);
      // setStack does not tell of a failure.
      const look = lookOf(await imageLoader.loadAndCacheImage(id));
      if (load !== this.loads) return;
      await this.viewport.setStack([id]);
      if (load !== this.loads) return;
      this.viewport.setProperties(look);
      this.viewport.render();
      this.say("");
      this.element.dataset.ready = "true";
    } catch (error) {
      const told = error instanceof NotHandedOut ? error.message : UNDECODED;
      if (load === this.loads) this.say(told);
    }
  }

  describe(of: number): void {
    const { image } = this;
    if (!image) return;
    const parts = [`${this.index + 1}/${of}`, image.label];
    if (image.score) parts.push(image.score);
    if (image.voted && of > 1) parts.push("decided the score");
    this.title.textContent = parts.join(" · ");
  }

  say(text: string): void {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  /** Lay the relevance map of `method` over the image; null takes it away. */
  explain(method: Method | null, opacity: number): void {
    this.method = method;
    const map = method && this.image?.overlays[method];
    this.overlay.hidden = !map;
    this.overlay.style.opacity = String(opacity);
    if (map && this.overlay.getAttribute("src") !== map.url) this.overlay.src = map.url;
    this.place();
  }

  get explained(): boolean {
    return !this.overlay.hidden;
  }

  /** Put overlay and boxes where the image now is. */
  place(): void {
    const { size } = this;
    const toCanvas = size && frameToCanvas(this.viewport, size.columns, size.rows);
    if (!size || !toCanvas) return;
    this.overlay.style.width = `${size.columns}px`;
    this.overlay.style.height = `${size.rows}px`;
    this.overlay.style.transform = `matrix(${toCanvas.join(",")})`;
    this.drawBoxes(toCanvas);
    this.writeFigures(toCanvas);
  }

  /** A box in the middle of what is seen, for those who do not use a mouse. */
  placeBox(): void {
    const { size, image } = this;
    const toCanvas = size && frameToCanvas(this.viewport, size.columns, size.rows);
    if (!size || !image || !toCanvas) return;
    const side = Math.round(Math.min(size.columns, size.rows) * FIRST_BOX);
    const { clientWidth, clientHeight } = this.screen;
    const middle = apply(invert(toCanvas), [clientWidth / 2, clientHeight / 2]);
    const [x, y] = [middle[0] - side / 2, middle[1] - side / 2];
    this.boxes.add({ instance: image.pk, x, y, width: side, height: side }, size);
  }

  private writeFigures(toCanvas: Affine): void {
    const range = this.viewport.getProperties().voiRange;
    const zoom = Math.hypot(toCanvas[0], toCanvas[1]) * devicePixelRatio;
    const parts = [`Zoom ${Math.round(zoom * 100)} %`];
    if (range) {
      const { windowWidth, windowCenter } = utilities.windowLevel.toWindowLevel(
        range.lower,
        range.upper,
      );
      parts.push(`W ${Math.round(windowWidth)} L ${Math.round(windowCenter)}`);
    }
    if (this.method && !this.explained) parts.push(`no ${METHODS[this.method]} map`);
    this.figures.textContent = parts.join(" · ");
  }

  private drawBoxes(toCanvas: Affine): void {
    const pk = this.image?.pk;
    const settled = this.settled.filter((box) => box.instance === pk);
    const mine = this.boxes.all.filter((box) => box.instance === pk);
    this.svg.replaceChildren(
      ...settled.map((box) => polygon(box, toCanvas, "settled")),
      ...mine.map((box) => {
        const drawn = polygon(box, toCanvas, "drawn");
        drawn.classList.toggle("selected", box === this.boxes.current);
        drawn.dataset.index = String(this.boxes.all.indexOf(box));
        return drawn;
      }),
    );
  }

  private listenForBoxes(): void {
    let start: Point | null = null;
    const at = (event: PointerEvent): Point | null => {
      const { size } = this;
      const toCanvas = size && frameToCanvas(this.viewport, size.columns, size.rows);
      const edge = this.svg.getBoundingClientRect();
      const point: Point = [event.clientX - edge.left, event.clientY - edge.top];
      return toCanvas ? apply(invert(toCanvas), point) : null;
    };
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const index = (event.target as SVGElement).dataset.index;
      if (index !== undefined) this.boxes.select(Number(index));
      else start = at(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      const end = start && at(event);
      if (start && end) this.sketch(this.between(start, end));
    });
    this.svg.addEventListener("pointerup", (event) => {
      const end = start && at(event);
      const { size } = this;
      if (start && end && size) this.boxes.add(this.between(start, end), size);
      start = null;
      this.place();
    });
  }

  private between(one: Point, other: Point): Box {
    return {
      instance: this.image?.pk ?? 0,
      x: Math.min(one[0], other[0]),
      y: Math.min(one[1], other[1]),
      width: Math.abs(one[0] - other[0]),
      height: Math.abs(one[1] - other[1]),
    };
  }

  private sketch(box: Box): void {
    this.place();
    const { size } = this;
    const toCanvas = size && frameToCanvas(this.viewport, size.columns, size.rows);
    if (toCanvas) this.svg.appendChild(polygon(box, toCanvas, "drawn selected"));
  }
}

function polygon(box: Box, toCanvas: Affine, name: string): SVGPolygonElement {
  const [right, bottom] = [box.x + box.width, box.y + box.height];
  const corners: Point[] = [
    [box.x, box.y],
    [right, box.y],
    [right, bottom],
    [box.x, bottom],
  ];
  const drawn = document.createElementNS(SVG, "polygon");
  drawn.setAttribute("class", name);
  drawn.setAttribute("points", corners.map((corner) => apply(toCanvas, corner)).join(" "));
  return drawn;
}
