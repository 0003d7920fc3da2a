// What is wrong, in sentences: the worst first. The first one names the bottleneck.
//
// In: the scope's figures, the sources with their policies, how many orders are in deficit. Out: findings, each with a
// level, a sentence, and where its explanation is. Always: a finding says what is seen, and nothing that is guessed.

import { bytes, duration, latency, number, to } from "./dom.js";

const SLOW_S = 0.1;
const BACKLOG = 1_000;
const WAITING_MS = 1_000;
const NEW_LEADER_MS = 60_000;

export function findings(scope, { feeds = [], deficits = null, unreachable = null, tookOver = null, now = Date.now() } = {}) {
  const found = [];
  const say = (level, text, href = null, link = null) => found.push({ level, text, href, link });
  if (unreachable) say("bad", `${unreachable} What follows is as it was then.`);
  if (!scope) return found;
  log(scope, say);
  leadership(scope, tookOver, now, say);
  load(scope, say);
  room(scope, say);
  systems(scope, say);
  stale(feeds, say);
  stock(scope, deficits, say);
  const order = { bad: 0, warn: 1 };
  found.sort((a, b) => order[a.level] - order[b.level]);
  if (!found.length) say("good", quiet(scope));
  return found;
}

function quiet({ answers, holds, holding, answering }) {
  if (answers + holds < 0.05) return "All is well, and nobody asks: no answers and no holds in the last seconds.";
  const [name, p99] = holding[1] !== null ? ["a hold", holding[1]] : ["an answer", answering[1]];
  const took = p99 === null ? "" : ` 99 of 100 times ${name} takes less than ${latency(p99)}.`;
  return `All is well: nothing waits, nothing is turned away for lack of room.${took}`;
}

function log(scope, say) {
  const cause = scope.reasons.find((reason) => /the log|log/.test(reason));
  if (scope.notReady.length) {
    const who = scope.notReady.join(", ");
    say("bad", `${who} ${scope.notReady.length > 1 ? "take" : "takes"} no requests now: ${cause ?? scope.reasons[0] ?? "it gives no reason"}.`);
  } else if (scope.appendMs >= WAITING_MS) {
    say("bad", `The log is the bottleneck: the batch under way has waited ${duration(scope.appendMs)} for it.`);
  }
  for (const { node, cause: why, why: detail } of scope.quarantine) {
    say("bad", `${node} is in quarantine (${why}): ${detail}. It does not lead; run holdfast verify.`);
  }
  if (scope.differs.length) say("bad", `The state of ${scope.differs.join(", ")} differs from another process's: run holdfast verify.`);
}

function leadership(scope, tookOver, now, say) {
  if (!scope.lead.alive) say("bad", "Nobody leads: answers go on, holds wait or are refused with 503 until one process leads.");
  if (tookOver && now - tookOver.now < NEW_LEADER_MS) {
    const again = tookOver.from === tookOver.to ? `${tookOver.to} leads again` : `${tookOver.to} took the lead from ${tookOver.from}`;
    say("warn", `${again} ${duration(now - tookOver.now)} ago.`);
  }
  if (scope.seen < scope.processes) return;
  const behind = scope.all.filter((one) => one.lag_facts > BACKLOG).map((one) => one.node);
  if (behind.length) say("warn", `${behind.join(", ")} lags behind LOG by ${number(scope.lag)} batches: its answers are old.`);
}

function load(scope, say) {
  if (scope.faults) say("bad", `${number(scope.faults)} requests were answered 500 in the last minutes: a fault in holdfast; its log has the incident.`);
  if (scope.shed > 0) say("bad", `Too many requests are under way: ${number(scope.shed)} a second are turned away.`);
  if (scope.inWaiting > BACKLOG) {
    say("warn", `Facts come faster than they are taken in: ${number(scope.inWaiting)} messages wait in IN. Checkout goes first.`);
  }
  const [, p99] = scope.holding;
  if (p99 !== null && p99 > SLOW_S) say("warn", `Holds are slow: 1 of 100 takes longer than ${latency(p99)}.`);
  if (scope.throttled > 0) {
    say("warn", `A client is throttled: ${number(scope.throttled)} of its requests a second are answered 429, beyond the rate of its key.`);
  }
  for (const alarm of scope.alarms.filter((one) => one.lately)) {
    say("warn", `The alarm ${alarm.name} was raised ${alarm.lately > 1 ? `${number(alarm.lately)} times ` : ""}in the last minutes.`);
  }
}

function room({ disk }, say) {
  if (!disk || disk.free_bytes >= disk.wanted_bytes) return;
  say("bad", `The disk is nearly full: ${bytes(disk.free_bytes)} of ${bytes(disk.bytes)} are free, and ${bytes(disk.wanted_bytes)} must be.`, "#/now?on=what-waits", "What waits");
}

const DOES = { failing: "does not work", resting: "is not called any more until somebody resumes it", stopped: "is not served" };

function systems(scope, say) {
  for (const { name, state, why, waiting, parked } of scope.systems) {
    const left = waiting ? ` ${number(waiting)} messages wait for it.` : "";
    if (state !== "working") say("bad", `The ${name} ${DOES[state] ?? state}: ${why || "no reason is given"}.${left}`, "#/sources?on=systems", "Systems");
    else if (parked) say("warn", `The ${name} does not take ${number(parked)} of its messages: they are parked until somebody looks.`, "#/sources?on=systems", "Systems");
  }
}

function stale(feeds, say) {
  const late = feeds.filter((feed) => feed.stale);
  if (late.length === 1) {
    const [{ source, age, after }] = late;
    say("bad", `The source ${source} is silent: its newest figure is ${duration(age)} old, and may be ${duration(after)}.`, "#/sources", "Sources");
  } else if (late.length) {
    const names = late.slice(0, 3).map((one) => one.source).join(", ");
    say("bad", `${number(late.length)} sources are older than their policy allows: ${names}${late.length > 3 ? ", …" : ""}.`, "#/sources", "Sources");
  }
}

function stock(scope, deficits, say) {
  if (deficits?.count) {
    const many = `${number(deficits.count)}${deficits.more ? " or more" : ""}`;
    say("warn", `${many} ${deficits.count === 1 ? "order has" : "orders have"} units that no stock covers any more.`, to.troubles("deficits"), "Deficits");
  }
  if (scope.deadLettersLately) {
    say("warn", `${number(scope.deadLettersLately)} ${scope.deadLettersLately === 1 ? "fact was" : "facts were"} rejected in the last minutes.`, to.troubles("letters"), "Dead letters");
  }
  const short = scope.refusals.find((one) => one.name === "insufficient-stock");
  const refused = short?.rate ?? 0;
  if (refused > 0.2 && refused > scope.holds * 0.2) {
    say("warn", `Shoppers ask in vain: ${number(refused)} holds a second are refused for lack of stock.`, to.troubles("refused"), "Refused");
  }
}
