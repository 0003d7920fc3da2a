// Calls of the gateway with the key that was typed in.
//
// In: a path. Out: JSON, or a Problem that says in a sentence what is wrong and what to do. Always: the key is in the
// session's storage and in the Authorization header, nowhere else; every call has a deadline.

const KEY = "holdfast-key";
const DEADLINE_MS = 8_000;

export class Problem extends Error {
  constructor(status, name, message, operation = "") {
    super(message);
    Object.assign(this, { status, problem: name, operation });
  }
}

export const MAKE_A_KEY = "holdfast keys add dashboard --operations read,metrics,events,audit,refusals";
const NEEDED = `A key for this page: ${MAKE_A_KEY}`;

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers(more = {}) {
  return key.get() ? { Authorization: `Bearer ${key.get()}`, ...more } : more;
}

export async function call(path, { method = "GET", body, deadline = DEADLINE_MS } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(deadline),
    });
  } catch (fault) {
    const why = fault.name === "TimeoutError" ? `No answer within ${deadline / 1000} s.` : "The gateway cannot be reached.";
    throw new Problem(0, "unreachable", why);
  }
  if (answer.ok) return answer.json();
  throw await problemOf(answer);
}

async function problemOf(answer) {
  const found = await answer.json().catch(() => ({}));
  const name = String(found.type ?? "").split(":").pop() || `status ${answer.status}`;
  if (answer.status === 401) return new Problem(401, name, `The gateway does not know this key, or it has ended. ${NEEDED}`);
  if (answer.status === 403 && found.operation) {
    return new Problem(403, name, `This key lacks the operation “${found.operation}”. ${NEEDED}`, found.operation);
  }
  return new Problem(answer.status, name, found.detail || found.title || `The gateway answered ${answer.status}.`);
}

/** The calls that this gateway has, by its own document: what is not there is not offered. */
let paths = null;
export async function has(path) {
  paths ??= call("/openapi.json").then((document) => new Set(Object.keys(document.paths)));
  try {
    return (await paths).has(path);
  } catch {
    paths = null;
    return false;
  }
}

/** Events as they are published, until `signal` or the server ends it. `take` gets each, `place` each id that came. */
export async function events(query, { opened, take, place }, signal) {
  const answer = await fetch(`/v1/events?${new URLSearchParams(query)}`, { headers: headers(), signal });
  if (!answer.ok) throw await problemOf(answer);
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n");
      const of = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
      if (of("event").includes("end")) return;
      if (of("data").length) take(JSON.parse(of("data").join("\n")));
      if (of("id").length) place(of("id").at(-1));
    }
  }
}

/** Repeat `work` every `every` ms while the page is seen; wait longer after failures. Returns what stops it. */
export function poll(work, every, report = () => {}) {
  let timer = 0;
  let failures = 0;
  let stopped = false;
  const turn = async () => {
    clearTimeout(timer);
    if (stopped || document.hidden) return;
    try {
      await work();
      failures = 0;
      report(null, 0);
    } catch (error) {
      failures += 1;
      if (!(error instanceof Problem)) console.error(error);
      report(error, Math.min(15_000, every * 2 ** (failures - 1)));
    }
    if (!stopped) timer = setTimeout(turn, Math.min(15_000, every * 2 ** Math.max(0, failures - 1)));
  };
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}
