/**
 * What an answer took: tokens, money, time.
 */
import { count, decimal, duration, money } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { CopyButton } from "../../../parts/code.js";

const NANO_PER_USD = 1e9;
const SPEED_MS_MIN = 50;

/** Tokens a second, from the first one on; null where there are too few to say. */
export function speedOf({ usage, firstMs, totalMs }) {
  const writing_ms = totalMs - firstMs;
  if (firstMs === null || !(usage?.completion_tokens > 1) || writing_ms < SPEED_MS_MIN) return null;
  return ((usage.completion_tokens - 1) * 1000) / writing_ms;
}

/** Nano-USD of an answer; null if the gateway did not say. */
export const costOf = (turn) => (typeof turn.usage?.cost === "number" ? Math.round(turn.usage.cost * NANO_PER_USD) : null);

/** @param {{turn: any}} props an answer that has ended */
export function Figures({ turn }) {
  const { usage, firstMs, totalMs } = turn;
  const speed = speedOf(turn);
  const cost = costOf(turn);
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  const reasoning = usage?.completion_tokens_details?.reasoning_tokens;
  const figures = [
    usage && [t("playground.tokens_in"), count(usage.prompt_tokens), cached ? t("playground.of_them_cached", { count: cached }) : ""],
    usage && [t("playground.tokens_out"), count(usage.completion_tokens), reasoning ? t("playground.of_them_reasoning", { count: reasoning }) : ""],
    cost !== null && [t("playground.cost"), money(cost), money(cost, { exact: true })],
    firstMs !== null && firstMs !== undefined && [t("playground.first_token"), duration(firstMs), ""],
    speed !== null && [t("playground.speed"), t("playground.per_s", { number: decimal(speed, speed < 10 ? 1 : 0) }), ""],
    totalMs !== undefined && [t("playground.total"), duration(totalMs), ""],
  ].filter(Boolean);
  return html`<dl class="play-figures">
    ${figures.map(([name, value, note]) => html`<div key=${name} title=${note || undefined}><dt>${name}</dt><dd>${value}</dd></div>`)}
    ${turn.requestId && html`<div class="play-request"><dt>${t("playground.request")}</dt><dd><code>${turn.requestId.slice(0, 8)}…</code><${CopyButton} text=${turn.requestId} label=${t("playground.copy_request")} /></dd></div>`}
  </dl>`;
}
