// Business: what a time came to, counted from LOG; and what is in carts and orders at this moment.
//
// In: reports, reservations by state, units. Out: the view. Always: each figure says over what it is counted.

import { h, number, put, section, share, state, table, to } from "./dom.js";
import { REFUSALS } from "./refusals.js";
import { reported } from "./report.js";

const WORDS = {
  held: "in a cart now",
  committed: "ordered, not in the ERP's figures yet",
  in_erp: "ordered, and the ERP counts it",
  fulfilled: "handed over",
  released: "given back by the shop",
  expired: "not bought in time",
  cancelled: "ordered, then cancelled",
  oversold: "paid too late, and the stock was gone",
};

export function business(root, { query, shared }) {
  const past = h("div", { class: "stack" });
  const holder = h("div", { class: "stack" });
  root.append(past, holder);
  const leave = reported(past, query);
  shared.watch(() => {
    const { scope, lacks } = shared;
    if (!scope) return put(holder, h("p", { class: lacks ? "problem" : "none" }, lacks?.message ?? "Reading…"));
    return put(holder, states(scope), h("div", { class: "columns" }, units(scope), refused(scope)));
  });
  return leave;
}

function counts({ tallies }) {
  return tallies.reservations ?? {};
}

function sum(by, names) {
  return names.reduce((all, name) => all + (by[name] ?? 0), 0);
}

function states(scope) {
  const by = counts(scope);
  const all = sum(by, Object.keys(WORDS));
  const rows = Object.keys(WORDS).map((name) => ({ name, count: by[name] ?? 0 }));
  return section(
    "Carts and orders now, by state",
    table(
      "Reservations by state",
      [
        ["State", ({ name }) => [h("a", { href: to.orders({ state: name }) }, state(name)), h("small", {}, WORDS[name])]],
        ["Reservations", ({ count }) => number(count), "n"],
        ["Share", ({ count }) => share(count, all), "n"],
        ["", ({ count, name }) => h("meter", { min: 0, max: Math.max(1, all), value: count, "aria-label": `${name}: share of all` })],
      ],
      rows,
      { quiet: true },
    ),
    h("p", { class: "hint" }, "Live ones are all here; those that have ended are remembered for two days, and then not counted any more."),
  );
}

function units({ tallies }) {
  const words = { stock: "taken from stock", supply: "sold from what is on its way", unsourced: "sold beyond any stock and supply" };
  const rows = Object.entries(tallies.units ?? {}).map(([name, count]) => ({ name, count }));
  return section(
    "Units in carts and orders",
    table("Units by where they come from", [["Units", ({ name }) => words[name] ?? name], ["Now", ({ count }) => number(count), "n"]], rows, { quiet: true }),
  );
}

function refused({ refusals }) {
  const names = ["insufficient-stock", "oversold", "deficit", "owner-limit", "renewals-exhausted", "reservation-closed"];
  const rows = refusals.filter((one) => names.includes(one.name) && one.total > 0);
  return section(
    "Turned away",
    table(
      "Carts and orders that were refused, by reason",
      [
        ["Reason", ({ name }) => [h("a", { href: REFUSALS[name].href ?? to.troubles("refused") }, name), h("small", {}, REFUSALS[name].text)]],
        ["Since the processes began", ({ total }) => number(total), "n"],
      ],
      rows,
      { quiet: true, empty: "Nobody was turned away since the processes began." },
    ),
  );
}
