/** The banner that says when the page can no longer be trusted to be current. */

function banner(): HTMLElement | null {
  return document.getElementById("connection");
}

export function lost(): void {
  const element = banner();
  if (element) element.hidden = false;
}

export function found(): void {
  const element = banner();
  if (element) element.hidden = true;
}
