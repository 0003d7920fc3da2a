// One SKU: how many can be sold on a channel and why, what each location has, who holds it.
//
// In: a SKU and a channel. Out: the view. Always: the waterfall is the server's explanation, term by term; lists are
// read a page at a time.

import { call, has } from "./api.js";
import { clock, duration, h, number, orderLink, problem, put, section, skuLink, state, table, to } from "./dom.js";
import { list } from "./lists.js";
import { waterfall } from "./waterfall.js";

const CHANNELS_MAX = 1_000;
const COMPARED_MAX = 12;
const REFRESH_MS = 3_000;

export function sku(root, { subject, query }) {
  if (!subject) return browse(root);
  let timer = 0;
  let left = false;
  const figure = h("div", { class: "card" }, h("p", { class: "none" }, "Reading…"));
  const places = h("div", { class: "stack" });
  const under = h("div", { class: "stack" });
  root.append(figure, places, under);
  root.parentNode.querySelector("h1").replaceChildren(subject);
  const region = query.get("region") ?? "";
  const context = { name: subject, channel: query.get("channel") ?? "", region, channels: [] };
  let shown = "";
  const refresh = async () => {
    try {
      const record = await call(`/v1/skus/${encodeURIComponent(subject)}`);
      const explained = context.channel ? await explain(context) : null;
      const others = await onChannels(context);
      const known = JSON.stringify([{ ...record, as_of: 0 }, explained && { ...explained, as_of: 0 }, others]);
      if (known !== shown && !figure.contains(document.activeElement) && !figure.querySelector("details[open]")) {
        figure.replaceChildren(...head(context, record, explained, others));
        shown = known;
      }
      put(places, onHand(record), rules(record));
    } catch (error) {
      figure.replaceChildren(problem(error));
    }
    if (!left) timer = setTimeout(() => (document.hidden ? (timer = setTimeout(refresh, REFRESH_MS)) : refresh()), REFRESH_MS);
  };
  begin(context, under).then(refresh, (error) => figure.replaceChildren(problem(error)));
  return () => {
    left = true;
    clearTimeout(timer);
  };
}

async function begin(context, under) {
  const { items } = await call(`/v1/channels?limit=${CHANNELS_MAX}`);
  context.channels = items;
  context.channel ||= items[0]?.channel ?? "";
  const one = { sku: context.name };
  under.append(
    section("Orders in deficit", list("Units of this SKU that nothing covers", "/v1/deficits", one, DEFICITS, { empty: "Every unit that was promised is covered." })),
    section("Carts and orders with it", list("Reservations with this SKU", "/v1/reservations", one, RESERVATIONS, { limit: 20, empty: "No cart and no order has it." })),
    section("On its way", list("Incoming stock of this SKU", "/v1/supplies", { ...one, status: "open" }, SUPPLIES, { empty: "Nothing is announced." })),
    section("Facts that came to nothing", list("Anomalies of this SKU", "/v1/anomalies", one, ANOMALIES, { newest: true })),
  );
  if (await has("/v1/skus/{sku}/changes")) {
    const path = `/v1/skus/${encodeURIComponent(context.name)}/changes`;
    const holder = h("div", {}, h("button", { type: "button", onclick: () => holder.replaceChildren(list("Facts that touched this SKU", path, {}, CHANGES, { newest: true, limit: 100 })) }, "Show its last hundred facts"));
    under.append(section("What happened to it", holder));
  }
}

function explain({ name, channel, region }) {
  const query = new URLSearchParams({ channel, ...(region ? { region } : {}) });
  return call(`/v1/availability/${encodeURIComponent(name)}/explain?${query}`).catch((error) => ({ error }));
}

/** What each of the first channels can sell. */
async function onChannels({ name, channels, region }) {
  const asked = channels.slice(0, COMPARED_MAX).map(async ({ channel, regional }) => {
    const query = new URLSearchParams({ channel, ...(region && regional ? { region } : {}) });
    const found = await call(`/v1/availability/${encodeURIComponent(name)}?${query}`).catch((error) => ({ error }));
    return { channel, ...found, error: found.error?.message };
  });
  return Promise.all(asked);
}

function head(context, record, explained, others) {
  const parts = [picker(context)];
  if (explained?.error) parts.push(h("p", { class: "problem" }, explained.error.message));
  else if (explained) {
    const unlimited = others.find((one) => one.channel === context.channel)?.unlimited;
    parts.push(
      h("p", { class: "figure" }, h("b", {}, number(explained.sellable)), h("span", {}, ` can be sold on ${context.channel} now${unlimited ? ", and more: it may be oversold without a bound" : ""}`)),
      h("p", { class: "hint" }, `As of ${number(explained.as_of.sequence)} of LOG, ${explained.as_of.mode}${record.item ? `; unit: ${record.item.base_unit}` : "; nobody declared it as an item"}.`),
      waterfall(explained, record.levels),
    );
  } else parts.push(h("p", { class: "none" }, "No channel is known yet; name one to see what it can sell."));
  if (others.length > 1) {
    parts.push(
      h("h3", {}, "On each channel"),
      table(
        "What each channel can sell",
        [
          ["Channel", ({ channel }) => h("a", { href: to.sku(context.name, channel), "aria-current": channel === context.channel ? "true" : null }, channel)],
          ["Can be sold", ({ sellable, unlimited, error }) => (error ? h("small", {}, error) : `${number(sellable)}${unlimited ? " and more" : ""}`), "n"],
        ],
        others,
        { quiet: true },
      ),
      context.channels.length > COMPARED_MAX ? h("p", { class: "hint" }, `The first ${COMPARED_MAX} of ${number(context.channels.length)} channels.`) : null,
    );
  }
  if (record.item?.kit.length) parts.push(h("p", {}, "A kit of ", record.item.kit.map(({ sku: part, quantity }, n) => [n ? ", " : "", `${quantity} × `, skuLink(part, context.channel)])));
  if (record.used_in.length) parts.push(h("p", {}, "Part of ", record.used_in.slice(0, 50).map((kit, n) => [n ? ", " : "", skuLink(kit, context.channel)])));
  return parts.flat(Infinity).filter(Boolean);
}

function picker({ name, channel, channels, region }) {
  const choose = h("select", { id: "channel" }, channels.map((one) => h("option", { value: one.channel, selected: one.channel === channel }, one.channel)));
  const typed = h("input", { id: "channel", value: channel, autocomplete: "off" });
  const chosen = channels.length ? choose : typed;
  const where = h("input", { id: "region", value: region, size: 6, autocomplete: "off" });
  const go = (event) => {
    event.preventDefault();
    const query = new URLSearchParams({ channel: chosen.value, ...(where.value.trim() ? { region: where.value.trim() } : {}) });
    document.activeElement?.blur();
    location.hash = `#/sku/${encodeURIComponent(name)}?${query}`;
  };
  const form = h("form", { class: "picker" }, h("label", { for: "channel" }, "Channel"), chosen, h("label", { for: "region" }, "Region"), where, h("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", go);
  choose.addEventListener("change", go);
  return form;
}

function onHand({ levels, as_of: asOf }) {
  return section(
    "At each location",
    table(
      "What each location has of it",
      [
        ["Location", ({ location: place }) => place],
        ["On hand", (row) => number(row.on_hand), "n"],
        ["Not sellable", (row) => number(row.unsellable), "n"],
        ["Owed", (row) => number(row.allocated + row.demand), "n"],
        ["Ordered", (row) => number(row.committed), "n"],
        ["In carts", (row) => number(row.held), "n"],
        ["Safety", (row) => number(row.safety), "n"],
        ["At hand", (row) => h("b", {}, number(row.at_hand)), "n"],
        ["Stated by", ({ source, as_of: at }) => (source ? [h("a", { href: "#/sources" }, source), h("small", {}, typeof at === "number" ? `number ${number(at)}` : clock(at))] : "–")],
        ["Fact", ({ sequence }) => (sequence ? `${number(sequence)} of LOG` : "–"), "n"],
      ],
      levels,
      { quiet: true, empty: "No location has it." },
    ),
    asOf.mode === "live" ? null : h("p", { class: "problem" }, `These figures are ${asOf.mode}, ${duration(asOf.age_ms)} old.`),
  );
}

function rules({ rules: found, more_rules: more }) {
  const skipped = new Set(["kind", "sku", "channel", "location", "sequence"]);
  const text = (rule) =>
    Object.entries(rule)
      .filter(([name, value]) => !skipped.has(name) && value !== null)
      .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
      .join(", ");
  return section(
    "Rules that apply",
    table(
      "Rules that apply to it",
      [
        ["Rule", ({ kind }) => kind],
        ["Of", ({ sku: one, channel, location: place, source }) => [one ?? "every SKU", channel, place, source].filter(Boolean).join(" · ")],
        ["It says", text],
        ["Fact", ({ sequence }) => (sequence ? `${number(sequence)} of LOG` : "–"), "n"],
      ],
      found,
      { quiet: true, empty: "None: everything at hand can be sold everywhere." },
    ),
    more ? h("p", { class: "hint" }, "The first 1,000 rules.") : null,
  );
}

const DEFICITS = [
  ["Order", ({ reservation, order_ref: ref }) => [orderLink(reservation), ref ? h("small", {}, ref) : null]],
  ["State", (row) => state(row.state)],
  ["Channel", ({ channel }) => channel],
  ["Units", ({ units }) => units.map((one) => `${number(one.quantity)} × ${one.sku}${one.location ? ` at ${one.location}` : ""}`).join(", ")],
];
const RESERVATIONS = [
  ["Reservation", ({ id }) => orderLink(id)],
  ["State", (row) => state(row.state)],
  ["Channel", ({ channel }) => channel],
  ["Order", ({ order_ref: ref }) => ref ?? "–"],
  ["Ends", ({ expires_at: at }) => (at ? clock(at) : "–")],
  ["Lines", ({ lines }) => lines.map((line) => `${number(line.quantity)} × ${line.sku}`).join(", ")],
];
const SUPPLIES = [
  ["Document", ({ ref, line }) => `${ref} / ${line}`],
  ["To", ({ location: place }) => place],
  ["Due", ({ due }) => due],
  ["Units", ({ quantity }) => number(quantity), "n"],
  ["Sold of them", ({ bound }) => number(bound), "n"],
  ["By", ({ source }) => source],
];
const ANOMALIES = [
  ["When", ({ at }) => clock(at)],
  ["What", ({ kind, fact }) => `${kind} (${fact})`],
  ["By", ({ source }) => source],
  ["Location", ({ location: place }) => place ?? "–"],
  ["Document", ({ ref }) => ref ?? "–"],
];
const CHANGES = [
  ["When", ({ at }) => clock(at)],
  ["LOG", ({ sequence }) => number(sequence), "n"],
  ["Fact", ({ kind }) => kind],
  ["It says", ({ fact }) => h("code", {}, JSON.stringify(fact))],
];

function browse(root) {
  const text = h("input", { id: "which", required: true, autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "picker" }, h("label", { for: "which" }, "SKU"), text, h("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = to.sku(text.value.trim());
  });
  root.append(
    h("div", { class: "card" }, form),
    section(
      "SKUs, as they were first named",
      list(
        "SKUs",
        "/v1/skus",
        {},
        [
          ["SKU", ({ sku: name }) => skuLink(name)],
          ["On hand", ({ on_hand: units }) => number(units), "n"],
          ["At hand", ({ at_hand: units }) => number(units), "n"],
          ["", ({ kit, declared, status }) => [kit ? "kit" : null, declared ? null : "not declared", status === "discontinued" ? status : null].filter(Boolean).join(", ")],
        ],
        { empty: "No SKU is known yet." },
      ),
    ),
  );
  return () => {};
}
