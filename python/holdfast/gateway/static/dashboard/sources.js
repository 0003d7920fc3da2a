// Sources: who reports, how fresh it is, and what was rejected of it.

import { clock, duration, h, number, put, section, table, to } from "./dom.js";

const ACTIONS = { serve: "sell on", widen: "keep more back", cap: "cap what is sold", restrict: "stop selling" };
const SHOWN_MAX = 12;

export function sources(root, { shared }) {
  const holder = h("div", { class: "stack" });
  root.append(holder);
  shared.watch(() => {
    const { feeds, feedsProblem, scope } = shared;
    put(holder, feedsProblem ? h("p", { class: "problem" }, feedsProblem.message) : all(feeds), scope ? systems(scope) : null, scope ? taken(scope) : null);
  });
}

function all(feeds) {
  return section(
    "Sources of facts",
    table(
      "Sources, those beyond their policy first, then the oldest",
      [
        ["Source", ({ source }) => source],
        ["Newest figure is of", ({ last_as_of: at, clock: kind }) => (at === null ? "–" : kind === "number" ? `number ${number(at)}` : clock(at))],
        ["Age", ({ age }) => (age === null ? "not known" : duration(age)), "n"],
        ["May be", ({ after, action }) => (after === null ? "no policy" : `${duration(after)}, then ${ACTIONS[action] ?? action}`)],
        ["", ({ stale, after }) => (after === null ? null : h("span", { class: stale ? "badge badge-bad" : "badge badge-good" }, stale ? "silent" : "fresh"))],
        ["Locations", ({ locations }) => places(locations)],
      ],
      feeds,
      { quiet: true, empty: "No source has reported anything yet. docs/facts.md says what an ERP can report." },
    ),
    feeds.length >= 200 ? h("p", { class: "hint" }, "The first 200 sources.") : null,
  );
}

const STATES = { working: "good", failing: "bad", resting: "bad", stopped: "bad" };

function systems(scope) {
  return section(
    "Systems",
    table(
      "Systems that processes beside the gateways talk to, those that do not work first",
      [
        ["System", ({ name }) => name],
        ["", ({ state }) => h("span", { class: `badge badge-${STATES[state] ?? "bad"}` }, state)],
        ["Wait", ({ waiting }) => number(waiting), "n"],
        ["Parked", ({ parked }) => number(parked), "n"],
        ["Why", ({ why }) => why || "–"],
      ],
      scope.systems,
      { quiet: true, empty: "None: no ERP, shop or webhook is connected from this directory." },
    ),
    h("p", { class: "hint" }, "holdfast erp status, holdfast webhooks list and holdfast woo status say more, and resume what rests or is parked."),
  );
}

function places(names) {
  if (!names.length) return "owns none";
  const more = names.length - SHOWN_MAX;
  return names.slice(0, SHOWN_MAX).join(", ") + (more > 0 ? ` and ${number(more)} more` : "");
}

function taken(scope) {
  const total = (name) => scope.all.reduce((sum, one) => sum + one.gateway[name], 0);
  const rejected = Object.entries(scope.all.reduce((sum, one) => added(sum, one.tallies.dead_letters ?? {}), {}));
  return section(
    "Facts since the processes began",
    table(
      "Facts accepted and rejected",
      [
        ["", ({ name }) => name],
        ["Facts", ({ count }) => number(count), "n"],
      ],
      [
        { name: "Accepted over HTTP", count: total("facts_accepted") },
        { name: "Rejected over HTTP", count: total("facts_rejected") },
        { name: "Messages that wait in IN", count: scope.inWaiting },
        ...rejected.map(([reason, count]) => ({ name: h("a", { href: to.troubles("letters", { reason }) }, `Rejected: ${reason}`), count })),
      ],
      { quiet: true },
    ),
  );
}

function added(sum, counts) {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
