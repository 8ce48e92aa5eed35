/**
 * The figures that one looks at first, each with its last two minutes.
 */
import { compact, count, decimal, duration, percent } from "../../../core/format.js";
import { cx, html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Spark } from "./chart.js";

const BAD_SHARE = 0.05;
const QUEUE_WARN = 1000;

/** A rate: with a digit behind the point while it is small. */
export const rate = (value) => (value < 10 ? decimal(value, 1) : compact(value));

/** All that failed in a second. */
export const failed = (point) => Object.values(point.errors_per_s).reduce((all, each) => all + each, 0);

/** @param {{points: object[], point: object|undefined}} props */
export function Tiles({ points, point }) {
  const share = point && point.requests_per_s > 0 ? failed(point) / point.requests_per_s : null;
  const unsettled = (each) => each.unstored + (each.queued ?? 0);
  return html`<dl class="live-tiles">
    <${Tile} label=${t("live.requests")} value=${point && rate(point.requests_per_s)} note=${t("live.attempts", { rate: rate(point?.attempts_per_s ?? 0) })}>
      <${Spark} points=${points} value=${(each) => each.requests_per_s} />
    </${Tile}>
    <${Tile} label=${t("live.errors")} value=${point && rate(failed(point))} tone=${share > BAD_SHARE && "bad"} note=${share === null ? t("live.no_requests") : t("live.error_share", { share: percent(share) })}>
      <${Spark} points=${points} value=${failed} tone="bad" />
    </${Tile}>
    <${Tile} label=${t("live.in_flight")} value=${point && compact(point.in_flight)} note=${t("live.streams", { count: point?.streams ?? 0 })}>
      <${Spark} points=${points} value=${(each) => each.in_flight} tone="series-2" />
    </${Tile}>
    <${Tile} label=${t("live.waiting")} value=${point && compact(point.waiting)} tone=${point?.waiting > 0 && "warn"} note=${t(point?.waiting > 0 ? "live.no_room" : "live.room_for_all")}>
      <${Spark} points=${points} value=${(each) => each.waiting} tone="warn" />
    </${Tile}>
    <${Tile} label=${t("live.first_token")} value=${point && duration(point.first_token_p50_ms)} note=${t("live.p95", { time: duration(point?.first_token_p95_ms) })}>
      <${Spark} points=${points} value=${(each) => each.first_token_p50_ms} tone="series-4" />
    </${Tile}>
    <${Tile} label=${t("live.tokens")} value=${point && compact(point.tokens_per_s)} note=${t("live.tokens_note")}>
      <${Spark} points=${points} value=${(each) => each.tokens_per_s} tone="series-6" />
    </${Tile}>
    <${Tile} label=${t("live.unsettled")} value=${point && compact(unsettled(point))} tone=${point && unsettled(point) > QUEUE_WARN && "warn"} note=${queueNote(point)}>
      <${Spark} points=${points} value=${unsettled} tone="series-8" />
    </${Tile}>
  </dl>`;
}

function queueNote(point) {
  if (point && point.queued === null) return t("live.queue_unknown");
  return t("live.queue", { queued: count(point?.queued ?? 0), unstored: count(point?.unstored ?? 0) });
}

function Tile({ label, value, note, tone, children }) {
  return html`<div class="live-tile">
    <dt>${label}</dt>
    <dd class=${cx("live-figure", tone)}>${value ?? html`<span class="skeleton-line"></span>`}</dd>
    <dd class="live-note">${note}</dd>
    <dd class="live-tile-chart" aria-hidden="true">${children}</dd>
  </div>`;
}
