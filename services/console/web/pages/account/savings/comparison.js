/**
 * The same usage at the prices of every model that the account can call.
 */
import { compact, count, money, percent } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Search } from "../../../parts/search.js";
import { Table } from "../../../parts/table.js";
import { Money } from "../../../parts/time.js";

const SHOWN = 15;

/** @param {{load: ReturnType<import("../../../core/load.js").useLoad>, account: string}} props */
export function Comparison({ load, account }) {
  const [text, setText] = useState("");
  const [shown, setShown] = useState(SHOWN);
  const data = load.data;
  const nothing = html`<${Empty} icon="scale" title=${t("savings.nothing")}>${t("savings.nothing_text")}</${Empty}>`;
  const found = data?.models.filter(({ model }) => model.toLowerCase().includes(text.trim().toLowerCase()));
  return html`
    <${Card} title=${t("savings.compared")} text=${t("savings.compared_text")} flush actions=${data?.models.length > SHOWN && html`<${Search} label=${t("savings.find")} value=${text} onInput=${setText} />`}>
      <${Table}
        label=${t("savings.compared")}
        columns=${data ? columns(data) : [{ key: "model", label: t("savings.model") }]}
        rows=${load.error ? [] : found?.slice(0, shown)}
        rowKey=${({ model }) => model}
        more=${{ has: found?.length > shown, loading: false, load: () => setShown(shown * 4) }}
        empty=${data?.models.length ? html`<${Empty} icon="search" title=${t("savings.none_found")} />` : nothing}
      />
    </${Card}>
    ${data?.used.length > 0 && html`<${Used} used=${data.used} account=${account} month=${data.month} />`}
  `;
}

function columns({ models, used, paid_nano: paid }) {
  const most = Math.max(...models.map((each) => Number(each.cost_nano)), Number(paid), 1);
  const names = new Set(used.map(({ model }) => model));
  const difference = ({ cost_nano: cost }) => Number(cost) - Number(paid);
  return [
    {
      key: "model",
      label: t("savings.model"),
      narrow: "title",
      cell: (each) => html`<div class="usage-share"><span class="cell-title">${each.model}</span> ${names.has(each.model) && html`<${Badge} tone="info">${t("savings.in_use")}</${Badge}>`}
        <span class="bar-track" aria-hidden="true"><span style=${{ width: `${(100 * Number(each.cost_nano)) / most}%` }}></span></span></div>`,
    },
    {
      key: "cost",
      label: t("savings.would_cost"),
      align: "end",
      cell: (each) => html`<${Money} nano=${each.cost_nano} />${Number(each.kept_nano) > 0 && html`<span class="cell-note">${t("savings.kept", { kept: money(each.kept_nano) })}</span>`}`,
    },
    {
      key: "difference",
      label: t("savings.difference"),
      align: "end",
      cell: (each) => {
        const more = difference(each);
        return html`<span class=${more < 0 ? "good" : more > 0 ? "bad" : "quiet"}><${Money} nano=${BigInt(each.cost_nano) - BigInt(paid)} sign /> ${Number(paid) > 0 && html`<small>${more > 0 ? "+" : more < 0 ? "−" : ""}${percent(Math.abs(more) / Number(paid), 0)}</small>`}</span>`;
      },
    },
  ];
}

function Used({ used, account, month }) {
  const [year, number] = month.split("-").map(Number);
  const last = new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
  const usage = (model) => `${to`/a/${account}/usage`}?${new URLSearchParams({ model, from: `${month}-01`, to: last })}`;
  const figure = (key, label, cell) => ({ key, label, align: "end", sort: (row) => Number(row[key]), cell: (row) => cell(row[key]) });
  return html`<${Card} title=${t("savings.used")} flush>
    <${Table}
      label=${t("savings.used")}
      columns=${[
        { key: "model", label: t("savings.model"), narrow: "title", sort: ({ model }) => model, cell: ({ model }) => html`<a href=${usage(model)}>${model}</a>` },
        figure("requests", t("savings.requests"), count),
        figure("input_tokens", t("savings.input"), compact),
        figure("output_tokens", t("savings.output"), compact),
        figure("paid_nano", t("savings.paid"), (nano) => html`<${Money} nano=${nano} />`),
      ]}
      rows=${used}
      rowKey=${({ model }) => model}
    />
  </${Card}>`;
}
