/**
 * Figures as lines: where a second stands in a chart, and how high. Drawn anew each second, so there is no library in it.
 */
import { SPAN_S } from "./stream.js";

/** Units of a chart's own space, which is stretched to what there is. */
export const WIDTH = SPAN_S;
export const HEIGHT = 100;

const STEPS = [1, 2, 2.5, 5, 10];

/**
 * The end of an axis that has room for a value: 1, 2, 2.5 or 5 times a power of ten.
 * @param {number} value
 */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * STEPS.find((step) => value <= step * power * 1.000001);
}

/**
 * Where points stand: the newest at the right edge, a second for each unit.
 * @param {{at_ms: number}[]} points
 * @returns {number[]}
 */
export function places(points) {
  const last = points.at(-1)?.at_ms ?? 0;
  return points.map((point) => WIDTH - (last - point.at_ms) / 1000);
}

/**
 * A line through values, broken where there is none.
 * @param {number[]} xs
 * @param {(number|null)[]} values
 * @param {number} most what reaches the upper edge
 * @returns {string} the `d` of a path
 */
export function line(xs, values, most) {
  let open = false;
  let path = "";
  values.forEach((value, at) => {
    if (value === null || value === undefined) {
      open = false;
      return;
    }
    // A single second between two gaps would be no line: a point is drawn as a very short one.
    const lonely = !open && (values[at + 1] === null || values[at + 1] === undefined);
    path += `${open ? "L" : "M"}${xs[at].toFixed(1)} ${height(value, most)}${lonely ? "h0.4" : ""}`;
    open = true;
  });
  return path;
}

/**
 * The area between two rows of values.
 * @param {number[]} xs
 * @param {number[]} upper
 * @param {number[]} lower
 * @param {number} most
 */
export function area(xs, upper, lower, most) {
  if (xs.length === 0) return "";
  const there = xs.map((x, at) => `${x.toFixed(1)} ${height(upper[at], most)}`);
  const back = xs.map((x, at) => `${x.toFixed(1)} ${height(lower[at], most)}`).reverse();
  return `M${there.join("L")}L${back.join("L")}Z`;
}

function height(value, most) {
  return (HEIGHT - (Math.min(value, most) / most) * HEIGHT).toFixed(1);
}
