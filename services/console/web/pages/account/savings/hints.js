/**
 * Where an account could pay less: a cheaper model of the same family, and caches that are not used.
 */
import { compact, money, percent } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { rich, t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Empty, Loaded } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";

/** @param {{load: ReturnType<import("../../../core/load.js").useLoad>, account: string}} props */
export function Hints({ load, account }) {
  return html`<${Card} title=${t("savings.hints")} text=${t("savings.hints_text")}>
    <${Loaded} of=${load}>
      ${({ cheaper, caching }) =>
        cheaper.length + caching.length === 0
          ? html`<${Empty} icon="check" title=${t("savings.no_hints")}>${t("savings.no_hints_text")}</${Empty}>`
          : html`<ul class="hints">
              ${cheaper.map((hint) => html`<${Cheaper} key=${`m/${hint.model}`} hint=${hint} account=${account} />`)}
              ${caching.map((hint) => html`<${Caching} key=${`c/${hint.model}`} hint=${hint} />`)}
            </ul>`}
    </${Loaded}>
  </${Card}>`;
}

function Cheaper({ hint, account }) {
  const saved = BigInt(hint.paid_nano) - BigInt(hint.cost_nano);
  const share = percent(Number(saved) / Number(hint.paid_nano), 0);
  const address = `${to`/a/${account}/playground`}?model=${encodeURIComponent(hint.instead)}`;
  return html`<li>
    <span class="hint-amount good">−${money(saved)}</span>
    <div class="grow"><p>${rich("savings.cheaper", { model: html`<b>${hint.model}</b>`, instead: html`<b>${hint.instead}</b>`, share })}</p>
      <p class="quiet">${t("savings.cheaper_text", { count: hint.requests, paid: money(hint.paid_nano), cost: money(hint.cost_nano) })}</p></div>
    <${Button} small icon="play" href=${address}>${t("savings.try")}</${Button}>
  </li>`;
}

function Caching({ hint }) {
  return html`<li>
    <span class="hint-amount good">−${money(hint.saved_at_most_nano)}</span>
    <div class="grow"><p>${rich("savings.caching", { model: html`<b>${hint.model}</b>` })}</p>
      <p class="quiet">${t("savings.caching_text", { count: hint.requests, mean: compact(Math.round(hint.input_tokens / hint.requests)), share: percent(hint.cache_read_tokens / hint.input_tokens, 0) })}</p></div>
  </li>`;
}
