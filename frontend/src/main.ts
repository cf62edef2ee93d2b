/** What every page loads; the viewer comes only where a study is shown. */

import htmx from "htmx.org";
import "idiomorph/htmx";

import "./style.css";
import "./study.css";
import { lost, found } from "./connection";
import { forgetDraftsAtSignOut } from "./draft";
import { offerHelp } from "./help";
import { startWorklist } from "./worklist";

htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
// Pages hold patients' names: none is kept in the browser, "back" asks for it anew.
htmx.config.historyCacheSize = 0;
htmx.config.refreshOnHistoryMiss = true;
htmx.config.responseHandling = [
  { code: "204", swap: false },
  { code: "[23]..", swap: true },
  { code: "422", swap: true }, // a refusal, in the form that it is about
  { code: "...", swap: false, error: true },
];

document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:responseError", lost);
document.addEventListener("htmx:afterOnLoad", found);
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail;
  if (new URL(xhr.responseURL).pathname.startsWith("/login")) {
    event.preventDefault();
    location.reload(); // signed out meanwhile: the whole page asks to sign in
  }
});

forgetDraftsAtSignOut();
const study = document.querySelector<HTMLElement>("[data-study]");
const worklist = document.querySelector<HTMLElement>("[data-worklist]");
if (study) {
  const { startStudy } = await import("./study");
  await startStudy(study);
} else if (worklist) {
  startWorklist();
} else {
  offerHelp([]);
}
if (document.querySelector("[data-chart]")) {
  const { drawCharts, keepNumbersOpen } = await import("./chart");
  drawCharts(document);
  keepNumbersOpen();
  document.addEventListener("htmx:load", () => drawCharts(document));
}
