/** The boxes of the verdict being given, in frame pixels of their instance. */

export interface Box {
  instance: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Size {
  columns: number;
  rows: number;
}

const SMALLEST = 4; // frame pixels a side

/** A list with one box in hand; whoever draws it subscribes. */
export class Boxes {
  all: Box[] = [];
  selected = -1;
  private readonly listeners: (() => void)[] = [];

  subscribe(listener: () => void): void {
    this.listeners.push(listener);
  }

  restore(all: Box[]): void {
    this.all = all;
    this.selected = all.length - 1;
    this.changed();
  }

  get current(): Box | undefined {
    return this.all[this.selected];
  }

  /** Keep a box, cut to its frame; one too small to mean anything is dropped. */
  add(box: Box, frame: Size): void {
    const cut = within(box, frame);
    if (cut.width < SMALLEST || cut.height < SMALLEST) return;
    this.all.push(cut);
    this.selected = this.all.length - 1;
    this.changed();
  }

  /** Move and grow the box in hand, within its frame. */
  nudge(by: Partial<Omit<Box, "instance">>, frame: Size): void {
    const box = this.current;
    if (!box) return;
    const width = clamp(box.width + (by.width ?? 0), SMALLEST, frame.columns);
    const height = clamp(box.height + (by.height ?? 0), SMALLEST, frame.rows);
    const x = clamp(box.x + (by.x ?? 0), 0, frame.columns - width);
    const y = clamp(box.y + (by.y ?? 0), 0, frame.rows - height);
    Object.assign(box, { x, y, width, height });
    this.changed();
  }

  remove(index: number = this.selected): void {
    if (!this.all[index]) return;
    this.all.splice(index, 1);
    this.selected = this.all.length - 1;
    this.changed();
  }

  select(index: number): void {
    this.selected = index;
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function within(box: Box, { columns, rows }: Size): Box {
  const x = clamp(box.x, 0, columns);
  const y = clamp(box.y, 0, rows);
  return {
    instance: box.instance,
    x,
    y,
    width: clamp(box.x + box.width, 0, columns) - x,
    height: clamp(box.y + box.height, 0, rows) - y,
  };
}
