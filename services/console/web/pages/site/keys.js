/**
 * The keys of all accounts: found by whatever one knows of them, and blocked where something is wrong.
 */
import { api, at } from "../../core/api.js";
import { html } from "../../core/html.js";
import { usePages } from "../../core/load.js";
import { to, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Badge, Tags } from "../../parts/badge.js";
import { confirm } from "../../parts/dialog.js";
import { Empty, errorText } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { stateOf, STATES, TONES } from "../account/keys.js";

const PAGE_ROWS = 50;

export default function SiteKeys() {
  const [search, setSearch] = useQuery("find");
  const [state, setState] = useQuery("state", "all");
  const read = async (after, signal) => {
    const query = { search, state: state === "all" ? null : state, after, limit: PAGE_ROWS };
    const rows = await api.get("keys", query, { signal });
    const last = rows.at(-1);
    return { rows, next: rows.length === PAGE_ROWS ? `${last.account}/${last.name}` : null };
  };
  const keys = usePages(read, [search, state]);
  return html`
    <${PageHeader} title=${t("nav.site_keys")} text=${t("site_keys.text")} />
    <${Toolbar}>
      <${Search} label=${t("site_keys.find")} value=${search} onInput=${setSearch} />
      <${Choice} label=${t("keys.state")} value=${state} onChange=${setState} options=${["all", ...STATES].map((value) => ({ value, label: t(`keys.state.${value}`) }))} />
    </${Toolbar}>
    <${Card} flush>
      <${Table}
        label=${t("nav.site_keys")}
        columns=${columns()}
        rows=${keys.rows}
        rowKey=${(key) => key.id}
        actions=${(key) => actions(key, keys.reload)}
        error=${keys.error}
        retry=${keys.reload}
        more=${keys.more}
        empty=${search || state !== "all"
          ? html`<${Empty} icon="search" title=${t("keys.none_found")} />`
          : html`<${Empty} icon="key" title=${t("keys.none")}>${t("site_keys.none_text")}</${Empty}>`}
      />
    </${Card}>
  `;
}

const columns = () => [
  {
    key: "name",
    label: t("keys.name"),
    narrow: "title",
    cell: (key) => html`<span class="cell-title">${key.name}</span><code class="cell-note">${key.prefix}…</code>`,
  },
  {
    key: "account",
    label: t("nav.account"),
    cell: (key) => html`<a href=${to`/site/accounts/${key.account}`}>${key.account}</a>${key.user && html`<span class="cell-note">${key.user}</span>`}`,
  },
  {
    key: "state",
    label: t("keys.state"),
    cell: (key) => html`<${Badge} tone=${TONES[stateOf(key)]}>${t(`keys.state.${stateOf(key)}`)}</${Badge}>
      ${key.blocked && html`<span class="cell-note">${t(`keys.blocked_by.${key.blocked_by}`)}</span>`}`,
  },
  { key: "groups", label: t("keys.groups"), cell: (key) => html`<${Tags} names=${key.groups} />` },
  {
    key: "models",
    label: t("keys.models"),
    cell: (key) => (key.models.includes("*") ? html`<span class="quiet">${t("keys.all_models")}</span>` : html`<${Tags} names=${key.models} most=${2} />`),
  },
  { key: "expires", label: t("keys.expires"), cell: (key) => (key.expires_at ? html`<${Time} at=${key.expires_at} />` : html`<span class="quiet">${t("keys.never")}</span>`) },
  { key: "created", label: t("keys.created"), cell: (key) => html`<${Time} at=${key.created_at} />` },
];

function actions(key, reload) {
  const path = at`accounts/${key.account}/keys/${key.name}`;
  const block = async () => {
    const agreed = await confirm({
      title: t("keys.block_title", { name: key.name }),
      text: t("keys.block_text"),
      action: t("keys.block"),
      danger: true,
      work: () => api.post(`${path}/block`),
    });
    if (agreed) done(t("keys.blocked", { name: key.name }));
  };
  const unblock = async () => {
    try {
      await api.post(`${path}/unblock`);
      done(t("keys.unblocked", { name: key.name }));
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const done = (sentence) => {
    toast(sentence);
    reload();
  };
  const own = (page, query) => `${to`/a/${key.account}/${page}`}?${query}`;
  return [
    key.blocked ? { label: t("keys.unblock"), icon: "check", run: unblock } : { label: t("keys.block"), icon: "stop", danger: true, run: block },
    null,
    { label: t("site_keys.change"), icon: "edit", href: own("keys", new URLSearchParams({ find: key.name })) },
    { label: t("nav.usage"), icon: "usage", href: own("usage", new URLSearchParams({ key: key.name })) },
  ];
}
