/**
 * Charts over time, by uPlot, in the theme's colours; the same figures as a table for whoever does not see them.
 */
import { cx, html, useEffect, useRef, useState } from "../core/html.js";
import { compact, date } from "../core/format.js";
import { loadScript, loadStyle } from "../core/styles.js";
import { colourOf, useColours } from "../core/theme.js";
import { locale, t, useLanguage } from "../core/words.js";
import { Button } from "./button.js";

const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6", "--series-7", "--series-8"];
const DAY_S = 86_400;
const FILL_ALPHA = 0.14;
const DAYS_APART = [1, 2, 7, 14, 30, 60].map((days) => days * DAY_S);

let library = null;

function load() {
  library ??= Promise.all([loadScript("vendor/uplot.js"), loadStyle("vendor/uplot.css")]).then(() => globalThis.uPlot);
  return library;
}

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(number|null)[]} values one per moment; null where there is none
 * @property {string} [colour] a token such as `--bad`
 */

/**
 * @param {{label: string, times: number[], series: Series[], format?: (value: number) => string, kind?: "area"|"line"|"bars",
 *   stacked?: boolean, height?: number, empty?: unknown}} props times: seconds since 1970, ascending; format: of values
 */
export function TimeChart({ label, times, series, format = compact, kind = "area", stacked = false, height = 220, empty }) {
  const [asTable, setAsTable] = useState(false);
  const [at, setAt] = useState(null);
  if (times.length === 0) return html`<div class="chart-empty" style=${{ height: `${height}px` }}>${empty ?? t("common.no_figures")}</div>`;
  const index = at ?? null;
  const many = series.length > 1;
  return html`<figure class="chart" aria-label=${label}>
    <figcaption class="chart-head">
      <ul class="chart-legend">
        ${(many || index !== null) &&
        series.map(
          (each, number) => html`<li key=${each.label}>
            <span class="chart-key" style=${{ background: `var(${each.colour ?? COLOURS[number % COLOURS.length]})` }} aria-hidden="true"></span>
            ${each.label}${index !== null && html` <b>${each.values[index] == null ? "–" : format(each.values[index])}</b>`}
          </li>`,
        )}
        ${index !== null && html`<li class="quiet">${moment(times, index)}</li>`}
      </ul>
      <${Button} kind="quiet" small icon=${asTable ? "usage" : "table"} label=${asTable ? t("common.as_chart") : t("common.as_table")} onClick=${() => setAsTable(!asTable)} />
    </figcaption>
    ${asTable
      ? html`<${Figures} label=${label} times=${times} series=${series} format=${format} height=${height} />`
      : html`<${Canvas} ...${{ label, times, series, format, kind, stacked, height, setAt }} />`}
  </figure>`;
}

function moment(times, index) {
  const step = times.length > 1 ? times[1] - times[0] : DAY_S;
  return date(times[index] * 1000, step >= DAY_S ? "day" : "minute");
}

function Figures({ label, times, series, format, height }) {
  return html`<div class="chart-table" style=${{ maxHeight: `${Math.max(height, 200)}px` }} tabindex="0" role="group" aria-label=${label}>
    <table>
      <thead>
        <tr><th scope="col">${t("common.time")}</th>${series.map((each) => html`<th scope="col" key=${each.label}>${each.label}</th>`)}</tr>
      </thead>
      <tbody>
        ${times.map(
          (time, index) => html`<tr key=${time}>
            <th scope="row">${moment(times, index)}</th>
            ${series.map((each) => html`<td key=${each.label}>${each.values[index] == null ? "–" : format(each.values[index])}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Canvas({ label, times, series, format, kind, stacked, height, setAt }) {
  const host = useRef(null);
  const colours = useColours();
  const language = useLanguage();
  useEffect(() => {
    let plot = null;
    let gone = false;
    const resized = new ResizeObserver(([entry]) => plot?.setSize({ width: Math.floor(entry.contentRect.width), height }));
    load().then((UPlot) => {
      if (gone) return;
      const options = optionsOf(UPlot, { times, series, format, kind, stacked, height, setAt, width: host.current.clientWidth });
      plot = new UPlot(options, [times, ...drawn(series, stacked)], host.current);
      resized.observe(host.current);
    });
    return () => {
      gone = true;
      resized.disconnect();
      plot?.destroy();
    };
  }, [times, series, kind, stacked, height, colours, language]);
  return html`<div ref=${host} class=${cx("chart-canvas", kind)} style=${{ minHeight: `${height}px` }} role="img" aria-label=${label}></div>`;
}

/** Stacked series are drawn from the sum of all down to the first, each over the one before. */
function drawn(series, stacked) {
  if (!stacked) return series.map((each) => each.values);
  const sums = [];
  const total = series[0]?.values.map(() => 0) ?? [];
  for (const each of series) {
    each.values.forEach((value, at) => (total[at] += value ?? 0));
    sums.push([...total]);
  }
  return sums.reverse();
}

function optionsOf(UPlot, { times, series, format, kind, stacked, height, width, setAt }) {
  const quiet = colourOf("--text-quiet");
  const axis = { stroke: quiet, font: `11px ${getComputedStyle(document.body).fontFamily}`, ticks: { show: false } };
  const grid = { stroke: colourOf("--line-soft"), width: 1 };
  const order = stacked ? [...series].reverse() : series;
  const step = times.length > 1 ? times[1] - times[0] : DAY_S;
  // The first and the last bar stand around their moments, too.
  const beside = kind === "bars" ? step / 2 : 0;
  return {
    width,
    height,
    padding: [10, beside ? 14 : 24, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { range: (_plot, first, last) => [first - beside, last + beside] }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, size: 30, grid: { show: false }, incrs: step >= DAY_S ? DAYS_APART : undefined, values: (_plot, splits, _axis, _space, apart) => splits.map((split) => tick(split, apart)), space: 70 },
      { ...axis, grid, size: 56, values: (_plot, splits) => splits.map((value) => format(value)), space: 36 },
    ],
    hooks: { setCursor: [(plot) => setAt(plot.cursor.idx)] },
    series: [
      {},
      ...order.map((each, at) => {
        const number = stacked ? series.length - 1 - at : at;
        const colour = colourOf(each.colour ?? COLOURS[number % COLOURS.length]);
        const bars = kind === "bars";
        return {
          label: each.label,
          stroke: colour,
          width: bars ? 0 : 1.75,
          fill: bars || stacked ? colour : kind === "area" && series.length === 1 ? faint(colour) : undefined,
          paths: bars ? UPlot.paths.bars({ size: [0.72, 40], radius: 0.15 }) : UPlot.paths.linear(),
          points: { show: false },
        };
      }),
    ],
  };
}

function faint(colour) {
  return colour.replace(/^rgb\((.+)\)$/, `rgba($1, ${FILL_ALPHA})`);
}

function tick(seconds, step) {
  const form = step >= DAY_S ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Date(seconds * 1000).toLocaleString(locale(), form);
}
