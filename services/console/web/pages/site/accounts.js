/**
 * All accounts of the site: who pays, what is left, what they may.
 */
import { api, at } from "../../core/api.js";
import { count } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { usePages } from "../../core/load.js";
import { navigate, to, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Badge, Tags } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { Money, Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { GrantDialog } from "./account/credit.js";
import { NewAccount } from "./accounts/form.js";
import { LinkDialog } from "./logins/forms.js";

const PAGE_ROWS = 50;

export default function Accounts() {
  const [search, setSearch] = useQuery("find");
  const [dialog, setDialog] = useState(null);
  const read = async (after, signal) => {
    const rows = await api.get("accounts", { search, after, limit: PAGE_ROWS }, { signal });
    return { rows, next: rows.length === PAGE_ROWS ? rows.at(-1).name : null };
  };
  const accounts = usePages(read, [search]);
  const close = () => setDialog(null);
  const made = ({ account, link }) => {
    toast(t("accounts.created", { name: account.name }));
    if (link) setDialog({ kind: "link", account, link });
    else navigate(`/site/accounts/${encodeURIComponent(account.name)}`);
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "create" })}>${t("accounts.create")}</${Button}>`;
  const actions = (account) => [
    { label: t("accounts.open"), icon: "eye", href: to`/site/accounts/${account.name}` },
    { label: t("accounts.grant"), icon: "wallet", run: () => setDialog({ kind: "grant", account }) },
    { label: t("accounts.own_pages"), icon: "external", href: to`/a/${account.name}/overview` },
  ];
  return html`
    <${PageHeader} title=${t("nav.accounts")} text=${t("accounts.text")} actions=${create} />
    <${Toolbar}><${Search} label=${t("accounts.find")} value=${search} onInput=${setSearch} /></${Toolbar}>
    <${Card} flush>
      <${Table}
        label=${t("nav.accounts")}
        columns=${columns()}
        rows=${accounts.rows}
        rowKey=${(account) => account.id}
        actions=${actions}
        error=${accounts.error}
        retry=${accounts.reload}
        more=${accounts.more}
        empty=${search
          ? html`<${Empty} icon="search" title=${t("accounts.none_found")} />`
          : html`<${Empty} icon="building" title=${t("accounts.none")} action=${create}>${t("accounts.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${dialog?.kind === "create" && html`<${NewAccount} onClose=${close} onDone=${made} />`}
    ${dialog?.kind === "grant" && html`<${GrantDialog} path=${at`accounts/${dialog.account.name}`} onClose=${close} onDone=${() => (close(), accounts.reload())} />`}
    ${dialog?.kind === "link" && html`<${LinkDialog} title=${t("accounts.owner_link")} link=${dialog.link} onClose=${() => navigate(`/site/accounts/${encodeURIComponent(dialog.account.name)}`)} />`}
  `;
}

const columns = () => [
  {
    key: "name",
    label: t("accounts.name"),
    narrow: "title",
    cell: (account) => html`<a class="cell-title" href=${to`/site/accounts/${account.name}`}>${account.name}</a>`,
  },
  { key: "tier", label: t("accounts.tier"), cell: (account) => account.tier && html`<${Badge} dot=${false}>${account.tier}</${Badge}>` },
  { key: "groups", label: t("accounts.groups"), cell: (account) => html`<${Tags} names=${account.groups} />` },
  { key: "users", label: t("accounts.users"), align: "end", cell: (account) => count(account.users) },
  { key: "keys", label: t("nav.keys"), align: "end", cell: (account) => count(account.keys) },
  { key: "spent", label: t("accounts.spent"), align: "end", cell: (account) => html`<${Money} nano=${account.spent_nano} />` },
  {
    key: "balance",
    label: t("accounts.balance"),
    align: "end",
    cell: (account) => html`<span class=${Number(account.balance_nano) < 0 ? "bad" : ""}><${Money} nano=${account.balance_nano} /></span>`,
  },
  { key: "created", label: t("accounts.created_at"), narrow: "hide", cell: (account) => html`<${Time} at=${account.created_at} />` },
];
