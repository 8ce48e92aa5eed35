/**
 * All logins of the site: who waits for approval, who may do what, and how people get in again.
 */
import { api, at } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { usePages } from "../../core/load.js";
import { to, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { actionsOf } from "./logins/actions.js";
import { ChangeLogin, LinkDialog, NewLogin } from "./logins/forms.js";
import { RegistrationDialog } from "./logins/registration.js";

const STATES = ["waiting", "unconfirmed", "active", "blocked"];
const TONES = { waiting: "warn", unconfirmed: "warn", active: "good", blocked: "bad" };
const PAGE_ROWS = 50;

export default function Logins() {
  const [search, setSearch] = useQuery("find");
  const [state, setState] = useQuery("state", "all");
  const [dialog, setDialog] = useState(null);
  const read = async (after, signal) => {
    const query = { search, state: state === "all" ? null : state, after, limit: PAGE_ROWS };
    const rows = await api.get("logins", query, { signal });
    return { rows, next: rows.length === PAGE_ROWS ? rows.at(-1).name : null };
  };
  const logins = usePages(read, [search, state]);
  const close = () => setDialog(null);
  const done = (sentence) => {
    toast(sentence);
    logins.reload();
  };
  const link = (title, made) => {
    setDialog({ kind: "link", title, link: made });
    logins.reload();
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "create" })}>${t("logins.create")}</${Button}>`;
  const buttons = html`<${Button} icon="sliders" onClick=${() => setDialog({ kind: "registration" })}>${t("logins.registration")}</${Button}>${create}`;
  return html`
    <${PageHeader} title=${t("nav.logins")} text=${t("logins.text")} actions=${buttons} />
    <${Toolbar}>
      <${Search} label=${t("logins.find")} value=${search} onInput=${setSearch} />
      <${Choice} label=${t("logins.state")} value=${state} onChange=${setState} options=${["all", ...STATES].map((value) => ({ value, label: t(`logins.state.${value}`) }))} />
    </${Toolbar}>
    <${Card} flush>
      <${Table}
        label=${t("nav.logins")}
        columns=${columns()}
        rows=${logins.rows}
        rowKey=${(login) => login.id}
        actions=${(login) => actionsOf(login, { setDialog, done, link })}
        error=${logins.error}
        retry=${logins.reload}
        more=${logins.more}
        empty=${html`<${Empty} icon="people" title=${t("logins.none")} action=${create}>${t("logins.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${dialog?.kind === "create" && html`<${NewLogin} onClose=${close} onDone=${(made) => link(t("logins.link_of", { name: made.login.name }), made.link)} />`}
    ${dialog?.kind === "change" && html`<${ChangeLogin} login=${dialog.login} onClose=${close} onDone=${() => (close(), done(t("logins.changed")))} />`}
    ${dialog?.kind === "link" && html`<${LinkDialog} title=${dialog.title} link=${dialog.link} onClose=${close} />`}
    ${dialog?.kind === "registration" && html`<${RegistrationDialog} onClose=${close} onDone=${() => (close(), toast(t("logins.registration_saved")))} />`}
  `;
}

const columns = () => [
  {
    key: "name",
    label: t("sign.name"),
    narrow: "title",
    cell: (login) => html`<span class="cell-title">${login.name}</span>${login.email && html`<span class="cell-note">${login.email}</span>`}`,
  },
  {
    key: "state",
    label: t("logins.state"),
    cell: (login) => html`<${Badge} tone=${TONES[login.state]}>${t(`logins.state.${login.state}`)}</${Badge}>
      ${login.operator && html` <${Badge} tone="info">${t("logins.operator")}</${Badge}>`}`,
  },
  {
    key: "accounts",
    label: t("nav.accounts"),
    cell: (login) => login.accounts.map((each) => html`<a class="nowrap" key=${each.name} href=${to`/site/accounts/${each.name}`}>${each.name}</a> `),
  },
  { key: "security", label: t("logins.security"), cell: (login) => ways(login).join(", ") || html`<span class="quiet">${t("logins.no_way_in")}</span>` },
  { key: "seen", label: t("logins.signed_in"), cell: (login) => (login.signed_in_at ? html`<${Time} at=${login.signed_in_at} />` : html`<span class="quiet">${t("logins.never")}</span>`) },
];

const ways = (login) => [login.password && t("logins.way.password"), login.elsewhere && t("logins.way.elsewhere"), login.totp && t("logins.way.totp")].filter(Boolean);
