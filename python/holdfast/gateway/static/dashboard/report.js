// A report of a range of time, as the Business view shows it: the figures of `holdfast report`, to the unit.
//
// In: a range, the answer of GET /v1/report. Out: tiles and tables. Always: nothing is computed here; what is counted
// up to where is said.

import { call } from "./api.js";
import { clock, duration, h, number, problem, put, section, share, skuLink, table, to } from "./dom.js";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const RANGES = { hour: ["Last hour", 1], day: ["Last 24 hours", 24], week: ["Last 7 days", 168], month: ["Last 30 days", 720] };
const AGAIN_MS = 10_000;
const COUNTING_MS = 1_500;
const TIMES = {
  hold_to_order: "From the hold to the order",
  order_to_erp: "From the order to the ERP's acknowledgement",
  order_to_first_shipment: "From the order to the first parcel",
  order_to_shipped: "From the order to the last parcel",
};
const UNITS = {
  reserved: "held in carts",
  ordered: "ordered",
  shipped: "handed over",
  cancelled: "of orders, cancelled",
  returned: "came back",
  released: "given back from carts",
  expired: "not bought in time",
  oversold: "paid too late",
};

/** Shows the report of the chosen range, again and again. Returns what stops it. */
export function reported(root, query) {
  const chosen = RANGES[query.get("range")] ? query.get("range") : "day";
  const holder = h("div", { class: "stack" }, h("p", { class: "none" }, "Counting…"));
  const choices = Object.entries(RANGES).map(([name, [words]]) => h("a", { href: `#/business?range=${name}`, "aria-current": name === chosen ? "true" : null }, words));
  root.append(h("nav", { class: "chips", "aria-label": "Range" }, choices), holder);
  let timer = 0;
  let left = false;
  const refresh = async () => {
    let wait = AGAIN_MS;
    try {
      if (!document.hidden) put(holder, ...figures(await read(RANGES[chosen][1])));
    } catch (error) {
      if (left) return;
      // 503 overloaded: what is kept is being counted for the first time, and the answer says how far that is.
      wait = error.status === 503 ? COUNTING_MS : AGAIN_MS;
      put(holder, error.status === 503 ? h("p", { class: "none" }, error.message) : problem(error));
    }
    if (!left) timer = setTimeout(refresh, wait);
  };
  refresh();
  return () => {
    left = true;
    clearTimeout(timer);
  };
}

function read(hours) {
  const upto = (Math.floor(Date.now() / MINUTE_MS) + 1) * MINUTE_MS;
  const query = new URLSearchParams({ from: new Date(upto - hours * HOUR_MS).toISOString(), upto: new Date(upto).toISOString() });
  return call(`/v1/report?${query}`, { deadline: 35_000 });
}

function figures(report) {
  const part = ({ share: value, part: some, all }) => (value === null ? "–" : share(some, all));
  const { orders, units, carts, accuracy, open_orders: open } = report;
  const shipped = report.times.find((one) => one.name === "order_to_shipped");
  const tiles = h(
    "ul",
    { class: "tiles", "aria-label": "What the time came to" },
    tile("Orders", number(orders.all), `${number(units.ordered)} units`, to.orders({ state: "committed" })),
    tile("Hold to purchase", part(report.hold_to_purchase), `${number(report.hold_to_purchase.part)} of ${number(report.hold_to_purchase.all)} carts that were decided`, to.orders({ state: "expired" })),
    tile("Handed over", number(units.shipped), `units; half of the orders within ${duration(shipped.p50_ms)}`, to.orders({ state: "fulfilled" })),
    tile("Open orders", number(open.orders), open.oldest ? `the oldest of ${clock(open.oldest)}` : "none waits", to.orders({ state: "committed" })),
    tile("Order fallout", part(report.fallout), `${number(orders.cancelled)} cancelled, ${number(carts.oversold)} paid too late`, to.orders({ state: "cancelled" })),
    tile("Lost demand", number(report.units_lost), "units asked for in vain", to.troubles("refused")),
    tile("Oversold without holdfast", number(report.units_would_have_oversold), "units that raw quantities would have sold", to.troubles("refused")),
    tile("Inventory accuracy", accuracy.share === null ? "–" : share(accuracy.exact, accuracy.levels), `${number(accuracy.exact)} of ${number(accuracy.levels)} counts as expected`, to.troubles("anomalies")),
  );
  return [tiles, ...notes(report), h("div", { class: "columns" }, unitsOf(units), times(report.times)), h("div", { class: "columns" }, lost(report), channels(report.channels))];
}

function tile(name, value, note, href) {
  return h("li", { class: "tile" }, h("span", { class: "what" }, name), h("span", { class: "value" }, h("a", { href }, value)), h("span", { class: "note" }, note));
}

function notes(report) {
  const said = report.counted_upto ? [`Counted from LOG up to ${clock(report.counted_upto)}, since ${clock(report.counted_since)}.`] : ["Nothing is in LOG yet."];
  for (const gap of report.gaps) said.push(`Not counted, for LOG was no longer kept: ${clock(gap.from)} until ${clock(gap.upto)}.`);
  if (report.refusals_left_out) said.push(`${number(report.refusals_left_out)} refusals were only counted, and are not in the lost demand.`);
  return said.map((text) => h("p", { class: "hint" }, text));
}

function unitsOf(units) {
  const rows = Object.entries(UNITS).map(([name, words]) => ({ words, count: units[name] }));
  return section("Units", table("Units, by what became of them", [["Units", ({ words }) => words], ["", ({ count }) => number(count), "n"]], rows, { quiet: true }));
}

function times(all) {
  const column = (name) => [name, (row) => duration(row[`${name}_ms`]), "n"];
  return section(
    "How long it took",
    table("Times between the steps of an order", [["", ({ name }) => TIMES[name] ?? name], ["Orders", ({ count }) => number(count), "n"], column("p50"), column("p90"), column("p99")], all, { quiet: true }),
  );
}

function lost({ skus_lost: skus }) {
  return section(
    "Asked for in vain, the most first",
    table(
      "SKUs that shoppers asked for in vain",
      [
        ["SKU", ({ sku }) => skuLink(sku)],
        ["Units lost", ({ units_lost: units }) => number(units), "n"],
        ["Raw would have sold", ({ units_would_have_oversold: units }) => number(units), "n"],
        ["Ordered", ({ units_ordered: units }) => number(units), "n"],
      ],
      skus,
      { quiet: true, empty: "Nobody asked in vain." },
    ),
  );
}

function channels(all) {
  return section(
    "By channel",
    table(
      "Orders and units by channel",
      [
        ["Channel", ({ channel }) => channel],
        ["Orders", ({ orders }) => number(orders), "n"],
        ["Units", ({ units_ordered: units }) => number(units), "n"],
        ["Handed over", ({ units_shipped: units }) => number(units), "n"],
        ["Lost", ({ units_lost: units }) => number(units), "n"],
      ],
      all,
      { quiet: true, empty: "No channel sold anything." },
    ),
  );
}
