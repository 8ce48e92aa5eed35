/**
 * What is changed in requests and answers on their way through a channel.
 */
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { Form, useForm } from "../../../parts/form.js";
import { JsonField, jsonFault, jsonText, readJson } from "../../../parts/json.js";
import { Card } from "../../../parts/page.js";
import { RowsField } from "../../../parts/rows.js";
import { changeChannel } from "../channels/apply.js";
import { VENDORS } from "../channels/vendors.js";
import { headersOf, headerValues, paramsOf, paramValues, statusOf, statusRows } from "./rule-values.js";
import { OPTIONS } from "./options.js";

const isEmpty = (value) => Object.keys(value).length === 0;

function valuesOf({ params, headers, status_map, overrides, options }) {
  return {
    params: paramValues(params),
    headers: headerValues(headers),
    status_map: statusRows(status_map),
    overrides: overrides.length ? jsonText(overrides) : "",
    options: isEmpty(options) ? "" : jsonText(options),
  };
}

/** @param {{channel: object, done: (sentence: string) => void}} props */
export function Rules({ channel, done }) {
  const form = useForm(valuesOf(channel), {
    check: ({ overrides, options }) => ({ overrides: jsonFault(overrides), options: jsonFault(options) }),
    submit: async (values) => {
      const rules = {
        params: paramsOf(values.params),
        headers: headersOf(values.headers),
        status_map: statusOf(values.status_map),
        overrides: readJson(values.overrides, []),
        options: readJson(values.options, {}),
      };
      await changeChannel(channel.name, (entry) => ({ ...entry, ...rules }));
      done(t("channels.changed"));
    },
  });
  const suit = (vendor) => {
    const { options = {}, params = {} } = VENDORS[vendor];
    form.set("options", isEmpty(options) ? "" : jsonText(options));
    form.set("params", paramValues(params));
  };
  const name = { key: "name", label: t("channels.field"), placeholder: "top_p" };
  const value = { key: "value", label: t("channels.value"), placeholder: "0.7" };
  return html`<${Card}>
    <${Form} form=${form} submit=${t("common.save")}>
      <${Part} section="params" text=${t("channels.params_text")}>
        <${ChipsField} form=${form} name="params.drop" label=${t("channels.params.drop")} placeholder="seed" free />
        <${RowsField} form=${form} name="params.set" label=${t("channels.params.set")} help=${t("channels.params.set_help")} columns=${[name, value]} />
        <${RowsField} form=${form} name="params.default" label=${t("channels.params.default")} help=${t("channels.params.default_help")} columns=${[name, value]} />
        <${RowsField} form=${form} name="params.clamp" label=${t("channels.params.clamp")} columns=${[name, { key: "min", label: t("channels.min"), numeric: true }, { key: "max", label: t("channels.max"), numeric: true }]} />
        <${RowsField} form=${form} name="params.rename" label=${t("channels.params.rename")} columns=${[{ ...name, placeholder: "max_tokens" }, { key: "value", label: t("channels.their_name"), placeholder: "max_completion_tokens" }]} />
      </${Part}>
      <${Part} section="headers" text=${t("channels.headers_text")}>
        <${ChipsField} form=${form} name="headers.drop" label=${t("channels.headers.drop")} placeholder="x-trace" free />
        <${RowsField} form=${form} name="headers.set" label=${t("channels.headers.set")} columns=${[{ ...name, label: t("channels.header"), placeholder: "x-title" }, { ...value, placeholder: "Acme" }]} />
      </${Part}>
      <${Part} section="status_map" text=${t("channels.status_map_text")}>
        <${RowsField} form=${form} name="status_map" label=${t("channels.status_pairs")} columns=${[{ key: "status", label: t("channels.their_status"), placeholder: "403", numeric: true }, { key: "read_as", label: t("channels.read_as"), placeholder: "429", numeric: true }]} />
      </${Part}>
      <${Part} section="overrides" text=${t("channels.overrides_text")}>
        <${JsonField} form=${form} name="overrides" label=${t("channels.overrides_json")} help=${html`<code>[{"models": ["large*"], "timeouts": {"first_token_s": 120}, "params": {"drop": ["seed"]}}]</code>`} />
      </${Part}>
      <${Part} section="options" text=${t("channels.options_text")}>
        <${Suiting} onChoose=${suit} />
        <${JsonField} form=${form} name="options" label=${t("channels.options_json")} />
        <${Known} />
      </${Part}>
    </${Form}>
  </${Card}>`;
}

function Part({ section, text, children }) {
  return html`<div class="form-part"><h2>${t(`channels.section.${section}`)}</h2><p class="quiet">${text}</p>${children}</div>`;
}

/** Fills in what suits a vendor; nothing is saved by it. */
function Suiting({ onChoose }) {
  return html`<label class="choice"><span>${t("channels.suit")}</span>
    <select class="input" onChange=${(event) => event.target.value && onChoose(event.target.value)}>
      <option value=""></option>
      ${Object.keys(VENDORS).map((vendor) => html`<option key=${vendor} value=${vendor}>${vendor}</option>`)}
    </select>
  </label>`;
}

function Known() {
  return html`<details class="form-section">
    <summary>${t("channels.known_options")}</summary>
    <div class="scrolling" tabindex="0" role="group" aria-label=${t("channels.known_options")}>
      <table class="plain-table">
        <thead><tr><th scope="col">${t("channels.option")}</th><th scope="col">${t("channels.option_default")}</th><th scope="col">${t("channels.option_values")}</th></tr></thead>
        <tbody>${OPTIONS.map(([option, standard, values]) => html`<tr key=${option}><th scope="row"><code>${option}</code></th><td><code>${standard}</code></td><td>${values}</td></tr>`)}</tbody>
      </table>
    </div>
  </details>`;
}
