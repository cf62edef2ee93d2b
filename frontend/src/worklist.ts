/** Keys of the worklist. The list itself is the server's; htmx keeps it current. */

import { offerHelp } from "./help";
import { listen, type Shortcut } from "./keys";

const SHORTCUTS: Shortcut[] = [
  { keys: ["/"], action: "search", words: "Search by patient, accession number or date" },
  { keys: ["j", "ArrowDown"], action: "down", words: "Next study of the list" },
  { keys: ["k", "ArrowUp"], action: "up", words: "Previous study of the list" },
  { keys: ["Enter"], action: "first", words: "Open the study in focus, or the first" },
  { keys: ["."], action: "later", words: "Next page" },
  { keys: [","], action: "earlier", words: "Previous page" },
  { keys: ["?"], action: "help", words: "This help" },
];

function links(): HTMLAnchorElement[] {
  return [...document.querySelectorAll<HTMLAnchorElement>("a.open-study")];
}

function step(by: number): void {
  const all = links();
  const now = all.indexOf(document.activeElement as HTMLAnchorElement);
  all[Math.min(all.length - 1, Math.max(0, now + by))]?.focus();
}

function follow(selector: string): void {
  document.querySelector<HTMLAnchorElement>(selector)?.click();
}

export function startWorklist(): void {
  listen(SHORTCUTS, {
    search: () => document.querySelector<HTMLInputElement>("#words")?.select(),
    down: () => step(1),
    up: () => step(-1),
    first: () => links()[0]?.click(),
    later: () => follow("a[rel=next]"),
    earlier: () => follow("a[rel=prev]"),
    help: offerHelp(SHORTCUTS),
  });
}
