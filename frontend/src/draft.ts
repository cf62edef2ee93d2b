/** A verdict begun: kept in the tab while its page is away, until it is recorded. */

import type { Box } from "./boxes";

export interface Draft {
  verdict: string;
  comment: string;
  boxes: Box[];
}

const PREFIX = "draft-";
let leaving = false; // signing out: the page that goes away keeps nothing any more

/** Of one person on one study. */
export class DraftStore {
  private readonly key: string;

  constructor(user: string, study: number) {
    this.key = `${PREFIX}${user}-${study}`;
  }

  keep(draft: Draft): void {
    if (leaving) return;
    const empty = !draft.verdict && !draft.comment && !draft.boxes.length;
    if (empty) this.forget();
    else sessionStorage.setItem(this.key, JSON.stringify(draft));
  }

  kept(): Draft | null {
    const text = sessionStorage.getItem(this.key);
    return text ? (JSON.parse(text) as Draft) : null;
  }

  forget(): void {
    sessionStorage.removeItem(this.key);
  }
}

/** Who signs out leaves nothing behind; whose session ended finds it again. */
export function forgetDraftsAtSignOut(): void {
  document.querySelector("[data-sign-out]")?.addEventListener("submit", () => {
    leaving = true;
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
    }
  });
}
