/**
 * The users of an account: who signs in to it, with which role, and users that only bundle keys.
 */
import { api, at } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope, useSession } from "../../core/session.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { confirm } from "../../parts/dialog.js";
import { HeldKeys } from "../../parts/held-keys.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { AddMember, ChangeRole, NewUser, ROLES } from "./members/forms.js";
import { TermsDialog } from "./members/terms.js";

/** @param {{params: {account: string}, head?: Function}} props head: what its heading is, where it is part of another page */
export default function Members({ params: { account }, head: Head = PageHeader }) {
  const scope = useScope("members_write", account);
  const session = useSession();
  const users = useLoad((signal) => api.get(at`accounts/${account}/users`, {}, { signal }), [account]);
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const done = (sentence) => {
    close();
    toast(sentence);
    users.reload();
  };
  const own = session.accounts.find((each) => each.name === account)?.role;
  const reach = session.login.operator ? ROLES.length : ROLES.indexOf(own) + 1;
  const add = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "add" })}>${t("members.add")}</${Button}>`;
  const buttons = html`<${Button} onClick=${() => setDialog({ kind: "user" })}>${t("members.new_user")}</${Button}>${add}`;
  return html`
    <${Head} title=${t("members.title")} text=${t("members.text")} actions=${scope && buttons} />
    <${Card} flush>
      <${Table}
        label=${t("members.title")}
        columns=${columns()}
        rows=${users.data}
        rowKey=${(user) => user.id}
        actions=${scope && ((user) => actions(account, user, { setDialog, done, reach }))}
        error=${users.error}
        retry=${users.reload}
        empty=${html`<${Empty} icon="people" title=${t("members.none")} action=${scope && add}>${t("members.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${dialog?.kind === "add" && html`<${AddMember} account=${account} roles=${ROLES.slice(0, reach)} users=${users.data ?? []} onClose=${close} onDone=${() => done(t("members.added"))} />`}
    ${dialog?.kind === "user" && html`<${NewUser} account=${account} onClose=${close} onDone=${() => done(t("members.user_made"))} />`}
    ${dialog?.kind === "role" && html`<${ChangeRole} account=${account} user=${dialog.user} roles=${ROLES.slice(0, reach)} onClose=${close} onDone=${() => done(t("members.role_changed"))} />`}
    ${dialog?.kind === "terms" && html`<${TermsDialog} account=${account} user=${dialog.user} onClose=${close} onDone=${() => done(t("members.terms_changed"))} />`}
  `;
}

const columns = () => [
  {
    key: "name",
    label: t("members.user"),
    narrow: "title",
    sort: (user) => user.name,
    cell: (user) => html`<span class="cell-title">${user.name}</span>${user.login && user.login !== user.name && html`<span class="cell-note">${user.login}</span>`}`,
  },
  {
    key: "role",
    label: t("members.role"),
    sort: (user) => (user.login ? ROLES.indexOf(user.role) : -1),
    cell: (user) => (user.login ? html`<${Badge} tone=${user.role === "owner" ? "info" : "neutral"}>${t(`common.role.${user.role}`)}</${Badge}>` : html`<span class="quiet">${t("members.no_login")}</span>`),
  },
  { key: "keys", label: t("nav.keys"), align: "end", sort: (user) => user.keys, cell: (user) => user.keys },
  { key: "created", label: t("members.since"), sort: (user) => user.created_at, cell: (user) => html`<${Time} at=${user.created_at} />` },
];

function actions(account, user, { setDialog, done, reach }) {
  const remove = async () => {
    const path = at`accounts/${account}/members/${user.name}`;
    const query = { withdraw_keys: null };
    const agreed = await confirm({
      title: t("members.remove_title", { name: user.login }),
      text: html`<p>${t("members.remove_text", { count: user.keys })}</p>
        <${HeldKeys} path=${`${path}/keys`} besides=${(key) => key.user !== user.name} text=${t("members.withdraw_text")} onChoose=${(withdraw) => (query.withdraw_keys = withdraw)} />`,
      action: t("members.remove"),
      danger: true,
      work: () => api.delete(path, { query }),
    });
    if (agreed) done(t("members.removed"));
  };
  const forget = async () => {
    const agreed = await confirm({
      title: t("members.delete_title", { name: user.name }),
      text: t("members.delete_text"),
      action: t("members.delete"),
      danger: true,
      work: () => api.delete(at`accounts/${account}/users/${user.name}`),
    });
    if (agreed) done(t("members.user_deleted"));
  };
  const within = !user.login || ROLES.indexOf(user.role) < reach;
  return [
    { label: t("members.terms"), icon: "sliders", run: () => setDialog({ kind: "terms", user }) },
    ...(user.login
      ? [
          { label: t("members.change_role"), icon: "people", disabled: !within, run: () => setDialog({ kind: "role", user }) },
          null,
          { label: t("members.remove"), icon: "stop", danger: true, disabled: !within, run: remove },
        ]
      : [null, { label: t("members.delete"), icon: "trash", danger: true, run: forget }]),
  ];
}
