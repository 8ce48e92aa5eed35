/**
 * What is usually said of a channel, as a form.
 */
import { api } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { NumberField, SelectField, SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Card } from "../../../parts/page.js";
import { changeChannel } from "../channels/apply.js";
import { DIALECTS } from "../channels/vendors.js";

const LIMITS = ["jobs", "rpm", "tpm"];
const TIMEOUTS = ["connect_s", "first_token_s", "idle_s", "total_s"];
const ORDERS = ["turns", "least-used", "weighted"];
const PROBES = ["models", "completion", "embedding", "tcp"];
const PREFIXES = ["none", "last_message", "prefix", "partial", "continue_final_message"];
const PAID_PER_DAY = 2000;

/** Probes that ask a model. */
const ASKING = ["completion", "embedding"];

function valuesOf(channel) {
  const { dialect, base_url, groups, priority, weight, stream_usage, credential_order, limits, timeouts, probe, options } = channel;
  return {
    ...{ dialect, base_url, groups, priority, weight, stream_usage, credential_order, timeouts },
    limits: { jobs: null, rpm: null, tpm: null, ...limits },
    probe: { kind: probe.kind ?? "models", model: probe.model || null, interval_s: probe.interval_s ?? null, paid_per_day: probe.paid_per_day ?? PAID_PER_DAY },
    options: { prefix: options.prefix ?? "none", translated: options.translated ?? false },
  };
}

/** Options that are not in the form stay. */
const changed = ({ options, priority, weight, ...values }) => (entry) => ({
  ...entry,
  ...values,
  priority: priority ?? 0,
  weight: weight ?? 0,
  probe: { ...values.probe, model: ASKING.includes(values.probe.kind) ? (values.probe.model ?? "") : "" },
  options: { ...entry.options, ...options },
});

/** @param {{channel: object, done: (sentence: string) => void}} props */
export function Settings({ channel, done }) {
  const known = useLoad((signal) => api.get("names", {}, { signal }), []);
  const form = useForm(valuesOf(channel), {
    submit: async (values) => {
      await changeChannel(channel.name, changed(values));
      done(t("channels.changed"));
    },
  });
  const options = (names, prefix) => names.map((value) => ({ value, label: prefix ? t(`channels.${prefix}.${value}`) : value }));
  const asks = ASKING.includes(form.get("probe.kind"));
  return html`<${Card}>
    <${Form} form=${form} submit=${t("common.save")}>
      <${Part} title=${t("channels.section.upstream")}>
        <div class="form-row">
          <${TextField} form=${form} name="base_url" label=${t("channels.base_url")} help=${t("channels.base_url_help")} required />
          <${SelectField} form=${form} name="dialect" label=${t("channels.dialect")} required options=${options(DIALECTS)} />
        </div>
      </${Part}>
      <${Part} title=${t("channels.section.share")} text=${t("channels.share_text")}>
        <${ChipsField} form=${form} name="groups" label=${t("channels.groups")} help=${t("channels.groups_help")} options=${known.data?.groups ?? []} required />
        <div class="form-row">
          <${NumberField} form=${form} name="priority" label=${t("channels.priority")} help=${t("channels.priority_help")} />
          <${NumberField} form=${form} name="weight" label=${t("channels.weight")} help=${t("channels.weight_help")} min="0" />
        </div>
      </${Part}>
      <${Part} title=${t("channels.credentials")} text=${t("channels.limits_text")}>
        <${SelectField} form=${form} name="credential_order" label=${t("channels.credential_order")} required options=${options(ORDERS, "order_text")} />
        <div class="form-row">${LIMITS.map((name) => html`<${NumberField} key=${name} form=${form} name=${`limits.${name}`} label=${t(`channels.limit.${name}`)} min="1" />`)}</div>
      </${Part}>
      <${Part} title=${t("channels.timeouts")}>
        <div class="form-row">${TIMEOUTS.map((name) => html`<${NumberField} key=${name} form=${form} name=${`timeouts.${name}`} label=${t(`channels.timeout.${name}`)} suffix="s" step="any" min="0" required />`)}</div>
      </${Part}>
      <${Part} title=${t("channels.probe")} text=${t("channels.probe_text")}>
        <div class="form-row">
          <${SelectField} form=${form} name="probe.kind" label=${t("channels.probe_kind")} required options=${options(PROBES, "kind")} />
          ${asks && html`<${SelectField} form=${form} name="probe.model" label=${t("channels.model")} empty=${t("channels.first_model")} options=${options(Object.keys(channel.models))} />`}
          <${NumberField} form=${form} name="probe.interval_s" label=${t("channels.probe_interval")} suffix="s" step="any" min="1" />
          ${asks && html`<${NumberField} form=${form} name="probe.paid_per_day" label=${t("channels.paid_per_day")} min="0" />`}
        </div>
      </${Part}>
      <${Part} title=${t("channels.section.answers")}>
        <${SwitchField} form=${form} name="stream_usage" label=${t("channels.stream_usage")} help=${t("channels.stream_usage_help")} />
        <${SwitchField} form=${form} name="options.translated" label=${t("channels.translated")} help=${t("channels.translated_help")} />
        <${SelectField} form=${form} name="options.prefix" label=${t("channels.prefix")} help=${t("channels.prefix_help")} required options=${options(PREFIXES, "prefix")} />
      </${Part}>
    </${Form}>
  </${Card}>`;
}

function Part({ title, text, children }) {
  return html`<div class="form-part"><h2>${title}</h2>${text && html`<p class="quiet">${text}</p>`}${children}</div>`;
}
