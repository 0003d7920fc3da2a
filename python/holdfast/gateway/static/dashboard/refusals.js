// What each problem means to a retailer, and where more about it is.

import { to } from "./dom.js";

export const REFUSALS = {
  "insufficient-stock": { text: "not enough to sell", href: to.troubles("refused") },
  "unknown-sku": { text: "no fact ever named this SKU" },
  "unknown-channel": { text: "the channel is not declared" },
  "unknown-reservation": { text: "no such cart or order" },
  oversold: { text: "paid too late, and the stock is gone", href: to.orders({ state: "oversold" }) },
  deficit: { text: "held units that no stock covers", href: to.troubles("deficits") },
  "reservation-closed": { text: "the cart had ended, or was an order already" },
  "stale-revision": { text: "an older version of a cart came late" },
  "owner-limit": { text: "one shopper holds too much" },
  "renewals-exhausted": { text: "a cart was renewed too often" },
  "idempotency-conflict": { text: "one key for two different requests" },
  "rate-limited": { text: "beyond the rate of the key" },
  overloaded: { text: "too many requests under way" },
  "no-leader": { text: "nobody led at that moment" },
  "log-unavailable": { text: "the log did not answer" },
  unauthenticated: { text: "no key, or one that is not in force" },
  forbidden: { text: "the key may not do that" },
  invalid: { text: "a request with a wrong field" },
  "malformed-json": { text: "a body that is no JSON" },
  "malformed-request": { text: "a request line or header that cannot be read" },
  "not-found": { text: "no such path" },
  "too-large": { text: "a body that is too large" },
  "request-timeout": { text: "a request that never ended" },
  internal: { text: "a fault in holdfast" },
};
