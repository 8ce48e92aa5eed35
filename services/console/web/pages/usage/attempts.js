/**
 * Single attempts, the newest first, page by page.
 */
import { api } from "../../core/api.js";
import { count, date, duration } from "../../core/format.js";
import { html } from "../../core/html.js";
import { usePages } from "../../core/load.js";
import { setQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Empty } from "../../parts/notice.js";
import { Card } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Money } from "../../parts/time.js";
import { outcomeName } from "./filters.js";

const LIMIT = 50;
const INPUT = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"];
const OUTPUT = ["output", "reasoning", "output_audio", "output_image"];

const sum = (units, kinds) => kinds.reduce((all, kind) => all + (units[kind] ?? 0), 0);

/** @param {{attempt: object}} props */
export function Outcome({ attempt }) {
  const { outcome } = attempt;
  // That the client left is nobody's failure.
  const tone = outcome === "complete" ? "good" : outcome.startsWith("client_") ? "warn" : "bad";
  return html`<${Badge} tone=${tone}>${outcomeName(outcome)}</${Badge}>`;
}

/** @param {{source: {base: string, site: boolean}, filters: object, span: object, deps: unknown[]}} props */
export function Attempts({ source, filters, span, deps }) {
  const pages = usePages(async (cursor, signal) => {
    const page = await api.get(`${source.base}/attempts`, { ...filters, ...span, limit: LIMIT, cursor }, { signal });
    return { rows: page.attempts, next: page.next };
  }, deps);
  return html`<${Card} title=${t("usage.attempts")} text=${t("usage.attempts_text")} flush>
    <${Table}
      label=${t("usage.attempts")}
      columns=${columns(source.site)}
      rows=${pages.rows}
      rowKey=${(attempt) => `${attempt.job}/${attempt.attempt}`}
      error=${pages.error}
      retry=${pages.reload}
      more=${pages.more}
      empty=${html`<${Empty} icon="search" title=${t("usage.no_attempts")}>${t("usage.nothing_text")}</${Empty}>`}
    />
  </${Card}>`;
}

/** Requests come by the second, and rarely of more than one day at a time. */
function Moment({ at }) {
  return html`<time datetime=${at} title=${date(at, "full")}>${date(at, "time")}<span class="cell-note">${date(at, "day")}</span></time>`;
}

const columns = (site) => [
  {
    key: "time",
    label: t("common.time"),
    narrow: "title",
    cell: ({ job, started_at }) => html`<button type="button" class="usage-pick" title=${t("usage.open")} onClick=${() => setQuery({ request: job })}><${Moment} at=${started_at} /></button>`,
  },
  { key: "model", label: t("usage.by.model"), cell: (attempt) => html`<span class="cell-title">${attempt.model}</span>${site && html`<span class="cell-note">${attempt.channel}</span>`}` },
  { key: "key", label: t("usage.by.key"), cell: ({ key, user, account }) => html`${key}<span class="cell-note">${[site && account, user].filter(Boolean).join(" / ")}</span>` },
  { key: "outcome", label: t("usage.by.outcome"), cell: (attempt) => html`<${Outcome} attempt=${attempt} />` },
  { key: "tokens", label: t("usage.in_out"), align: "end", cell: ({ units }) => `${count(sum(units, INPUT))} / ${count(sum(units, OUTPUT))}` },
  { key: "time_taken", label: t("usage.first_and_total"), align: "end", cell: (attempt) => `${attempt.first_token_ms ? duration(attempt.first_token_ms) : "–"} / ${duration(attempt.duration_ms)}` },
  { key: "charge", label: t("usage.charge"), align: "end", cell: ({ charge_nano: nano }) => html`<${Money} nano=${nano} />` },
  ...(site ? [{ key: "cost", label: t("usage.cost"), align: "end", cell: ({ cost_nano: nano }) => html`<${Money} nano=${nano} />` }] : []),
];
