// Now: what is wrong, how much is sold and how fast, what waits, who leads.
//
// In: the scope's figures. Out: the view. Always: each number leads to where it is explained.

import { chart, spark } from "./chart.js";
import { bytes, duration, h, latency, number, put, section, share, table, to } from "./dom.js";
import { REFUSALS } from "./refusals.js";
import { happenings } from "./happenings.js";
import { findings } from "./verdict.js";

const YEAR_S = 31_536_000;
const DISK_SOON_S = 86_400;

export function now(root, { shared }) {
  const verdict = h("div", { class: "verdict", role: "status", "aria-label": "What is wrong" });
  const rest = h("div", { class: "stack" });
  const beside = h("div", { class: "stack" });
  root.append(verdict, rest, beside);
  const leave = happenings(beside, shared);
  shared.watch(() => {
    const { scope, feeds, deficits, unreachable, lacks, figures } = shared;
    if (lacks && !scope) put(verdict, h("p", { class: "problem" }, lacks.message));
    else put(verdict, findings(scope, { feeds, deficits, unreachable, tookOver: figures.tookOver }).map(sentence));
    if (scope) put(rest, tiles(shared), charts(shared), h("div", { class: "columns" }, refused(scope), fresh(shared)), processes(shared), h("div", { class: "columns" }, queues(scope), alarms(scope)));
  });
  return leave;
}

function sentence({ level, text, href, link }, n) {
  return h("p", { class: `finding finding-${level}${n ? "" : " finding-first"}` }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, text, href ? [" ", h("a", { href }, link)] : null));
}

function tile(name, value, { unit = "", note = "", href = null, line = null, bad = false } = {}) {
  return h(
    "li",
    { class: `tile${bad ? " tile-bad" : ""}` },
    h("span", { class: "what" }, name),
    h("span", { class: "value" }, href ? h("a", { href }, value) : value, unit ? h("small", {}, ` ${unit}`) : null),
    h("span", { class: "note" }, note || "\u00a0"),
    line,
  );
}

function tiles({ scope, figures, feeds, deficits, letters }) {
  const line = (name, says) => spark(figures.series(name), says);
  const [answer50, answer99] = scope.answering;
  const [hold50, hold99] = scope.holding;
  const oldest = feeds.find((feed) => feed.age !== null);
  const stale = feeds.filter((feed) => feed.stale).length;
  return h(
    "ul",
    { class: "tiles", "aria-label": "The scope now" },
    tile("Sellable answers", number(scope.answers), { unit: "/s", note: `p50 ${latency(answer50)}, p99 ${latency(answer99)}`, href: "#/sku", line: line("answers", "Answers a second, the last five minutes") }),
    tile("Holds", number(scope.holds), { unit: "/s", note: `p50 ${latency(hold50)}, p99 ${latency(hold99)}`, href: to.orders({ state: "held" }), line: line("holds", "Holds a second, the last five minutes") }),
    tile("Refused", number(scope.refused), { unit: "/s", note: mostRefused(scope), href: to.troubles("refused"), line: line("refused", "Refusals a second, the last five minutes") }),
    tile("Throttled", number(scope.throttled), { unit: "/s", note: scope.shed ? `${number(scope.shed)}/s for lack of room` : "429, rate of a key", bad: scope.throttled > 0 || scope.shed > 0, href: "#/now?on=refused-by-reason", line: line("throttled", "Throttled requests a second, the last five minutes") }),
    tile("Waiting in IN", number(scope.inWaiting), { note: "messages of facts", bad: scope.inWaiting > 1_000, href: "#/sources", line: line("inWaiting", "Messages that wait in IN, the last five minutes") }),
    tile("Lag of LOG", number(scope.lag), { note: "batches not applied here", bad: scope.lag > 1_000, href: "#/now?on=processes", line: line("lag", "Batches that a process lags behind, the last five minutes") }),
    tile("Dead letters", letters ? upTo(letters) : number(scope.deadLetters), { note: scope.deadLettersLately ? `${number(scope.deadLettersLately)} more in the last minutes` : "facts that were rejected", bad: scope.deadLettersLately > 0, href: to.troubles("letters") }),
    tile("Orders in deficit", deficits ? upTo(deficits) : "–", { note: "units that nothing covers", bad: Boolean(deficits?.count), href: to.troubles("deficits") }),
    tile("Oldest source", oldest ? duration(oldest.age) : "–", { note: stale ? `${number(stale)} beyond policy` : oldest ? oldest.source : "nothing reported yet", bad: stale > 0, href: "#/sources" }),
    disk(scope),
  );
}

function disk({ keptBytes: kept, keptBudget: budget, keptLeftS: left }) {
  const soon = left < DISK_SOON_S;
  const until = left < 10 * YEAR_S ? `its budget lasts ${duration(left * 1000)}` : "of its budget";
  return tile("Disk", budget ? share(kept, budget) : bytes(kept), { note: budget ? until : "kept", bad: soon, href: "#/now?on=what-waits" });
}

function upTo({ count, more }) {
  return `${number(count)}${more ? "+" : ""}`;
}

function mostRefused({ refusals }) {
  const [most] = refusals;
  return most && most.rate > 0 ? `mostly ${most.name}` : "every reason";
}

function charts({ figures }) {
  const line = (name, series, kind) => ({ name, points: figures.series(series), kind });
  return h(
    "div",
    { class: "columns" },
    chart("A second", [line("Answers", "answers", "a"), line("Holds", "holds", "b"), line("Refused", "refused", "c")]),
    chart("Time of a hold", [line("p50", "p50", "b"), line("p99", "p99", "a")], latency),
  );
}

function refused({ refusals }) {
  const rows = refusals.filter((one) => one.total > 0);
  return section(
    "Refused, by reason",
    table(
      "Refusals of every kind, by the name of the problem",
      [
        ["Reason", ({ name }) => [h("b", {}, REFUSALS[name]?.href ? h("a", { href: REFUSALS[name].href }, name) : name), h("small", {}, REFUSALS[name]?.text ?? "")]],
        ["A second", ({ rate }) => number(rate), "n"],
        ["Since start", ({ total }) => number(total), "n"],
      ],
      rows,
      { quiet: true, empty: "Nothing was refused since the processes began." },
    ),
  );
}

function fresh({ feeds, feedsProblem }) {
  if (feedsProblem) return section("How fresh the sources are", h("p", { class: "problem" }, feedsProblem.message));
  return section(
    "How fresh the sources are",
    table(
      "Sources, those beyond their policy first",
      [
        ["Source", ({ source }) => h("a", { href: "#/sources" }, source)],
        ["Newest figure", ({ age, clock: kind }) => (age === null ? (kind === "number" ? "numbers, no times" : "–") : `${duration(age)} ago`)],
        ["Policy", ({ after, stale }) => (after === null ? "none" : h("span", { class: stale ? "badge badge-bad" : "badge badge-good" }, `${stale ? "beyond" : "within"} ${duration(after)}`))],
      ],
      feeds.slice(0, 8),
      { quiet: true, empty: "No source has reported anything yet." },
    ),
    feeds.length > 8 ? h("p", {}, h("a", { href: "#/sources" }, `All ${number(feeds.length)} sources`)) : null,
  );
}

function processes({ scope }) {
  const seen = new Map(scope.all.map((one) => [one.node, one]));
  const peers = new Map(scope.all.flatMap((one) => one.peers.map((peer) => [peer.node, peer])));
  const rows = [...new Set([...seen.keys(), ...peers.keys()])].sort().map((node) => ({ node, own: seen.get(node), peer: peers.get(node) }));
  return section(
    "Processes",
    table(
      "Processes of the scope",
      [
        ["Process", ({ node }) => [node, scope.all.at(-1) && seen.size === 1 && seen.has(node) ? h("small", {}, "answers this page") : null]],
        ["Role", ({ own, peer }) => h("span", { class: (own?.role ?? peer?.role) === "leader" || peer?.role === "leading" ? "badge badge-good" : "badge" }, own ? own.role : peer.role)],
        ["Up", ({ own }) => (own ? duration(own.uptime_s * 1000) : "–"), "n"],
        ["LOG", ({ own, peer }) => number(own?.sequence ?? peer?.sequence), "n"],
        ["Lag", ({ own }) => (own ? number(own.lag_facts) : "–"), "n"],
        ["State", ({ peer }) => ({ same: "same as the others", differs: h("span", { class: "badge badge-bad" }, "differs") })[peer?.digest] ?? "not compared yet"],
        ["Takes requests", ({ own }) => (own ? (own.ready ? "yes" : own.reasons.join("; ")) : "did not answer lately")],
      ],
      rows,
      { quiet: true },
    ),
    scope.seen < scope.processes ? h("p", { class: "hint" }, `Figures of ${number(scope.seen)} of ${number(scope.processes)} processes; the others have not answered this page yet.`) : null,
  );
}

function queues(scope) {
  const { keptBytes: kept, keptBudget: budget } = scope;
  const rows = [
    ["Writes that wait for the next batch", scope.commandsWaiting],
    ["Reads that wait for the batch under way", scope.readsWaiting],
    ["Requests being answered", scope.inFlight],
    ["Writes decided a second", scope.decided],
  ].map(([name, value]) => ({ name, value: number(value) }));
  rows.push({ name: "Batch under way has waited for the log", value: duration(scope.appendMs) });
  if (scope.disk) rows.push({ name: "Free on the disk", value: `${bytes(scope.disk.free_bytes)} of ${bytes(scope.disk.bytes)}` });
  if (kept) rows.push({ name: "Kept on the disk", value: budget ? `${bytes(kept)} of ${bytes(budget)}` : bytes(kept) });
  return section("What waits", table("Queues", [["Queue", ({ name }) => name], ["Now", ({ value }) => value, "n"]], rows, { quiet: true }));
}

function alarms({ alarms: raised }) {
  return section(
    "Alarms",
    table(
      "Alarms since the processes began",
      [
        ["Alarm", ({ name }) => name],
        ["Last minutes", ({ lately }) => number(lately), "n"],
        ["Since start", ({ total }) => number(total), "n"],
      ],
      raised,
      { quiet: true, empty: "None since the processes began." },
    ),
    h("p", { class: "hint" }, "The log line of each alarm has the detail, and docs/operations.md what to do."),
  );
}
