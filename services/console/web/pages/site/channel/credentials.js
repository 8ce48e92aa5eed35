/**
 * A channel's upstream secrets: how they stand with the provider, their shares and limits.
 */
import { api, at } from "../../../core/api.js";
import { count } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { confirm, Dialog } from "../../../parts/dialog.js";
import { NumberField, PasswordField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";

const LIMITS = ["jobs", "rpm", "tpm"];

/** @param {{channel: object, test: (what: object) => void, done: (sentence: string) => void}} props */
export function Credentials({ channel, test, done }) {
  const states = useLoad((signal) => api.get("credentials", {}, { signal }), [channel]);
  const [adding, setAdding] = useState(false);
  const [changing, setChanging] = useState(null);
  const state = (credential) => states.data?.find((each) => each.channel === channel.name && each.id === credential.id);
  const add = html`<${Button} kind="primary" icon="plus" onClick=${() => setAdding(true)}>${t("channels.add_credential")}</${Button}>`;
  const rows = channel.credentials.map((credential) => ({ ...credential, state: state(credential) }));
  return html`
    <${Card} flush title=${t("channels.credentials")} text=${t("channels.credentials_text", { order: t(`channels.order.${channel.credential_order}`) })} actions=${add}>
      <${Table}
        label=${t("channels.credentials")}
        columns=${columns(channel)}
        rows=${rows}
        rowKey=${(credential) => credential.id}
        actions=${(credential) => actions(channel, credential, { test, change: () => setChanging(credential), done })}
        error=${states.error}
        retry=${states.reload}
        empty=${html`<${Empty} icon="key" title=${t("channels.no_credentials")} action=${add}>${t("channels.no_credentials_text")}</${Empty}>`}
      />
    </${Card}>
    ${adding && html`<${AddCredential} channel=${channel} onClose=${() => setAdding(false)} onDone=${() => (setAdding(false), done(t("channels.credential_added")))} />`}
    ${changing && html`<${ChangeCredential} channel=${channel} credential=${changing} onClose=${() => setChanging(null)} onDone=${() => (setChanging(null), done(t("channels.credential_changed")))} />`}
  `;
}

const columns = (channel) => [
  { key: "mark", label: t("channels.mark"), narrow: "title", sort: (credential) => credential.id, cell: (credential) => html`<code class="cell-title">${credential.mark}…</code>` },
  { key: "state", label: t("channels.state"), cell: (credential) => html`<${CredentialState} state=${credential.state} />` },
  { key: "weight", label: t("channels.weight"), align: "end", sort: (credential) => credential.weight, cell: (credential) => html`<span class=${channel.credential_order === "weighted" ? "" : "quiet"}>${count(credential.weight)}</span>` },
  { key: "limits", label: t("channels.limits"), cell: (credential) => limitsText(credential.limits, channel.limits) },
  { key: "created", label: t("channels.stored"), sort: (credential) => credential.created_at, cell: (credential) => html`<${Time} at=${credential.created_at} />` },
];

function CredentialState({ state }) {
  if (!state) return html`<span class="quiet">–</span>`;
  if (!state.refused_at) return html`<${Badge} tone=${state.heard_at ? "good" : "neutral"}>${t(state.heard_at ? "channels.credential.good" : "channels.credential.unheard")}</${Badge}>`;
  return html`<${Badge} tone="bad">${t("channels.credential.refused")}</${Badge}>
    <span class="cell-note">${state.status !== null && t("channels.credential.status", { status: state.status })} <${Time} at=${state.refused_at} /></span>`;
}

/** Its own limits; those of the channel where it has none. */
function limitsText(own, channel) {
  const lines = LIMITS.filter((name) => own[name] ?? channel[name] ?? false);
  if (lines.length === 0) return null;
  return html`<span class="limit-lines">${lines.map((name) => html`<span key=${name} class=${own[name] ? "nowrap" : "nowrap quiet"}>${count(own[name] ?? channel[name])} ${t(`channels.short.${name}`)}</span>`)}</span>`;
}

function actions(channel, credential, { test, change, done }) {
  const remove = async () => {
    const agreed = await confirm({
      title: t("channels.delete_credential_title", { mark: credential.mark }),
      text: t("channels.delete_credential_text"),
      action: t("channels.delete"),
      danger: true,
      work: () => api.delete(at`channels/${channel.name}/credentials/${credential.id}`),
    });
    if (agreed) done(t("channels.credential_deleted"));
  };
  return [
    { label: t("channels.test"), icon: "pulse", run: () => test({ credential: credential.id }) },
    { label: t("channels.change"), icon: "edit", run: change },
    null,
    { label: t("channels.delete"), icon: "trash", danger: true, run: remove },
  ];
}

function AddCredential({ channel, onClose, onDone }) {
  const form = useForm(
    { secret: "", weight: 1, jobs: null, rpm: null, tpm: null },
    {
      submit: async (values) => {
        await api.post(at`channels/${channel.name}/credentials`, { ...values, weight: values.weight ?? 1 });
        onDone();
      },
    },
  );
  return html`<${Dialog} title=${t("channels.add_credential")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("channels.add_credential")} onCancel=${onClose}>
      <${PasswordField} form=${form} name="secret" label=${t("channels.secret")} help=${t("channels.secret_again")} autocomplete="off" required />
      <div class="form-part"><${Terms} form=${form} channel=${channel} /></div>
    </${Form}>
  </${Dialog}>`;
}

/** All but the secret, which stays. */
function ChangeCredential({ channel, credential, onClose, onDone }) {
  const { jobs = null, rpm = null, tpm = null } = credential.limits;
  const form = useForm(
    { weight: credential.weight, jobs, rpm, tpm },
    {
      submit: async (values) => {
        await api.patch(at`channels/${channel.name}/credentials/${credential.id}`, values);
        onDone();
      },
    },
  );
  return html`<${Dialog} title=${t("channels.change_credential_title", { mark: credential.mark })} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${Terms} form=${form} channel=${channel} required />
      <p class="quiet">${t("channels.change_credential_text")}</p>
    </${Form}>
  </${Dialog}>`;
}

/** A credential's share, and its own limits; those of the channel stand where it has none. */
function Terms({ form, channel, required }) {
  return html`<div class="form-row">
    <${NumberField} form=${form} name="weight" label=${t("channels.weight")} help=${t("channels.credential_weight_help")} min="1" required=${required} />
    ${LIMITS.map((name) => html`<${NumberField} key=${name} form=${form} name=${name} label=${t(`channels.limit.${name}`)} placeholder=${channel.limits[name] ?? ""} min="1" />`)}
  </div>`;
}
