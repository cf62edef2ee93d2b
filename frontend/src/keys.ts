/** Shortcuts as data: what listens to a key is what the help dialog lists. */

export interface Shortcut {
  keys: string[]; // as KeyboardEvent.key, letters in lower case; "Shift+" before
  action: string;
  words: string;
}

export type Actions = Record<string, () => void>;

const NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  " ": "Space",
};

/** The key as people read it on their keyboard. */
export function nameOf(key: string): string {
  const shifted = key.startsWith("Shift+");
  const plain = shifted ? key.slice(6) : key;
  const name = NAMES[plain] ?? (plain.length === 1 ? plain.toUpperCase() : plain);
  return shifted ? `Shift ${name}` : name;
}

function keyOf(event: KeyboardEvent): string {
  if (event.key.length === 1) return event.key.toLowerCase();
  return event.shiftKey ? `Shift+${event.key}` : event.key;
}

/** Keys belong to whoever is being typed into, or to the control in focus. */
function taken(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target as HTMLElement;
  if (target.matches("textarea, select, [contenteditable]")) return true;
  if (target instanceof HTMLInputElement) {
    if (!["radio", "checkbox", "range"].includes(target.type)) return true;
    if (event.key === " ") return true;
    return target.type === "range" && event.key.startsWith("Arrow");
  }
  return target.matches("a, button, summary") && ["Enter", " "].includes(event.key);
}

/** Run the action of a shortcut whenever one of its keys is pressed. */
export function listen(shortcuts: Shortcut[], actions: Actions): void {
  const byKey = new Map<string, Shortcut>();
  for (const shortcut of shortcuts) {
    for (const key of shortcut.keys) byKey.set(key, shortcut);
  }
  document.addEventListener("keydown", (event) => {
    const shortcut = byKey.get(keyOf(event));
    if (!shortcut || taken(event)) return;
    if (event.repeat && event.key === "Enter") return; // held since the page before
    event.preventDefault();
    actions[shortcut.action]?.();
  });
}

/** Let every [data-action] button do what its shortcut does. */
export function bindButtons(actions: Actions): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-action]");
    if (button?.dataset.action) actions[button.dataset.action]?.();
  });
}
