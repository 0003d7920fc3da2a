// The page: its key, its views, and what all of them need again and again.
//
// In: the address after the #. Out: one view at a time. Always: nothing is asked for while the page is hidden; a
// process that does not answer is asked again, later each time; the focus goes to a view's heading when it changes.

import { MAKE_A_KEY, call, has, key, poll } from "./api.js";
import { business } from "./business.js";
import { duration, h, number, put } from "./dom.js";
import { Figures } from "./figures.js";
import { now } from "./now.js";
import { order } from "./order.js";
import { sku } from "./sku.js";
import { sources } from "./sources.js";
import { troubles } from "./troubles.js";

const VIEWS = { now: ["Now", now], business: ["Business", business], sku: ["SKU", sku], order: ["Orders", order], sources: ["Sources", sources], troubles: ["Troubles", troubles] };
const OVERVIEW_MS = 2_000;
const FEEDS_MS = 4_000;
const LISTS_MS = 4_000;
const AT_ONCE_MAX = 4;
const LIST_MAX = 200;

const element = (id) => document.getElementById(id);

/** What the views share. `watch` calls back when something of it has changed, until the view is left. */
const shared = {
  figures: new Figures(),
  scope: null,
  lacks: null, // why there are no figures
  unreachable: null,
  feeds: [],
  feedsProblem: null,
  deficits: null,
  letters: null, // dead letters that wait for somebody, where the key may see them
  watchers: new Set(),
  watch(callback) {
    this.watchers.add(callback);
    callback();
  },
};
let stops = [];
let leave = () => {};
let lettersForbidden = false;

function changed() {
  pill();
  for (const callback of shared.watchers) callback();
}

async function readOverview() {
  const wanted = Math.max(1, Math.min(AT_ONCE_MAX, shared.scope?.processes ?? 1));
  const answers = await Promise.allSettled(Array.from({ length: wanted }, () => call("/v1/overview")));
  const came = answers.filter((one) => one.status === "fulfilled").map((one) => one.value);
  for (const overview of came) shared.figures.add(overview);
  if (!came.length) throw answers[0].reason;
  shared.scope = shared.figures.summary();
  shared.figures.note(shared.scope);
  shared.lacks = shared.unreachable = null;
}

function overviewFailed(error, wait) {
  if (error?.status === 401) return signIn(error.message);
  if (error?.status === 403) shared.lacks = error;
  else if (error) shared.unreachable = `${error.message} The page asks again within ${duration(wait)}.`;
  changed();
}

async function readFeeds() {
  const [{ items }, policies] = await Promise.all([call(`/v1/sources?limit=${LIST_MAX}`), call("/v1/policies?kind=freshness&limit=1000")]);
  const rules = new Map(policies.items.map((rule) => [rule.source, rule]));
  shared.feeds = items.map((one) => {
    const rule = rules.get(one.source);
    const stale = one.age_ms !== null && rule !== undefined && one.age_ms > rule.stale_after_ms;
    return { ...one, age: one.age_ms, after: rule?.stale_after_ms ?? null, action: rule?.action ?? null, stale };
  });
  shared.feeds.sort((a, b) => b.stale - a.stale || (b.age ?? -1) - (a.age ?? -1));
  shared.feedsProblem = null;
}

async function readDeficits() {
  const { items, next } = await call(`/v1/deficits?limit=${LIST_MAX}`);
  shared.deficits = { count: items.length, more: next !== null };
}

async function readLetters() {
  if (lettersForbidden || !(await has("/v1/dead-letters"))) return;
  try {
    const { items, next } = await call(`/v1/dead-letters?limit=${LIST_MAX}`);
    shared.letters = { count: items.length, more: next !== null };
  } catch (error) {
    lettersForbidden = error.status === 403;
    if (!lettersForbidden) throw error;
  }
}

function pill() {
  const shown = element("pill");
  const { scope } = shared;
  shown.hidden = false;
  if (shared.unreachable) {
    shown.className = "pill pill-bad";
    put(shown, "No answer");
  } else if (scope) {
    shown.className = scope.lead.alive ? "pill pill-good" : "pill pill-bad";
    const who = scope.lead.alive ? `${scope.lead.node} leads` : "nobody leads";
    put(shown, `Live · ${number(scope.processes)} ${scope.processes === 1 ? "process" : "processes"} · ${who}`);
  } else shown.hidden = true;
}

function start() {
  lettersForbidden = false;
  shared.letters = null;
  for (const stop of stops) stop();
  for (const id of ["search", "tabs"]) element(id).hidden = false;
  element("leave").hidden = !key.get();
  stops = [
    poll(readOverview, OVERVIEW_MS, overviewFailed),
    poll(readFeeds, FEEDS_MS, (error) => {
      shared.feedsProblem = error;
      changed();
    }),
    poll(readDeficits, LISTS_MS, changed),
    poll(readLetters, LISTS_MS, changed),
  ];
  route();
}

function route(focus = false) {
  const [path, query = ""] = (location.hash.slice(1) || "/now").split("?");
  const [, name, ...rest] = path.split("/");
  const [title, view] = VIEWS[name] ?? VIEWS.now;
  const main = element("main");
  leave();
  shared.watchers.clear();
  leave = () => {};
  put(element("tabs"), Object.entries(VIEWS).map(([one, [words]]) => h("a", { href: `#/${one}`, "aria-current": words === title ? "page" : null }, words)));
  main.replaceChildren(h("h1", { tabindex: "-1" }, title));
  const holder = h("div", { class: "view" });
  main.append(holder);
  document.title = `${title} · holdfast`;
  const subject = decodeURIComponent(rest.join("/"));
  leave = view(holder, { subject, query: new URLSearchParams(query), shared }) ?? (() => {});
  const part = document.getElementById(`h-${new URLSearchParams(query).get("on")}`);
  if (part) part.scrollIntoView({ block: "start" });
  else if (focus) main.querySelector("h1").focus();
}

function signIn(why = "") {
  for (const stop of stops) stop();
  stops = [];
  leave();
  leave = () => {};
  shared.watchers.clear();
  for (const id of ["search", "tabs", "leave", "pill"]) element(id).hidden = true;
  const text = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-hint" });
  const said = h("p", { class: "problem", role: "alert" }, why && key.get() ? why : "");
  const form = h(
    "form",
    { class: "card sign" },
    h("h1", {}, "What your stock is doing, live"),
    h("label", { for: "key" }, "API key"),
    text,
    h("p", { id: "key-hint", class: "hint" }, "It stays in this tab until the tab is closed. Make one that may look and change nothing:"),
    h("pre", {}, h("code", {}, MAKE_A_KEY)),
    said,
    h("button", { type: "submit" }, "Show the dashboard"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    key.set(text.value.trim());
    const fault = await refusal();
    if (fault) {
      key.forget();
      put(said, fault);
      text.select();
    } else start();
  });
  key.forget();
  element("main").replaceChildren(form);
  document.title = "holdfast";
  text.focus();
}

/** Why the key is of no use here; "" when it may read or see the figures. */
async function refusal() {
  const tried = await Promise.allSettled([call("/v1/overview"), call("/v1/sources?limit=1")]);
  if (tried.some((one) => one.status === "fulfilled" || one.reason.status === 0 || one.reason.status >= 500)) return "";
  return tried[0].reason.message;
}

window.addEventListener("hashchange", () => stops.length && route(true));
element("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("search-text").value.trim();
  if (!text) return;
  const found = await call(`/v1/skus/${encodeURIComponent(text)}`).catch(() => null);
  location.hash = found ? `#/sku/${encodeURIComponent(text)}` : `#/order/${encodeURIComponent(text)}`;
});
element("leave").addEventListener("click", () => signIn());

const first = await Promise.allSettled([call("/v1/overview")]);
if (first[0].status === "rejected" && first[0].reason.status === 401) signIn(first[0].reason.message);
else start();
