/** The help dialog: the shortcuts of this page, from the table that obeys them. */

import { nameOf, type Shortcut } from "./keys";

function row(shortcut: Shortcut): HTMLTableRowElement {
  const line = document.createElement("tr");
  const keys = line.appendChild(document.createElement("th"));
  keys.scope = "row";
  for (const key of shortcut.keys) {
    keys.appendChild(document.createElement("kbd")).textContent = nameOf(key);
  }
  line.appendChild(document.createElement("td")).textContent = shortcut.words;
  return line;
}

/** Fill the dialog; the function that opens it is given back. */
export function offerHelp(shortcuts: Shortcut[]): () => void {
  const dialog = document.querySelector<HTMLDialogElement>("#help");
  const body = dialog?.querySelector("tbody");
  if (!dialog || !body) return () => undefined;
  body.replaceChildren(...shortcuts.map(row));
  const open = (): void => {
    if (!dialog.open) dialog.showModal();
  };
  document.querySelector("#help-button")?.addEventListener("click", open);
  return open;
}
