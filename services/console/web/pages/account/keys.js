/**
 * The keys of an account: made, changed, rotated, blocked, deleted. Members see and change their own alone.
 */
import { reaches } from "../../core/access.js";
import { api, at } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useQuery } from "../../core/router.js";
import { useScope, useSession } from "../../core/session.js";
import { t } from "../../core/words.js";
import { Badge, Tags } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { confirm, Dialog } from "../../parts/dialog.js";
import { Empty, errorText, Notice } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Search, Choice } from "../../parts/search.js";
import { SecretOnce } from "../../parts/code.js";
import { Table } from "../../parts/table.js";
import { Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { KeyDialog } from "./keys/form.js";
import { RotateDialog } from "./keys/rotate.js";

/** In which a key may be, with their colours. */
export const STATES = ["valid", "blocked", "expired"];
export const TONES = { valid: "good", blocked: "bad", expired: "warn" };

/** @param {object} key of the API @returns {"valid"|"blocked"|"expired"} */
export function stateOf(key) {
  if (key.blocked) return "blocked";
  return key.expires_at && new Date(key.expires_at) <= new Date() ? "expired" : "valid";
}

/** @param {{params: {account: string}, head?: Function}} props head: what its heading is, where it is part of another page */
export default function Keys({ params: { account }, head: Head = PageHeader }) {
  const scope = useScope("keys_write", account);
  const session = useSession();
  const keys = useLoad((signal) => api.get(at`accounts/${account}/keys`, {}, { signal }), [account]);
  const [text, setText] = useQuery("find");
  const [state, setState] = useQuery("state", "all");
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const made = (created) => {
    setDialog({ kind: "secret", created });
    keys.reload();
  };
  const done = (sentence) => {
    toast(sentence);
    keys.reload();
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "create" })}>${t("keys.create")}</${Button}>`;
  const shown = keys.data?.filter((key) => (state === "all" || stateOf(key) === state) && found(key, text));
  return html`
    <${Head} title=${t("keys.title")} text=${t(scope === "all" ? "keys.text" : "keys.text_own")} actions=${scope && create} />
    ${(keys.data?.length > 0 || text || state !== "all") &&
    html`<${Toolbar}>
      <${Search} label=${t("keys.find")} value=${text} onInput=${setText} />
      <${Choice} label=${t("keys.state")} value=${state} onChange=${setState} options=${["all", ...STATES].map((value) => ({ value, label: t(`keys.state.${value}`) }))} />
    </${Toolbar}>`}
    <${Card} flush>
      <${Table}
        label=${t("keys.title")}
        columns=${columns()}
        rows=${shown}
        rowKey=${(key) => key.id}
        actions=${scope && ((key) => actions(account, key, { setDialog, done, above: !reaches(session, account, key.blocked_by) }))}
        order=${{ key: "name", down: false }}
        error=${keys.error}
        retry=${keys.reload}
        empty=${keys.data?.length === 0
          ? html`<${Empty} icon="key" title=${t("keys.none")} action=${scope && create}>${t("keys.none_text")}</${Empty}>`
          : html`<${Empty} icon="search" title=${t("keys.none_found")} />`}
      />
    </${Card}>
    ${dialog?.kind === "create" && html`<${KeyDialog} account=${account} onDone=${made} onClose=${close} />`}
    ${dialog?.kind === "change" && html`<${KeyDialog} account=${account} entry=${dialog.entry} onClose=${close} onDone=${() => (close(), done(t("keys.changed")))} />`}
    ${dialog?.kind === "rotate" && html`<${RotateDialog} account=${account} entry=${dialog.entry} onDone=${made} onClose=${close} />`}
    ${dialog?.kind === "secret" && html`<${Secret} created=${dialog.created} onClose=${close} />`}
  `;
}

function found(key, text) {
  const wanted = text.trim().toLowerCase();
  return [key.name, key.prefix, key.user ?? "", ...key.groups, ...key.models].some((each) => each.toLowerCase().includes(wanted));
}

const columns = () => [
  {
    key: "name",
    label: t("keys.name"),
    narrow: "title",
    sort: (key) => key.name,
    cell: (key) => html`<span class="cell-title">${key.name}</span><code class="cell-note">${key.prefix}…</code>
      ${key.playground && html` <${Badge} tone="neutral">${t("keys.of_playground")}</${Badge}>`}`,
  },
  {
    key: "state",
    label: t("keys.state"),
    sort: (key) => STATES.indexOf(stateOf(key)),
    cell: (key) => html`<${Badge} tone=${TONES[stateOf(key)]}>${t(`keys.state.${stateOf(key)}`)}</${Badge}>
      ${key.blocked && html`<span class="cell-note">${t(`keys.blocked_by.${key.blocked_by}`)}</span>`}`,
  },
  { key: "groups", label: t("keys.groups"), cell: (key) => html`<${Tags} names=${key.groups} />` },
  {
    key: "models",
    label: t("keys.models"),
    cell: (key) => (key.models.includes("*") ? html`<span class="quiet">${t("keys.all_models")}</span>` : html`<${Tags} names=${key.models} most=${2} />`),
  },
  { key: "user", label: t("keys.user"), sort: (key) => key.user, cell: (key) => key.user },
  { key: "expires", label: t("keys.expires"), sort: (key) => key.expires_at, cell: (key) => (key.expires_at ? html`<${Time} at=${key.expires_at} />` : t("keys.never")) },
  { key: "created", label: t("keys.created"), sort: (key) => key.created_at, cell: (key) => html`<${Time} at=${key.created_at} />` },
];

function actions(account, key, { setDialog, done, above }) {
  const path = at`accounts/${account}/keys/${key.name}`;
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
  const remove = async () => {
    const agreed = await confirm({
      title: t("keys.delete_title", { name: key.name }),
      text: t("keys.delete_text"),
      action: t("keys.delete"),
      danger: true,
      typed: key.name,
      work: () => api.delete(path),
    });
    if (agreed) done(t("keys.deleted", { name: key.name }));
  };
  return [
    { label: t("keys.change"), icon: "edit", run: () => setDialog({ kind: "change", entry: key }) },
    { label: t("keys.rotate"), icon: "refresh", run: () => setDialog({ kind: "rotate", entry: key }) },
    key.blocked ? { label: t("keys.unblock"), icon: "check", disabled: above, run: unblock } : { label: t("keys.block"), icon: "stop", run: block },
    null,
    { label: t("keys.delete"), icon: "trash", danger: true, disabled: above, run: remove },
  ];
}

function Secret({ created, onClose }) {
  const footer = html`<${Button} kind="primary" onClick=${onClose}>${t("keys.kept")}</${Button}>`;
  return html`<${Dialog} title=${t("keys.secret_of", { name: created.key.name })} onClose=${onClose} footer=${footer} locked>
    <${SecretOnce} label=${t("keys.secret")} secret=${created.secret} />
    ${created.key.ending.length > 0 &&
    html`<${Notice}><p>${t("keys.ending", { count: created.key.ending.length })}</p>
      <ul>${created.key.ending.map((each) => html`<li key=${each.prefix}><code>${each.prefix}…</code> <${Time} at=${each.expires_at} /></li>`)}</ul>
    </${Notice}>`}
  </${Dialog}>`;
}
