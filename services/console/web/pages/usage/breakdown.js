/**
 * Who or what used most: a table by one dimension, whose rows narrow everything down to themselves.
 */
import { api } from "../../core/api.js";
import { compact, count, duration, percent } from "../../core/format.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, useLocation } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Segments } from "../../parts/tabs.js";
import { Money } from "../../parts/time.js";
import { errorShare, tokensOf } from "./figures.js";
import { dimensions, filterBy, valueName } from "./filters.js";

const TOP = 10;
const TOP_MORE = 200;

/** @param {{source: {base: string, site: boolean}, filters: object, span: object, deps: unknown[]}} props */
export function Breakdown({ source, filters, span, deps }) {
  const { query } = useLocation();
  const names = dimensions(source.site);
  const by = names.includes(query.get("by")) ? query.get("by") : names[0];
  const order = query.get("order") ?? "charge";
  const top = query.get("all") ? TOP_MORE : TOP;
  const load = useLoad((signal) => api.get(`${source.base}/breakdown`, { ...filters, ...span, by, order, top }, { signal }), [...deps, by, order, top]);
  const data = load.data?.by === by ? load.data : undefined;
  const options = names.map((value) => ({ value, label: t(`usage.by.${value}`) }));
  const choose = (value) => setQuery({ by: value === names[0] ? null : value, all: null });
  const more = data?.others > 0 && top === TOP;
  return html`<${Card} title=${t("usage.break_down")} flush actions=${html`<div class="usage-scroll"><${Segments} label=${t("usage.break_down")} options=${options} value=${by} onChange=${choose} /></div>`}>
    <${Table}
      label=${t("usage.break_down")}
      columns=${columns(by, order, source.site, data)}
      rows=${data?.rows}
      rowKey=${(row) => `${row.account}/${row.value}`}
      order=${{ key: order, down: true }}
      onOrder=${({ key }) => setQuery({ order: key === "charge" ? null : key })}
      error=${load.error}
      retry=${load.reload}
      empty=${html`<${Empty} icon="usage" title=${t("usage.nothing")}>${t("usage.nothing_text")}</${Empty}>`}
    />
    ${more && html`<div class="table-more"><${Button} onClick=${() => setQuery({ all: "1" })}>${t("usage.others", { count: data.others })}</${Button}></div>`}
  </${Card}>`;
}

const READ = { charge: (totals) => Number(totals.charge_nano), requests: (totals) => totals.requests, tokens: tokensOf, errors: (totals) => totals.errors, cost: (totals) => Number(totals.cost_nano) };

function columns(by, order, site, data) {
  const read = READ[order] ?? READ.charge;
  const whole = data ? read(data.rest) + data.rows.reduce((sum, row) => sum + read(row.totals), 0) : 0;
  const figure = (key, label, cell) => ({ key, label, align: "end", sort: key in READ && (site || key !== "cost") ? () => 0 : undefined, cell: ({ totals }) => cell(totals) });
  return [
    { key: "value", label: t(`usage.by.${by}`), narrow: "title", cell: (row) => html`<${Value} by=${by} row=${row} share=${whole ? read(row.totals) / whole : 0} />` },
    figure("requests", t("usage.requests"), (totals) => count(totals.requests)),
    figure("tokens", t("usage.tokens"), (totals) => compact(tokensOf(totals))),
    figure("errors", t("usage.errors"), (totals) => html`${count(totals.errors)} <span class="quiet">${percent(errorShare(totals), 0)}</span>`),
    figure("first", t("usage.first_token"), (totals) => duration(totals.first_token_ms)),
    figure("charge", t(site ? "usage.charged" : "usage.spent"), (totals) => html`<${Money} nano=${totals.charge_nano} />`),
    ...(site
      ? [figure("cost", t("usage.cost"), (totals) => html`<${Money} nano=${totals.cost_nano} />`), figure("margin", t("usage.margin"), (totals) => html`<${Money} nano=${totals.margin_nano} />`)]
      : []),
  ];
}

function Value({ by, row, share }) {
  const name = valueName(by, row.value);
  return html`<div class="usage-share">
    ${row.value === null ? html`<span class="quiet">${name}</span>` : html`<button type="button" class="usage-pick" title=${t("usage.only_this", { name })} onClick=${() => filterBy(by, row)}>${name}</button>`}
    ${row.account && by !== "account" && html`<span class="cell-note">${row.account}</span>`}
    <span class="bar-track" aria-hidden="true"><span style=${{ width: `${100 * share}%` }}></span></span>
  </div>`;
}
