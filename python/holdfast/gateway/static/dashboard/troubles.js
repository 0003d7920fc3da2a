// Troubles: facts that were rejected or came to nothing, orders that nothing covers, carts that were refused.
//
// In: which part. Out: the view. Always: a part that this gateway does not have is not offered; a dead letter is sent
// again only when a person says so.

import { call, has } from "./api.js";
import { clock, h, number, orderLink, put, section, skuLink, state } from "./dom.js";
import { list } from "./lists.js";
import { REFUSALS } from "./refusals.js";

const KINDS = ["repeat", "stale", "lower-version", "conflicting-body", "covered", "closed-supply", "level-conflict", "levels-dropped"];
const WORDS = {
  repeat: "said before, counted once",
  stale: "older than what is known",
  "lower-version": "an older version of a document",
  "conflicting-body": "the same document with other figures: the source contradicts itself",
  covered: "counted already",
  "closed-supply": "about a supply that has ended",
  "level-conflict": "two levels of one moment differ",
  "levels-dropped": "a SKU became another name of one",
};
const PARTS = { anomalies: "Anomalies", deficits: "Deficits", letters: "Dead letters", refused: "Refused" };

export function troubles(root, { query, shared }) {
  const part = PARTS[query.get("part")] ? query.get("part") : "anomalies";
  const tabs = h("nav", { class: "chips", "aria-label": "Kinds of trouble" }, Object.entries(PARTS).map(([name, words]) => h("a", { href: `#/troubles?part=${name}`, "aria-current": name === part ? "true" : null }, words)));
  const holder = h("div", { class: "stack" });
  root.append(tabs, holder);
  ({ anomalies, deficits, letters, refused })[part](holder, query, shared);
  return () => {};
}

function anomalies(root, query) {
  const kind = query.get("kind") ?? "";
  const chips = h("nav", { class: "chips", "aria-label": "Kinds of anomaly" }, ["", ...KINDS].map((name) => h("a", { href: `#/troubles?part=anomalies${name ? `&kind=${name}` : ""}`, "aria-current": name === kind ? "true" : null }, name || "all")));
  const columns = [
    ["When", ({ at }) => clock(at)],
    ["What", (row) => [h("b", {}, row.kind), h("small", {}, WORDS[row.kind] ?? "")]],
    ["Fact", ({ fact }) => fact],
    ["By", ({ source }) => source],
    ["SKU", ({ sku }) => skuLink(sku)],
    ["Location", ({ location: place }) => place ?? "–"],
    ["Document", ({ ref }) => ref ?? "–"],
    ["LOG", ({ sequence }) => number(sequence), "n"],
  ];
  root.append(
    section(
      "Facts that changed nothing, or less than they said",
      chips,
      list("Anomalies, the newest first", "/v1/anomalies", kind ? { kind } : {}, columns, { newest: true, limit: 200, empty: "None: every fact had its effect." }),
      h("p", { class: "hint" }, "The newest 2,000 of each kind are remembered, since this process began from its snapshot."),
    ),
  );
}

function deficits(root) {
  const columns = [
    ["Order", ({ reservation, order_ref: ref }) => [orderLink(reservation), ref ? h("small", {}, ref) : null]],
    ["State", (row) => state(row.state)],
    ["Channel", ({ channel }) => channel],
    ["Units that nothing covers", ({ units, channel }) => units.slice(0, 10).map((one, n) => [n ? ", " : "", `${number(one.quantity)} × `, skuLink(one.sku, channel), one.location ? ` at ${one.location}` : " bound to nothing"])],
    ["LOG", ({ sequence }) => number(sequence), "n"],
  ];
  root.append(section("Orders with units that nothing covers", list("Deficits", "/v1/deficits", {}, columns, { empty: "None: every unit that was promised is covered." })));
}

async function letters(root, query) {
  if (!(await has("/v1/dead-letters"))) {
    root.append(section("Dead letters", h("p", {}, "This gateway lists them on the command line: ", h("code", {}, "holdfast dlq list"), ".")));
    return;
  }
  const filters = Object.fromEntries([...query].filter(([name]) => ["reason", "source"].includes(name)));
  const again = await has("/v1/dead-letters/{letter}/retry");
  const columns = [
    ["Letter", ({ letter }) => number(letter)],
    ["When", ({ stored_at: at }) => clock(at)],
    ["Why", ({ reason }) => h("b", {}, reason)],
    ["By", ({ source }) => source],
    ["What it said", ({ raw, raw_cut: cut }) => h("details", {}, h("summary", {}, raw.slice(0, 60)), h("pre", {}, raw, cut ? "…" : ""))],
  ];
  if (again) columns.push(["", ({ letter }) => retry(letter)]);
  root.append(section("Facts that were rejected", list("Dead letters, the oldest first", "/v1/dead-letters", filters, columns, { empty: "None: every fact was taken." })));
}

/** Sends a letter again, after the person has said so twice. */
function retry(letter) {
  const said = h("span", { role: "status" });
  let sure = false;
  const button = h("button", { type: "button", class: "quiet" }, "Send again");
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Really send it?";
      return;
    }
    button.disabled = true;
    try {
      const { in_sequence: at } = await call(`/v1/dead-letters/${letter}/retry`, { method: "POST" });
      button.remove();
      put(said, `Sent: ${number(at)} of IN`);
    } catch (error) {
      button.disabled = sure = false;
      button.textContent = "Send again";
      put(said, error.message);
    }
  });
  return h("span", {}, button, said);
}

async function refused(root, query, shared) {
  const counts = h("div");
  root.append(counts);
  const rows = ["insufficient-stock", "oversold", "deficit", "owner-limit"];
  shared.watch(() => {
    const found = (shared.scope?.refusals ?? []).filter((one) => rows.includes(one.name) && one.total);
    put(counts, h("ul", { class: "tiles" }, found.map(({ name, rate, total }) => h("li", { class: "tile" }, h("span", { class: "what" }, name), h("span", { class: "value" }, number(rate), h("small", {}, " /s")), h("span", { class: "note" }, `${number(total)} since start: ${REFUSALS[name].text}`)))));
  });
  if (!(await has("/v1/refusals"))) {
    root.append(section("Refused carts", h("p", {}, "Which SKUs shoppers asked for in vain, and how many: ", h("code", {}, "holdfast refusals"), " on the command line.")));
    return;
  }
  const filters = Object.fromEntries([...query].filter(([name]) => ["reason", "sku", "channel"].includes(name)));
  const columns = [
    ["When", ({ at }) => clock(at)],
    ["Cart", ({ reservation }) => orderLink(reservation)],
    ["Channel", ({ channel }) => channel ?? "–"],
    ["Why", ({ reason }) => h("b", {}, reason)],
    ["Asked for in vain", ({ lines, channel }) => lines.slice(0, 10).map((line, n) => [n ? ", " : "", `${number(line.requested)} × `, skuLink(line.sku, channel), h("small", {}, `${number(line.sellable)} could be sold`)])],
  ];
  root.append(section("Refused carts, the newest first", list("Refused carts", "/v1/refusals", filters, columns, { empty: "Nobody was refused lately." })));
}
