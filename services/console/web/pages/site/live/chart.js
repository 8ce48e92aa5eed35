/**
 * Charts of the last two minutes: small ones inside tiles, and larger ones with an axis and a legend.
 */
import { cx, html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { area, HEIGHT, line, places, roundUp, WIDTH } from "./shape.js";

const BOX = `0 0 ${WIDTH} ${HEIGHT}`;

/**
 * A line without words; the tile beside it says what it is.
 * @param {{points: object[], value: (point: any) => number|null, tone?: string}} props
 */
export function Spark({ points, value, tone = "series-1" }) {
  const values = points.map(value);
  const xs = places(points);
  const most = roundUp(Math.max(0, ...values.filter((each) => each !== null)));
  const whole = values.every((each) => each !== null);
  return html`<svg class=${cx("live-spark", tone)} viewBox=${BOX} preserveAspectRatio="none" aria-hidden="true">
    ${whole && html`<path class="live-area" d=${area(xs, values, values.map(() => 0), most)} />`}
    <path class="live-line" d=${line(xs, values, most)} />
  </svg>`;
}

/**
 * @param {{label: string, points: object[], series: {key: string, label: string, tone: string, value: (point: any) => number|null}[],
 *   format: (value: number) => string, stacked?: boolean}} props
 */
export function LiveChart({ label, points, series, format, stacked = false }) {
  const rows = series.map((each) => points.map(each.value));
  const tops = stacked ? sums(rows) : rows;
  const highest = Math.max(0, ...tops.flat().filter((each) => each !== null));
  const most = roundUp(highest);
  const xs = places(points);
  // Where a stacked series is nothing, its line would hide the one below.
  const edge = (top, row, at) => (stacked && at > 0 ? top.map((value, place) => (row[place] ? value : null)) : top);
  const said = series.map((each, at) => `${each.label}: ${shown(rows[at].at(-1), format)}`).join(", ");
  return html`<figure class="live-chart">
    <figcaption>
      <ul class="live-legend">
        ${series.map(
          (each, at) => html`<li key=${each.key} class=${each.tone}><span class="live-key" aria-hidden="true"></span><span class="live-name">${each.label}</span> <b>${shown(rows[at].at(-1), format)}</b></li>`,
        )}
      </ul>
    </figcaption>
    <div class="live-plot">
      <span class="live-most" aria-hidden="true">${highest > 0 && format(most)}</span>
      <span class="live-half" aria-hidden="true">${highest > 0 && format(most / 2) !== format(most) && format(most / 2)}</span>
      <svg viewBox=${BOX} preserveAspectRatio="none" role="img" aria-label=${`${label}: ${said}`}>
        <path class="live-grid" d=${`M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}`} />
        ${stacked && series.map((each, at) => html`<path key=${`${each.key}-area`} class=${cx("live-area", each.tone)} d=${area(xs, tops[at], tops[at - 1] ?? tops[at].map(() => 0), most)} />`)}
        ${series.map((each, at) => html`<path key=${each.key} class=${cx("live-line", each.tone)} d=${line(xs, edge(tops[at], rows[at], at), most)} />`)}
      </svg>
      <span class="live-from" aria-hidden="true">${t("live.two_minutes_ago")}</span>
      <span class="live-to" aria-hidden="true">${t("live.now")}</span>
    </div>
  </figure>`;
}

function sums(rows) {
  const found = [];
  rows.forEach((row, at) => found.push(row.map((value, place) => (value ?? 0) + (at ? found[at - 1][place] : 0))));
  return found;
}

function shown(value, format) {
  return value === null || value === undefined ? "–" : format(value);
}
