// The waterfall: from what is on hand down to what can be sold, as a table whose bars make a picture.
//
// In: the terms of explain. Out: a table; each row has its name in plain words, where and by which rule, its number and
// its bar. Always: the bars begin where the one before ended, and the last one is the figure itself.

import { h, number, orderLink, s, signed, skuLink } from "./dom.js";

const WORDS = {
  on_hand: "On hand",
  movements: "Moved since that level",
  quality_control: "In quality control",
  damaged: "Damaged",
  quarantined: "Quarantined",
  in_transfer: "In transfer",
  unsellable_movements: "Moved, not sellable",
  allocated_in_erp: "Allocated in the ERP",
  committed: "Ordered here",
  held: "Held in carts",
  safety_stock: "Safety stock",
  demand: "Owed to others",
  supply: "On its way",
  presumed_received: "On its way, presumed received",
  bound_to_supply: "Sold from what is on its way",
  hole_filled: "Covers a shortage",
  shortage_stays_here: "Shortage that stays there",
  kept_for_others: "Kept for other channels",
  own_allocation: "Kept for this channel",
  own_allocation_only: "Beyond this channel's allocation",
  oversell: "May be sold beyond stock",
  cap: "Cap of the channel",
  cap_on_oversell: "Cap on overselling",
  kit_cap: "Cap of the kit",
  kit: "As kits",
  sell_multiple: "Sold in multiples",
  restricted: "Not for sale here",
  inactive: "Discontinued",
};
const ALONE_MAX = 24;

export function waterfall(explained, levels = []) {
  const rows = placed(grouped(explained.terms));
  const low = Math.min(0, ...rows.map((row) => Math.min(row.from, row.upto)));
  const high = Math.max(1, ...rows.map((row) => Math.max(row.from, row.upto)), explained.sellable);
  const body = h("tbody", {}, rows.map((row) => rowOf(row, low, high, levels)));
  return h(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": "The waterfall" },
    h(
      "table",
      { class: "fall" },
      h("caption", { class: "unseen" }, `From what is on hand to the ${number(explained.sellable)} that can be sold`),
      h("thead", {}, h("tr", {}, ["What", "Where and why", "Units", "Left", "Picture"].map((name, n) => h("th", { scope: "col", class: n === 2 || n === 3 ? "n" : null }, name)))),
      body,
      h(
        "tfoot",
        {},
        h("tr", {}, h("th", { scope: "row" }, "Can be sold"), h("td", {}, ""), h("td", { class: "n" }, h("b", {}, number(explained.sellable))), h("td", { class: "n" }, ""), h("td", {}, bar(Math.min(0, explained.sellable), explained.sellable, low, high, "end"))),
      ),
    ),
  );
}

/** Many terms of one name are one row, which opens. */
function grouped(terms) {
  if (terms.length <= ALONE_MAX) return terms.map((term) => ({ ...term, parts: [] }));
  const groups = new Map();
  for (const term of terms) {
    const name = `${term.component ?? ""} ${term.name}`;
    const group = groups.get(name);
    if (group) {
      group.quantity += term.quantity;
      group.parts.push(term);
    } else groups.set(name, { ...term, parts: [term] });
  }
  return [...groups.values()].map((group) => (group.parts.length > 1 ? group : { ...group, parts: [] }));
}

function placed(rows) {
  let left = 0;
  return rows.map((row) => {
    const from = left;
    left += row.quantity;
    return { ...row, from, upto: left };
  });
}

function rowOf(row, low, high, levels) {
  const kind = row.quantity < 0 ? "loss" : "gain";
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, WORDS[row.name] ?? row.name.replaceAll("_", " "), row.component ? h("small", {}, " of ", skuLink(row.component)) : null),
    h("td", {}, row.parts.length ? parts(row) : why(row, levels)),
    h("td", { class: `n ${kind}` }, signed(row.quantity)),
    h("td", { class: "n" }, number(row.upto)),
    h("td", {}, bar(row.from, row.upto, low, high, kind)),
  );
}

function parts(row) {
  const places = new Set(row.parts.map((part) => part.location).filter(Boolean));
  const name = places.size > 1 ? `${places.size} locations` : `${row.parts.length} parts`;
  return h("details", {}, h("summary", {}, name), h("ul", {}, row.parts.slice(0, 500).map((part) => h("li", {}, `${signed(part.quantity)} `, why(part, [])))));
}

/** The place, the rule, the claim, and the fact behind a term. */
function why(term, levels) {
  const level = levels.find((one) => one.location === term.location);
  const stated = level?.source && !term.rule && (term.name === "on_hand" || term.name === "movements") ? ` stated by ${level.source}` : "";
  return h(
    "span",
    {},
    term.location ? h("b", {}, term.location) : null,
    stated,
    term.rule ? ` ${term.rule}` : "",
    term.channel ? ` for ${term.channel}` : "",
    term.document ? [" ", orderLink(term.document)] : null,
    term.sequence ? h("small", {}, ` fact at ${number(term.sequence)} of LOG`) : null,
  );
}

function bar(from, upto, low, high, kind) {
  const width = 300;
  const x = (value) => Math.round((10 * width * (value - low)) / (high - low)) / 10;
  const [left, right] = [Math.min(x(from), x(upto)), Math.max(x(from), x(upto))];
  return s(
    "svg",
    { class: `bar bar-${kind}`, viewBox: `0 0 ${width} 18`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: 18 }),
    s("rect", { x: left, y: 2, width: Math.max(1.5, right - left), height: 14 }),
  );
}

