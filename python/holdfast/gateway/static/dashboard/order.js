// Orders and carts: one by its id or its order number, or those in one state.
//
// In: an id, or filters. Out: the view. Always: what is shown is what the gateway answers for that reservation; events
// are there where a publisher runs and the key may read them.

import { call } from "./api.js";
import { follow } from "./live.js";
import { clock, duration, h, number, orderLink, problem, put, section, skuLink, state, table, to } from "./dom.js";
import { list } from "./lists.js";

const STATES = ["held", "committed", "in_erp", "fulfilled", "released", "expired", "cancelled", "oversold"];
const STEPS = { held: "Held", committed: "Ordered", in_erp: "In the ERP", fulfilled: "Handed over" };
const REFRESH_MS = 3_000;
const EVENTS_MAX = 100;

export function order(root, { subject, query, shared }) {
  return subject ? one(root, subject, shared) : browse(root, query);
}

function one(root, name, shared) {
  const found = h("div", { class: "stack" }, h("p", { class: "none" }, "Reading…"));
  const under = h("div", { class: "stack" });
  root.append(found, under);
  root.parentNode.querySelector("h1").replaceChildren(name);
  const stop = new AbortController();
  let timer = 0;
  let ids = null;
  const refresh = async () => {
    clearTimeout(timer);
    try {
      if (!document.hidden) {
        const reservations = await look(name);
        put(found, reservations.length ? reservations.map(reservation) : h("p", { class: "none" }, "No cart, order or order number has this name. What ended long ago is forgotten."));
        if (ids === null && reservations.length) {
          ids = new Set(reservations.map((each) => each.id));
          live(under, ids, Math.max(...reservations.map((each) => each.sequence)), shared, stop.signal, refresh);
        }
      }
    } catch (error) {
      found.replaceChildren(problem(error));
    }
    if (!stop.signal.aborted) timer = setTimeout(refresh, REFRESH_MS);
  };
  refresh();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}

/** By its order number, else by its id. */
async function look(name) {
  const { items } = await call(`/v1/reservations?${new URLSearchParams({ order_ref: name, limit: 20 })}`);
  if (items.length) return items;
  try {
    return [await call(`/v1/reservations/${encodeURIComponent(name)}`)];
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

function reservation(found) {
  const left = found.expires_at ? new Date(found.expires_at) - Date.now() : null;
  return h(
    "section",
    { class: "card", "aria-label": `Reservation ${found.id}` },
    h("h2", {}, found.id, " ", state(found.state)),
    steps(found.state),
    h(
      "dl",
      {},
      entry("Channel", found.channel),
      entry("Order number", found.order_ref ?? "none yet"),
      found.state === "held" && left !== null ? entry("Ends", `${clock(found.expires_at)}, in ${duration(left)}`) : null,
      entry("Last change", `version ${number(found.version)}, fact at ${number(found.sequence)} of LOG`),
      found.superseded_by ? entry("Replaced by", orderLink(found.superseded_by)) : null,
      found.owner ? entry("Owner", h("code", {}, found.owner)) : null,
    ),
    table(`Lines of ${found.id}`, LINES(found.channel), found.lines.flatMap(rows), { quiet: true }),
  );
}

function entry(name, value) {
  return [h("dt", {}, name), h("dd", {}, value)];
}

function rows(line) {
  return [line, ...(line.components ?? []).map((part) => ({ ...part, part: true, quantity: part.open + part.fulfilled + part.cancelled }))];
}

/** Where it is on its way from the cart to the shopper; one that ended early says so. */
function steps(name) {
  const at = Object.keys(STEPS).indexOf(name);
  if (at < 0) return h("p", { class: "hint" }, `It ended: ${name.replace("_", " ")}.`);
  return h("ol", { class: "steps" }, Object.values(STEPS).map((words, n) => h("li", { class: n <= at ? "done" : null, "aria-current": n === at ? "step" : null }, words)));
}

const LINES = (channel) => [
  ["SKU", ({ sku, part }) => [part ? "└ " : "", skuLink(sku, channel)]],
  ["Units", ({ quantity }) => number(quantity), "n"],
  ["Open", ({ open }) => number(open), "n"],
  ["Handed over", ({ fulfilled }) => number(fulfilled), "n"],
  ["Given back", ({ cancelled }) => number(cancelled), "n"],
  ["Returned", ({ returned }) => number(returned), "n"],
  ["Uncovered", ({ deficit, unsourced }) => (deficit || unsourced ? h("span", { class: "badge badge-bad" }, [deficit ? `${number(deficit)} in deficit` : "", unsourced ? `${number(unsourced)} unsourced` : ""].filter(Boolean).join(", ")) : "none")],
  ["Where the units are", ({ allocations }) => (allocations ?? []).map(({ location: place, quantity, due, sku }) => `${number(quantity)} ${sku ? `× ${sku} ` : ""}at ${place}${due ? `, due ${due}` : ""}`).join("; ") || "–"],
];

/** Its events, where they are published: the last one, and each that comes. */
function live(root, ids, newest, shared, signal, refresh) {
  const rows = [];
  const holder = h("div", {}, h("p", { class: "none" }, "Waiting for its next event…"));
  root.append(section("Events", holder));
  const take = (event) => {
    if (!ids.has(event.reservation?.id)) return;
    rows.unshift(event);
    rows.length = Math.min(rows.length, EVENTS_MAX);
    put(holder, table("Events of this reservation, the newest first", EVENTS, rows, { quiet: true }));
    refresh();
  };
  const said = (state) => {
    if (!rows.length) put(holder, h("p", { class: "hint" }, STREAM[state] ?? state));
  };
  follow(shared, { after: String(Math.max(0, newest - 1)) }, take, said, signal);
}

const STREAM = {
  open: "Waiting for its next event…",
  waiting: "Looking whether events are published…",
  none: "No events are published here (publisher.enabled); the figures above are asked for every few seconds.",
};
const EVENTS = [
  ["Event", ({ kind }) => kind],
  ["When", ({ at }) => clock(at)],
  ["Before", ({ before }) => before ?? "–"],
  ["After", ({ reservation: after }) => state(after.state)],
  ["LOG", ({ sequence }) => number(sequence), "n"],
];

function browse(root, query) {
  const filters = Object.fromEntries([...query].filter(([name]) => ["state", "channel", "sku", "owner", "order_ref"].includes(name)));
  const text = h("input", { id: "which", required: true, autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "picker" }, h("label", { for: "which" }, "Reservation or order number"), text, h("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = to.order(text.value.trim());
  });
  const choices = h(
    "nav",
    { class: "chips", "aria-label": "By state" },
    ["", ...STATES].map((name) => h("a", { href: name ? to.orders({ ...filters, state: name }) : "#/order", "aria-current": (filters.state ?? "") === name ? "true" : null }, name ? name.replace("_", " ") : "all")),
  );
  root.append(
    h("div", { class: "card" }, form, choices),
    section(
      "Carts and orders",
      list(
        "Reservations",
        "/v1/reservations",
        filters,
        [
          ["Reservation", ({ id }) => orderLink(id)],
          ["State", (row) => state(row.state)],
          ["Channel", ({ channel }) => channel],
          ["Order", ({ order_ref: ref }) => (ref ? orderLink(ref) : "–")],
          ["Ends", ({ expires_at: at }) => (at ? clock(at) : "–")],
          ["Lines", ({ lines }) => lines.slice(0, 5).map((line, n) => [n ? ", " : "", `${number(line.quantity)} × `, skuLink(line.sku)]).concat(lines.length > 5 ? [` and ${number(lines.length - 5)} more`] : [])],
        ],
        { empty: filters.state ? `None is ${filters.state.replace("_", " ")}.` : "None yet." },
      ),
    ),
  );
  return () => {};
}
