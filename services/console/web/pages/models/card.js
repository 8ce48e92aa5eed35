/**
 * A model in the square: what it is, what it costs, how it fares.
 */
import { compact, decimal, duration, percent } from "../../core/format.js";
import { html } from "../../core/html.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { priceLine } from "./prices.js";

const PPM = 1_000_000;
const TONES = { up: "good", degraded: "warn", down: "bad" };

/** @param {{level: string|null}} props */
export function Level({ level }) {
  return level && html`<${Badge} tone=${TONES[level]}>${t(`models.level.${level}`)}</${Badge}>`;
}

/** Uptime in parts per million, as a percentage that never rounds up to all of the time. */
export function uptime(ppm) {
  if (ppm === null) return null;
  return percent(Math.floor(ppm / 100) / (PPM / 100), ppm === PPM ? 0 : 2);
}

/** @param {{model: any}} props what it can do, in words */
export function Abilities({ model }) {
  const words = model.kind === "chat" ? model.capabilities.map((each) => t(`models.can.${each}`)) : [t(`models.makes.${model.kind}`)];
  return html`<span class="tags">${words.map((word) => html`<span key=${word} class="tag">${word}</span>`)}</span>`;
}

/**
 * @param {{model: any, onOpen: () => void}} props
 */
export function ModelCard({ model, onOpen }) {
  const { live } = model;
  const figures = [
    model.context_tokens && [t("models.context"), compact(model.context_tokens)],
    live.first_token_ms !== null && [t("models.first_token"), duration(live.first_token_ms)],
    live.tokens_per_s !== null && [t("models.speed"), t("models.per_s", { number: decimal(live.tokens_per_s, 0) })],
    live.month_uptime_ppm !== null && [t("models.uptime"), uptime(live.month_uptime_ppm)],
  ].filter(Boolean);
  return html`<li class="model-card">
    <div class="model-head">
      <h2><button type="button" class="model-open" onClick=${onOpen}>${model.name}</button></h2>
      <${Level} level=${live.level} />
    </div>
    <p class="model-price">${priceLine(model)}</p>
    <${Abilities} model=${model} />
    ${figures.length > 0 && html`<dl class="model-figures">${figures.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}
  </li>`;
}
