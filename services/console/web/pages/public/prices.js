/**
 * The price list that everybody may see: by model and kind of unit, for a group, with what is announced.
 */
import { api } from "../../core/api.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useQuery } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { rich, t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { Time } from "../../parts/time.js";
import { kindName, kindsOf, price } from "../models/prices.js";

await loadStyle("styles/prices.css");

const PPM = 1_000_000n;

/** Kinds with a column of their own, where a model has them; all others stand together. */
const COLUMNS = ["input", "cache_read", "output"];

/** On a phone such a cell is left out. */
const noPrice = () => html`<span class="quiet no-price">–</span>`;

export default function Prices() {
  const list = useLoad((signal) => api.get("prices/public", {}, { signal }), []);
  const [text, setText] = useQuery("find");
  const groups = list.data?.groups ?? [];
  const [chosen, setGroup] = useQuery("group");
  const group = groups.find((each) => each.name === chosen) ?? groups[0];
  const models = group && list.data.models.filter((model) => model.groups.includes(group.name)).map((model) => priced(model, group));
  const shown = models?.filter((model) => model.name.toLowerCase().includes(text.trim().toLowerCase()));
  const changes = shown?.flatMap(changesOf).sort((one, other) => one.at.localeCompare(other.at)) ?? [];
  const status = html`<${Button} href="status" icon="status">${t("nav.status")}</${Button}>`;
  const nothing = list.data && !group;
  return html`
    <${PageHeader} title=${t("nav.prices")} text=${t("price_list.text")} actions=${status} />
    ${models?.length > 0 &&
    html`<${Toolbar}>
      <${Search} label=${t("price_list.find")} value=${text} onInput=${setText} />
      ${groups.length > 1 && html`<${Choice} label=${t("price_list.group")} value=${group.name} onChange=${setGroup} options=${groups.map(({ name }) => ({ value: name, label: name }))} />`}
    </${Toolbar}>`}
    <${Card} flush>
      <${Table}
        label=${t("nav.prices")}
        columns=${columnsOf(models ?? [])}
        rows=${nothing ? [] : shown}
        rowKey=${(model) => model.name}
        order=${{ key: "name", down: false }}
        error=${list.error}
        retry=${list.reload}
        empty=${html`<${Empty} icon="tag" title=${t(text ? "price_list.none_found" : "price_list.empty")}>${!text && t("price_list.empty_text")}</${Empty}>`}
      />
    </${Card}>
    ${changes.length > 0 && html`<${Announced} changes=${changes} />`}
    ${models?.length > 0 && html`<p class="quiet prices-notes">${rich("price_list.notes", { billing: html`<a href="#/docs/billing">${t("price_list.notes_link")}</a>` })}</p>`}
  `;
}

/** A model with what a group pays for it. */
function priced(model, { multiplier_ppm }) {
  const multiplied = (prices) => Object.fromEntries(Object.entries(prices).map(([kind, nano]) => [kind, (BigInt(nano) * BigInt(multiplier_ppm)) / PPM]));
  const to_come = model.to_come.map((each) => ({ ...each, prices: multiplied(each.prices) }));
  return { ...model, prices: multiplied(model.prices), to_come };
}

/** What changes when, one entry for each moment. */
function changesOf({ name, prices, to_come }) {
  let before = prices;
  return to_come.map(({ effective_from, prices: next }) => {
    const kinds = kindsOf({ ...before, ...next }).filter((kind) => before[kind] !== next[kind]);
    const lines = kinds.map((kind) => ({ kind, from: before[kind], to: next[kind] }));
    before = next;
    return { name, at: effective_from, lines };
  });
}

function columnsOf(models) {
  const used = COLUMNS.filter((kind) => models.some(({ prices }) => prices[kind] !== undefined));
  const others = (model) => kindsOf(model.prices).filter((kind) => !COLUMNS.includes(kind));
  return [
    {
      key: "name",
      label: t("price_list.model"),
      narrow: "title",
      sort: (model) => model.name,
      cell: (model) => html`<span class="cell-title">${model.name}</span> ${model.free && html`<${Badge} tone="good" dot=${false}>${t("price_list.free")}</${Badge}>`}`,
    },
    ...used.map((kind) => ({
      key: kind,
      label: t(`price_list.${kind}`),
      align: "end",
      sort: (model) => model.prices[kind] ?? null,
      cell: (model) => (model.prices[kind] === undefined ? noPrice() : html`<span class="money">${price(kind, model.prices[kind])}</span>`),
    })),
    models.some((model) => others(model).length) && {
      key: "others",
      label: t("price_list.others"),
      cell: (model) => (others(model).length ? html`<${Lines} lines=${others(model).map((kind) => [kindName(kind), price(kind, model.prices[kind])])} />` : noPrice()),
    },
  ].filter(Boolean);
}

function Lines({ lines }) {
  return html`<ul class="price-lines">${lines.map(([name, amount]) => html`<li key=${name}><span>${name}</span><span class="money">${amount}</span></li>`)}</ul>`;
}

function Announced({ changes }) {
  const columns = [
    { key: "name", label: t("price_list.model"), narrow: "title", cell: (change) => html`<span class="cell-title">${change.name}</span>` },
    { key: "at", label: t("price_list.from"), cell: (change) => html`<${Time} at=${change.at} exact />` },
    { key: "lines", label: t("price_list.change"), cell: (change) => html`<${Lines} lines=${change.lines.map(lineOf)} />` },
  ];
  return html`<${Card} flush title=${t("price_list.announced")}>
    <${Table} label=${t("price_list.announced")} columns=${columns} rows=${changes} rowKey=${(change) => `${change.name} ${change.at}`} />
  </${Card}>`;
}

function lineOf({ kind, from, to }) {
  const said = (nano) => (nano === undefined ? t("price_list.no_price") : price(kind, nano));
  return [kindName(kind), html`${said(from)} → ${said(to)}`];
}
