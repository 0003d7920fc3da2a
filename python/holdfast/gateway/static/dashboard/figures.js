// From the counters of each process to the figures of the scope.
//
// In: answers of /v1/overview, each of one process. Out: rates, quantiles and queues over all processes that were seen.
// Always: a counter is compared only with an earlier one of the same run of the same process; a bounded history.

const WINDOW_S = 10;
const LATENCY_WINDOW_S = 30;
const HISTORY_S = 300;
const SILENT_S = 20;
const HISTORY_MAX = 200;

const ANSWERS = ["availability", "availabilities", "validate"];
const HOLDS = ["reserve"];
const WRITES = ["reserve", "reserve_batch", "confirm"];

export class Figures {
  constructor() {
    this.runs = new Map(); // "node pid" -> samples, the oldest first
    this.history = []; // a summary's few numbers, for the charts
    this.newest = null;
    this.leads = null; // who led last, and since when
    this.tookOver = null; // the last change of leaders
  }

  /** An overview that came at `now` (ms). */
  add(overview, now = Date.now()) {
    const name = `${overview.node} ${overview.pid}`;
    for (const [other, samples] of this.runs) {
      const last = samples.at(-1);
      const replaced = last.overview.node === overview.node && other !== name;
      if (replaced || now - last.now > SILENT_S * 1000) this.runs.delete(other);
    }
    const samples = this.runs.get(name) ?? [];
    samples.push({ overview, now });
    while (samples.length > HISTORY_MAX || now - samples[0].now > HISTORY_S * 1000) samples.shift();
    this.runs.set(name, samples);
    this.newest = overview;
  }

  /** The latest overview of each process. */
  latest() {
    return [...this.runs.values()].map((samples) => samples.at(-1).overview).sort((a, b) => a.node.localeCompare(b.node));
  }

  /** How much `read` grew per second over all processes. */
  rate(read, window = WINDOW_S) {
    let sum = 0;
    for (const samples of this.runs.values()) {
      const [before, after] = ends(samples, window);
      const seconds = after.uptime_s - before.uptime_s;
      if (seconds > 0) sum += Math.max(0, (read(after) ?? 0) - (read(before) ?? 0)) / seconds;
    }
    return sum;
  }

  /** How much `read` grew within the history that is kept. */
  grew(read) {
    let sum = 0;
    for (const samples of this.runs.values()) {
      sum += Math.max(0, (read(samples.at(-1).overview) ?? 0) - (read(samples[0].overview) ?? 0));
    }
    return sum;
  }

  total(read) {
    return this.latest().reduce((sum, one) => sum + (read(one) ?? 0), 0);
  }

  /** Growth per second by name, of an object of counters: the largest first. */
  rates(object, window = 60) {
    const names = new Set(this.latest().flatMap((one) => Object.keys(object(one))));
    return [...names]
      .map((name) => ({
        name,
        rate: this.rate((one) => object(one)[name] ?? 0, window),
        total: this.total((one) => object(one)[name] ?? 0),
      }))
      .sort((a, b) => b.rate - a.rate || b.total - a.total);
  }

  /** Quantiles of the duration of these calls, lately; null where there were none. */
  quantiles(calls, of = [0.5, 0.99]) {
    let sum = null;
    let bounds = [];
    for (const samples of this.runs.values()) {
      const [before, after] = ends(samples, LATENCY_WINDOW_S);
      bounds = after.bounds_s;
      for (const call of calls) {
        const late = after.calls[call]?.within;
        if (!late || before === after) continue;
        const early = before.calls[call]?.within ?? late.map(() => 0);
        sum ??= late.map(() => 0);
        late.forEach((count, n) => (sum[n] += Math.max(0, count - early[n])));
      }
    }
    return of.map((share) => (sum ? quantile(sum, bounds, share) : null));
  }

  /** The figures of the scope now. */
  summary() {
    const all = this.latest();
    const lead = leaderOf(all);
    const first = lead.overview ?? this.newest;
    const known = new Set([...all.map((one) => one.node), ...all.flatMap((one) => one.peers.map((peer) => peer.node))]);
    const calls = (names) => (one) => names.reduce((sum, name) => sum + (one.calls[name]?.answered["2xx"] ?? 0), 0);
    const figure = (name) => (one) => one.figures[name];
    return {
      all,
      lead,
      processes: known.size,
      seen: all.length,
      answers: this.rate(calls(ANSWERS)),
      holds: this.rate(calls(HOLDS)),
      confirms: this.rate(calls(["confirm"])),
      decided: this.rate((one) => (one.role === "leader" ? one.figures.commands_answered : 0)),
      refused: this.rate((one) => Object.values(one.refusals).reduce((sum, count) => sum + count, 0)),
      throttled: this.rate((one) => one.refusals["rate-limited"] ?? 0),
      shed: this.rate((one) => one.gateway.requests_shed + one.gateway.connections_refused),
      faults: this.grew((one) => one.gateway.faults),
      answering: this.quantiles(ANSWERS),
      holding: this.quantiles(HOLDS),
      writing: this.quantiles(WRITES),
      inWaiting: first?.in_waiting ?? 0,
      lag: Math.max(0, ...all.map((one) => one.lag_facts)),
      appendMs: Math.max(0, ...all.map((one) => one.figures.append_waiting_ms ?? 0)),
      commandsWaiting: this.total(figure("commands_waiting")),
      readsWaiting: this.total(figure("reads_waiting")),
      inFlight: this.total((one) => one.gateway.requests_in_flight),
      deadLetters: all.some((one) => one.figures.dead_letters_stored !== undefined) ? Math.max(...all.map((one) => one.figures.dead_letters_stored ?? 0)) : null,
      deadLettersLately: this.grew(figure("dead_letters")),
      keptBytes: Math.max(0, ...all.map((one) => Object.values(one.tallies.kept_bytes ?? {}).reduce((sum, part) => sum + part, 0))),
      keptBudget: Math.max(0, ...all.map((one) => one.figures.kept_budget_bytes ?? 0)),
      keptLeftS: Math.min(...all.map((one) => one.figures.kept_left_seconds ?? Infinity)),
      systems: systemsOf(all),
      disk: tightest(all),
      refusals: this.rates((one) => one.refusals),
      alarms: this.alarms(),
      tallies: first?.tallies ?? {},
      events: all.some((one) => one.events) || (all.some((one) => one.events === null) ? null : false),
      reasons: [...new Set(all.flatMap((one) => one.reasons))],
      notReady: all.filter((one) => !one.ready).map((one) => one.node),
      quarantine: all.flatMap((one) => Object.entries(one.quarantine).map(([cause, why]) => ({ node: one.node, cause, why }))),
      differs: all.flatMap((one) => one.peers.filter((peer) => peer.digest === "differs").map((peer) => peer.node)),
    };
  }

  alarms() {
    const names = new Set(this.latest().flatMap((one) => Object.keys(one.alarms)));
    return [...names].sort().map((name) => ({
      name,
      total: this.total((one) => one.alarms[name] ?? 0),
      lately: this.grew((one) => one.alarms[name] ?? 0),
    }));
  }

  /** Remember what the charts show. */
  note(summary, now = Date.now()) {
    const { answers, holds, refused, answering, holding, inWaiting, lag, throttled } = summary;
    const [p50, p99] = holding;
    this.history.push({ now, answers, holds, refused, inWaiting, lag, throttled, p50, p99, answer99: answering[1] });
    const { node, epoch, alive } = summary.lead;
    if (alive && this.leads && this.leads.epoch !== epoch) this.tookOver = { from: this.leads.node, to: node, now };
    if (alive && this.leads?.epoch !== epoch) this.leads = { node, epoch };
    while (this.history.length > HISTORY_MAX || now - this.history[0].now > HISTORY_S * 1000) this.history.shift();
  }

  series(name) {
    return this.history.map((point) => [point.now, point[name]]);
  }
}

/** Systems that processes beside the gateways talk to, each once; those that do not work first. */
function systemsOf(all) {
  const found = new Map();
  for (const one of all.flatMap((overview) => overview.systems ?? [])) {
    if ((found.get(one.name)?.state ?? "working") === "working") found.set(one.name, one);
  }
  return [...found.values()].sort((a, b) => (a.state === "working") - (b.state === "working") || a.name.localeCompare(b.name));
}

/** The disk with the least room. */
function tightest(all) {
  const room = (disk) => disk.free_bytes - disk.wanted_bytes;
  return all.map((one) => one.disk).reduce((best, disk) => (disk && (!best || room(disk) < room(best)) ? disk : best), null);
}

/** The newest sample, and the one about `window` seconds before it. */
function ends(samples, window) {
  const after = samples.at(-1);
  let before = samples[0];
  for (const sample of samples) {
    if (after.overview.uptime_s - sample.overview.uptime_s < window) break;
    before = sample;
  }
  return [before.overview, after.overview];
}

/** By linear interpolation within its bucket; Infinity above the last bound; null of nothing. */
export function quantile(counts, bounds, share) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (!all) return null;
  let left = share * all;
  for (let n = 0; n < bounds.length; n += 1) {
    if (counts[n] && left <= counts[n]) {
      const low = n ? bounds[n - 1] : 0;
      return low + ((bounds[n] - low) * left) / counts[n];
    }
    left -= counts[n];
  }
  return Infinity;
}

/** Who leads, by the process with the highest epoch; `alive` is false when nobody lately said that it leads. */
function leaderOf(all) {
  const newest = all.reduce((best, one) => (best && best.epoch >= one.epoch ? best : one), null);
  if (!newest) return { node: null, alive: false, epoch: 0, overview: null };
  const overview = all.find((one) => one.role === "leader" && one.epoch === newest.epoch) ?? null;
  const peer = all.flatMap((one) => one.peers).find((one) => one.role === "leading" && one.epoch === newest.epoch && one.age_ms < 2_500);
  return { node: newest.leader, alive: Boolean(overview || peer), epoch: newest.epoch, overview };
}
