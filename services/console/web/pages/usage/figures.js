/**
 * Sums of usage beside those of the time before.
 */
import { compact, count, duration, money, percent } from "../../core/format.js";
import { html } from "../../core/html.js";
import { rich, t } from "../../core/words.js";
import { Stat, Stats } from "../../parts/page.js";

/** All tokens of some totals. */
export const tokensOf = (totals) =>
  totals.input_tokens + totals.cache_read_tokens + totals.cache_write_tokens + totals.output_tokens + totals.reasoning_tokens;

/** The part of attempts that brought no complete answer; null without attempts. */
export const errorShare = (totals) => (totals.attempts ? totals.errors / totals.attempts : null);

/**
 * How much something is more or less than before.
 * @param {{now: number|bigint|null, before: number|bigint|null, better?: "up"|"down"}} props better: without it no change is good or bad
 */
export function Change({ now, before, better }) {
  if (now === null || before === null || !Number(before)) return html`<span>${t(Number(now) ? "usage.nothing_before" : "usage.none_before")}</span>`;
  const share = (Number(now) - Number(before)) / Number(before);
  if (Math.abs(share) < 0.005) return html`<span>${t("usage.same_as_before")}</span>`;
  const up = share > 0;
  const tone = better && ((better === "up") === up ? "good" : "bad");
  const shown = share > 9.99 ? `×${compact(share + 1)}` : percent(Math.abs(share), 0);
  const change = html`<span class=${tone || undefined}><span aria-hidden="true">${up ? "▲" : "▼"}</span><span class="off-screen">${t(up ? "usage.more" : "usage.less")}</span> ${shown}</span>`;
  return html`<span title=${t("usage.before_help")}>${rich("usage.before", { change })}</span>`;
}

/**
 * The figures of an overview.
 * @param {{load: ReturnType<import("../../core/load.js").useLoad>, site?: boolean}} props load: of an overview
 */
export function Figures({ load, site }) {
  const overview = load.data;
  const now = overview?.totals;
  const before = overview?.previous;
  const shown = (read) => (now ? read(now) : load.error ? "–" : undefined);
  const change = (read, better) => now && html`<${Change} now=${read(now)} before=${read(before)} better=${better} />`;
  const speed = (name) => {
    const found = overview?.speeds[name];
    return {
      value: shown(() => duration(found?.p50_ms)),
      note: found && t("usage.slowest", { time: duration(found.p95_ms) }),
    };
  };
  return html`<div class=${site ? "usage-figures" : undefined}><${Stats}>
    <${Stat} label=${t(site ? "usage.charged" : "usage.spent")} value=${shown((each) => money(each.charge_nano))} note=${change((each) => each.charge_nano)} />
    ${site &&
    html`<${Stat} label=${t("usage.cost")} value=${shown((each) => money(each.cost_nano))} note=${change((each) => each.cost_nano)} />
      <${Stat} label=${t("usage.margin")} value=${shown((each) => money(each.margin_nano))} note=${now && Number(now.charge_nano) > 0 && t("usage.of_charged", { share: percent(Number(now.margin_nano) / Number(now.charge_nano), 0) })} />`}
    <${Stat} label=${t("usage.requests")} value=${shown((each) => count(each.requests))} note=${change((each) => each.requests)} />
    <${Stat} label=${t("usage.tokens")} value=${shown((each) => compact(tokensOf(each)))} note=${change(tokensOf)} />
    <${Stat} label=${t("usage.errors")} help=${t("usage.errors_help")} value=${shown((each) => percent(errorShare(each), 1))} tone=${now?.errors && errorShare(now) > 0.05 ? "bad" : undefined} note=${now && t("usage.errors_of", { count: now.errors, attempts: now.attempts })} />
    <${Stat} label=${t("usage.first_token")} help=${t("usage.first_token_help")} ...${speed("first_token")} />
    <${Stat} label=${t("usage.total_time")} help=${t("usage.total_time_help")} ...${speed("duration")} />
  </${Stats}></div>`;
}
