// What happens, as it is published: one stream of events for a view, read again from its place when it breaks.
//
// In: the key, whether events are published here, where to begin. Out: each event once, in order. Always: nothing is
// asked where nobody publishes; a stream ends when its view is left; after a break it waits longer each time.

import { events, Problem } from "./api.js";

const FIRST_WAIT_MS = 1_000;
const WAIT_MAX_MS = 15_000;

/** `state`: says "none" (nobody publishes), "open", or why it is not. Ends with `signal`. */
export function follow(shared, { after = null, kinds = "" }, take, state, signal) {
  let place = after;
  let wait = FIRST_WAIT_MS;
  let running = false;
  const run = async () => {
    running = true;
    while (!signal.aborted) {
      try {
        const query = { ...(place === null ? {} : { after: place }), ...(kinds ? { kinds } : {}) };
        await events(query, { opened: () => state("open"), place: (id) => (place = id), take: (event) => ((wait = FIRST_WAIT_MS), take(event)) }, signal);
      } catch (error) {
        if (signal.aborted) return;
        state(error instanceof Problem ? error.message : "The stream of events has ended.");
        if (error instanceof Problem && (error.status === 401 || error.status === 403)) return;
      }
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(WAIT_MAX_MS, 2 * wait);
    }
  };
  shared.watch(() => {
    const published = shared.scope?.events ?? null;
    if (running || signal.aborted) return;
    if (published) run();
    else state(published === null ? "waiting" : "none");
  });
}
