/**
 * One request: when what happened, what was used, and how its price was made.
 */
import { api, at } from "../../core/api.js";
import { count, decimal, duration, money, percent } from "../../core/format.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, to } from "../../core/router.js";
import { known, t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { CopyText } from "../../parts/code.js";
import { Dialog } from "../../parts/dialog.js";
import { Loaded, Notice } from "../../parts/notice.js";
import { Definitions } from "../../parts/page.js";
import { Time } from "../../parts/time.js";
import { Outcome } from "./attempts.js";

const PPM = 1_000_000;
const exact = (nano) => money(nano, { exact: true });

/** @param {{source: {base: string, site: boolean}, job: string}} props */
export function RequestDialog({ source, job }) {
  const request = useLoad((signal) => api.get(`${source.base}/requests/${at`${job}`}`, {}, { signal }), [job]);
  const close = () => setQuery({ request: null });
  const explain = source.site && html`<${Button} icon="route" href=${`#/site/explain?request=${encodeURIComponent(job)}`}>${t("usage.explain")}</${Button}>`;
  return html`<${Dialog} title=${t("usage.request")} onClose=${close} side footer=${explain}>
    <${CopyText} text=${job} />
    <${Loaded} of=${request} lines=${8}>${(data) => html`<${Request} request=${data} site=${source.site} />`}</${Loaded}>
  </${Dialog}>`;
}

function Request({ request, site }) {
  const [first] = request.attempts;
  const refunded = request.refunds.reduce((sum, each) => sum + BigInt(each.amount_nano), 0n);
  return html`
    <${Definitions}
      items=${[
        [t("usage.began"), html`<${Time} at=${first.started_at} exact />`],
        site && [t("usage.by.account"), first.account],
        [t("usage.by.key"), [first.key, first.user].filter(Boolean).join(" / ")],
        [t("usage.asked_model"), first.asked],
        [t("usage.charge"), html`<b>${exact(request.charge_nano)}</b>`],
        refunded > 0n && [t("usage.refunded"), exact(refunded)],
        site && [t("usage.cost"), exact(request.cost_nano)],
      ]}
    />
    ${!site && request.failed_attempts > 0 && html`<${Notice}>${t("usage.failed_attempts", { count: request.failed_attempts })}</${Notice}>`}
    <h3>${t("usage.timeline")}</h3>
    <${Timeline} attempts=${request.attempts} site=${site} />
    ${request.attempts.map((attempt) => html`<${Attempt} key=${attempt.attempt} attempt=${attempt} site=${site} alone=${request.attempts.length === 1} />`)}
  `;
}

/** Each attempt as a bar on the time of all of them: until the first output, and from there on. */
function Timeline({ attempts, site }) {
  const begin = Math.min(...attempts.map((each) => Date.parse(each.started_at)));
  const end = Math.max(...attempts.map((each) => Date.parse(each.started_at) + each.duration_ms), begin + 1);
  const place = (ms) => `${(100 * ms) / (end - begin)}%`;
  return html`<ol class="usage-timeline">
    ${attempts.map((each) => {
      const offset = Date.parse(each.started_at) - begin;
      const waited = each.first_token_ms || each.duration_ms;
      return html`<li key=${each.attempt}>
        <div class="bar-head">
          <span>${site ? each.channel : each.model} <${Outcome} attempt=${each} /></span>
          <span class="number quiet">${each.first_token_ms > 0 && `${t("usage.first_token")} ${duration(each.first_token_ms)} · `}${duration(each.duration_ms)}</span>
        </div>
        <span class="usage-lane" aria-hidden="true">
          <span class="waiting" style=${{ left: place(offset), width: place(waited) }}></span>
          <span class="output" style=${{ left: place(offset + waited), width: place(each.duration_ms - waited) }}></span>
        </span>
      </li>`;
    })}
  </ol>
  <p class="usage-legend quiet"><span class="waiting"></span>${t("usage.until_first")}<span class="output"></span>${t("usage.after_first")}</p>`;
}

function Attempt({ attempt, site, alone }) {
  const factor = (ppm) => `× ${decimal(ppm / PPM, 6)}`;
  return html`<section class="usage-attempt">
    <h3>${alone ? t("usage.details") : t("usage.attempt", { number: attempt.attempt })}</h3>
    <${Definitions}
      items=${[
        [t("usage.by.outcome"), html`<${Outcome} attempt=${attempt} /> <span class="quiet number">HTTP ${attempt.status}</span>`],
        [t("usage.by.model"), attempt.model],
        site && [t("usage.upstream_model"), attempt.upstream_model],
        site && [t("usage.by.channel"), html`<a href=${to`/site/channels/${attempt.channel}`}>${attempt.channel}</a>`],
        site && [t("usage.credential"), `#${attempt.credential}`],
        [t("usage.by.group"), attempt.group],
        [t("usage.way"), t(attempt.stream ? "usage.stream" : "usage.whole")],
        [t("usage.units"), html`<${Units} attempt=${attempt} />`],
        [t("usage.price_version"), attempt.unpriced ? html`<span class="bad">${t("usage.unpriced")}</span>` : attempt.price_version && `#${attempt.price_version}`],
        [t("usage.multiplier"), factor(attempt.multiplier_ppm)],
        attempt.discount_ppm !== 0 && [t("usage.discount"), percent(attempt.discount_ppm / PPM, 4)],
        [t("usage.charge"), attempt.charged ? exact(attempt.charge_nano) : t("usage.not_charged")],
        site && [t("usage.cost"), `${exact(attempt.cost_nano)}${attempt.cost_version ? ` (#${attempt.cost_version})` : ""}`],
      ]}
    />
  </section>`;
}

function Units({ attempt }) {
  const used = Object.entries(attempt.units).filter(([, value]) => value);
  if (!used.length) return html`<span class="quiet">${t("usage.no_units")}</span>`;
  return html`<ul class="usage-units">
      ${used.map(([kind, value]) => html`<li key=${kind}><span>${known(`usage.unit.${kind}`) ? t(`usage.unit.${kind}`) : kind}</span><span class="number">${count(value)}</span></li>`)}
    </ul>
    ${attempt.counted && html`<p class="quiet">${t("usage.counted")}</p>`}`;
}
