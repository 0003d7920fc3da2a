// What has just happened: carts held, orders, sales that were lost, SKUs that sold out, as they are published.
//
// In: the stream of events. Out: a short list, the newest first. Always: at most ROWS_MAX rows, shown once in SHOW_MS
// however many come; it can be stopped, so that a row can be read.

import { clock, h, number, orderLink, put, section, skuLink, table } from "./dom.js";
import { follow } from "./live.js";

const ROWS_MAX = 12;
const SHOW_MS = 500;
const WORDS = {
  held: "held",
  extended: "held for longer",
  confirmed: "ordered",
  released: "given back",
  expired: "not bought in time",
  cancelled: "cancelled",
  oversold: "paid too late: the stock is gone",
  fulfilled: "handed over",
  deficit: "lost its stock",
  changed: "changed",
  gap: "events are missing here",
};
const BAD = ["oversold", "deficit", "gap"];

export function happenings(root, shared) {
  const stop = new AbortController();
  const holder = h("div", {}, h("p", { class: "none" }, "Reading…"));
  const rows = [];
  let came = 0;
  let timer = 0;
  let held = false;
  const pause = h("button", { type: "button", class: "quiet", "aria-pressed": "false", hidden: true }, "Hold still");
  const show = () => {
    timer = 0;
    if (!held) put(holder, table("Events, the newest first", COLUMNS, rows, { quiet: true, empty: "Nothing has happened since this page was opened." }));
  };
  pause.addEventListener("click", () => {
    held = !held;
    pause.setAttribute("aria-pressed", String(held));
    pause.textContent = held ? "Go on" : "Hold still";
    show();
  });
  const take = (event) => {
    came += 1;
    rows.unshift(event);
    rows.length = Math.min(rows.length, ROWS_MAX);
    timer ||= setTimeout(show, SHOW_MS);
  };
  const said = (state) => {
    pause.hidden = state !== "open";
    if (state === "open") show();
    else if (!came) put(holder, h("p", { class: "hint" }, STATES[state] ?? state));
  };
  root.append(section("What happens", pause, holder));
  follow(shared, {}, take, said, stop.signal);
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}

const STATES = {
  waiting: "Looking whether events are published…",
  none: "Where publisher.enabled is set, each cart and order is shown here as it happens.",
};
const COLUMNS = [
  ["When", ({ at }) => (at ? clock(at) : "–")],
  ["What", what],
  ["Of", ({ reservation, sku, channel }) => (reservation ? [orderLink(reservation.order_ref ?? reservation.id)] : skuLink(sku, channel))],
  ["Units", ({ reservation, channel }) => (reservation ? reservation.lines.slice(0, 4).map((line, n) => [n ? ", " : "", `${number(line.quantity)} × `, skuLink(line.sku, channel)]) : "–")],
  ["Channel", ({ channel }) => channel ?? "–"],
];

function what(event) {
  if (event.kind === "availability") {
    const out = event.published === 0;
    return h("span", { class: out ? "badge badge-bad" : "badge badge-good" }, out ? "sold out" : `can be sold again: ${number(event.published)}`);
  }
  return h("span", { class: BAD.includes(event.kind) ? "badge badge-bad" : "badge" }, WORDS[event.kind] ?? event.kind);
}
