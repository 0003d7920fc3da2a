// A list that is read page by page: a page at a time, never all of it.
//
// In: a call with a cursor, columns. Out: a table with a button for more. Always: `next` of the server decides whether
// there is more; at most ROWS_MAX rows are kept on the page, the first ones are dropped.

import { call } from "./api.js";
import { h, number, problem, table } from "./dom.js";

const ROWS_MAX = 1_000;
const EMPTY_PAGES_MAX = 20;
const PAGES_MAX = 50;

/** `path`: of the list; `filters`: of the query. `newest`: begin with the end of the list. */
export function list(caption, path, filters, columns, { limit = 50, empty = "None.", newest = false, add = (row) => row } = {}) {
  const holder = h("div", { class: "list" }, h("p", { class: "none" }, "Reading…"));
  let rows = [];
  let next = null;
  let dropped = 0;
  const read = async (after, size) =>
    call(`${path}?${new URLSearchParams({ ...filters, limit: size, ...(after === null ? {} : { after }) })}`);
  const take = (page) => {
    rows.push(...page.items.map(add));
    dropped += Math.max(0, rows.length - ROWS_MAX);
    rows = rows.slice(-ROWS_MAX);
    next = page.next;
  };
  const more = async () => {
    // A filter that matches rarely gives pages without an entry: read on, but not for ever.
    const before = rows.length;
    for (let n = 0; n < EMPTY_PAGES_MAX && (n === 0 || (next !== null && rows.length === before)); n += 1) take(await read(next, limit));
  };
  const toTheEnd = async () => {
    let pages = 0;
    do {
      take(await read(next, ROWS_MAX));
      pages += 1;
    } while (next !== null && pages < PAGES_MAX);
  };
  const run = (work) => async () => {
    holder.setAttribute("aria-busy", "true");
    try {
      await work();
      show();
    } catch (error) {
      holder.replaceChildren(problem(error));
    }
    holder.removeAttribute("aria-busy");
  };
  const show = () => {
    const seen = newest ? rows.slice(-limit).reverse() : rows;
    const shown = table(caption, columns, seen, { quiet: true, empty: next !== null ? "None so far." : empty });
    const count = `${number(seen.length)} shown${next !== null ? ", there are more" : dropped ? `, ${number(dropped)} dropped from the page` : ""}`;
    holder.replaceChildren(
      shown,
      h("p", { class: "more" }, rows.length ? h("span", {}, count) : null, next !== null ? h("button", { type: "button", onclick: run(more) }, "More") : null),
    );
  };
  run(newest ? toTheEnd : more)();
  return holder;
}

