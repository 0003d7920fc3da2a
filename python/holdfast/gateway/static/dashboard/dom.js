// Elements, and how numbers, times and tables are shown.
//
// In: plain values. Out: DOM nodes. Always: text is only ever set as text, so that no name can become markup; `morph`
// keeps the nodes that are there, and with them the focus of a keyboard and the place of a screen reader.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make `old` look like `fresh`. Only for parts without listeners: links alone. */
export function morph(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const wanted = [...fresh.childNodes];
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
  wanted.forEach((child, n) => {
    const present = old.childNodes[n];
    if (present === undefined) old.append(child);
    else if (present.nodeName !== child.nodeName) present.replaceWith(child);
    else if (child.nodeType === Node.TEXT_NODE) {
      if (present.data !== child.data) present.data = child.data;
    } else morph(present, child);
  });
}

/** Show `content` in `element`; the rest of it goes. */
export function put(element, ...content) {
  const fresh = element.cloneNode(false);
  fresh.append(...content.flat(Infinity).filter(Boolean));
  morph(element, fresh);
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const some = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** 12,345; 3.42; a dash where it is not known. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return Math.abs(value) >= 100 || Number.isInteger(value) ? whole.format(value) : some.format(value);
}

export function signed(value) {
  return value > 0 ? `+${number(value)}` : value < 0 ? `−${number(-value)}` : "0";
}

export function share(part, all) {
  if (part > 0 && part < all / 1000) return "< 0.1 %";
  return all > 0 ? `${some.format((100 * part) / all)} %` : "–";
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let n = 0;
  while (value >= 1024 && n < units.length - 1) {
    value /= 1024;
    n += 1;
  }
  return `${some.format(value)} ${units[n]}`;
}

/** A duration in two units at the most: 4 s, 3 min 20 s, 5 h 2 min, 12 days. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 1) return `${Math.max(0, Math.round(ms))} ms`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 && minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${whole.format(Math.floor(hours / 24))} days`;
}

/** Seconds as milliseconds for people; Infinity is beyond the largest bound. */
export function latency(seconds, most = 2.5) {
  if (seconds === null || seconds === undefined) return "–";
  if (!Number.isFinite(seconds)) return `over ${most} s`;
  return seconds < 1 ? `${some.format(seconds * 1000)} ms` : `${some.format(seconds)} s`;
}

export function clock(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return String(text);
  const near = Math.abs(Date.now() - time.getTime()) < 20 * 3_600_000;
  const options = near ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat("en-GB", options).format(time);
}

export const to = {
  sku: (sku, channel) => `#/sku/${encodeURIComponent(sku)}${channel ? `?channel=${encodeURIComponent(channel)}` : ""}`,
  order: (id) => `#/order/${encodeURIComponent(id)}`,
  orders: (filters) => `#/order?${new URLSearchParams(filters)}`,
  troubles: (part, filters = {}) => `#/troubles?${new URLSearchParams({ part, ...filters })}`,
};

export function skuLink(sku, channel) {
  return sku ? h("a", { href: to.sku(sku, channel) }, sku) : "–";
}

export function orderLink(id) {
  return id ? h("a", { href: to.order(id) }, id) : "–";
}

/** A table with a caption. A column: [heading, cell of a row, "n" for numbers]. */
export function table(caption, columns, rows, { quiet = false, empty = "None." } = {}) {
  if (!rows.length) return h("div", {}, quiet ? null : h("p", { class: "caption" }, caption), h("p", { class: "none" }, empty));
  return h(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: quiet ? "unseen" : null }, caption),
      h("thead", {}, h("tr", {}, columns.map(([name, , kind]) => h("th", { scope: "col", class: kind }, name)))),
      h("tbody", {}, rows.map((row) => rowOf(columns, row))),
    ),
  );
}

export function rowOf(columns, row) {
  return h(
    "tr",
    { class: row.class },
    columns.map(([, cell, kind], n) => {
      const shown = cell(row);
      return h(n ? "td" : "th", { scope: n ? null : "row", class: kind }, shown ?? "–");
    }),
  );
}

export function state(name) {
  return h("span", { class: `state state-${name}` }, name.replace("_", " "));
}

export function section(heading, ...content) {
  const id = `h-${heading.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id, class: "card" }, h("h2", { id }, heading), ...content);
}

export function problem(error) {
  return h("p", { class: "problem", role: "alert" }, error.message);
}
