// Charts of the last minutes, as SVG that follows the page's colours.
//
// In: points [time in ms, value or null]. Out: a picture with a sentence for those who cannot see it. Always: a null
// leaves a gap; the scale begins at 0.

import { h, number, s } from "./dom.js";

const SPANS_MS = [60_000, 120_000, 300_000];

/** The shortest span that has all points; at most the longest one. */
function spanOf(lines) {
  const times = lines.flatMap((points) => (points.length ? [points.at(-1)[0] - points[0][0]] : []));
  return SPANS_MS.find((span) => span >= Math.max(0, ...times)) ?? SPANS_MS.at(-1);
}

/** A line without axes, for a tile. */
export function spark(points, label) {
  const [width, height] = [120, 28];
  const most = Math.max(1e-9, ...points.map(([, value]) => finite(value) ?? 0));
  const scale = scaled(width, height - 2, most, points.at(-1)?.[0] ?? Date.now(), spanOf([points]));
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("path", { class: "line", d: path(points, scale), "vector-effect": "non-scaling-stroke" }),
  );
}

/** Lines with a scale and a legend. `lines`: [{name, points, kind}]. */
export function chart(title, lines, show = number) {
  const [width, height, left, bottom] = [560, 190, 66, 22];
  const end = Math.max(...lines.map(({ points }) => points.at(-1)?.[0] ?? 0)) || Date.now();
  const most = round(Math.max(0, ...lines.flatMap(({ points }) => points.map(([, value]) => finite(value) ?? 0))));
  const span = spanOf(lines.map(({ points }) => points));
  const scale = scaled(width - left - 8, height - bottom - 10, most || 1, end, span, left, 10);
  const levels = [0, 0.5, 1].map((part) => part * (most || 1));
  const label = lines.map(({ name, points }) => `${name} ${show(points.at(-1)?.[1] ?? null)}`).join(", ");
  return h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      {},
      h("span", { class: "title" }, title),
      h(
        "span",
        { class: "legend" },
        lines.map(({ name, points, kind }) =>
          h("span", { class: `key key-${kind}` }, `${name} `, h("b", {}, show(points.at(-1)?.[1] ?? null))),
        ),
      ),
    ),
    s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${label}` },
      levels.map((level) => {
        const [, y] = scale([end, level]);
        return [
          s("line", { class: "grid", x1: left, x2: width - 8, y1: y, y2: y }),
          s("text", { class: "tick", x: left - 8, y: y + 4, "text-anchor": "end" }, show(level)),
        ];
      }),
      [0.8, 0.6, 0.4, 0.2, 0].map((part) => {
        const [x] = scale([end - part * span, 0]);
        const text = part ? `−${ago(part * span)}` : "now";
        return s("text", { class: "tick", x, y: height - 3, "text-anchor": part ? "middle" : "end" }, text);
      }),
      lines.map(({ points, kind }) => s("path", { class: `line line-${kind}`, d: path(points, scale) })),
    ),
  );
}

function finite(value) {
  return value === null || value === undefined || !Number.isFinite(value) ? null : value;
}

function ago(ms) {
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

function scaled(width, height, most, end, span, x0 = 0, y0 = 1) {
  return ([time, value]) => [
    Math.round(10 * (x0 + width * (1 - Math.min(1, (end - time) / span)))) / 10,
    Math.round(10 * (y0 + height * (1 - value / most))) / 10,
  ];
}

function path(points, scale) {
  let text = "";
  let draws = false;
  for (const [time, value] of points) {
    if (finite(value) === null) draws = false;
    else {
      text += `${draws ? "L" : "M"}${scale([time, value]).join(" ")}`;
      draws = true;
    }
  }
  return text;
}

/** The next of 1, 2, 5, 10, 20 ... */
function round(value) {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}
