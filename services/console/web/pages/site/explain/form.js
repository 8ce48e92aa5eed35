/**
 * What is asked: a job that might come. It stands in the address, so that an answer can be linked to.
 */
import { api, at } from "../../../core/api.js";
import { html, useId } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { setQuery } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { SelectField, SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";

const DIALECTS = ["openai-chat", "openai-responses", "anthropic", "gemini"];
export const STRATEGIES = ["priority", "cost", "latency", "throughput", "least-busy"];

/** What at least one dialect cannot carry; docs/fidelity.md has all. */
const NEEDS = [
  "audio_input",
  "audio_output",
  "built_in_tool",
  "cached_content",
  "choices",
  "custom_tool_grammar",
  "file_id",
  "file_url",
  "image_output",
  "logit_bias",
  "logprobs",
  "prefill",
  "starts_with_assistant",
  "stop",
  "stop_too_many",
  "stored_state",
  "video_input",
];

/**
 * The question of an address, as the API takes it; null if none is asked yet.
 * @param {URLSearchParams} query
 */
export function questionOf(query) {
  const model = query.get("model");
  if (!model) return null;
  const question = { model, stream: query.get("whole") !== "1" };
  if (query.get("key")) Object.assign(question, { account: query.get("account"), key: query.get("key") });
  else if (query.get("groups")) question.groups = query.get("groups").split(",");
  if (query.get("dialect")) question.dialect = query.get("dialect");
  if (query.get("needs")) question.needs = query.get("needs").split(",");
  if (query.get("strategy")) question.strategy = query.get("strategy");
  return question;
}

/** @param {{query: URLSearchParams, again: () => void}} props again: asks the same once more */
export function Question({ query, again }) {
  const names = useLoad((signal) => api.get("names", {}, { signal }), []);
  const accounts = useLoad((signal) => api.get("accounts", {}, { signal }), []);
  const form = useForm(initial(query), {
    submit: async (values) => {
      const asked = asQuery(values);
      const same = Object.entries(asked).every(([name, value]) => (query.get(name) ?? "") === (value ?? ""));
      if (same) again();
      else setQuery(asked);
    },
  });
  const { who, account } = form.values;
  const keys = useLoad((signal) => (who === "key" && account ? api.get(at`accounts/${account}/keys`, {}, { signal }).catch(() => []) : Promise.resolve([])), [who, account]);
  return html`<${Form} form=${form} submit=${t("explain.ask")}>
    <div class="form-row">
      <${Suggested} form=${form} name="model" label=${t("explain.model")} options=${names.data?.models} required />
      <${SelectField} form=${form} name="who" label=${t("explain.who")} required options=${["groups", "key"].map((value) => ({ value, label: t(`explain.who.${value}`) }))} />
    </div>
    ${who === "key"
      ? html`<div class="form-row">
          <${Suggested} form=${form} name="account" label=${t("explain.account")} options=${accounts.data?.map((each) => each.name)} required />
          <${Suggested} form=${form} name="key" label=${t("explain.key")} options=${keys.data?.map((each) => each.name)} required />
        </div>`
      : html`<${ChipsField} form=${form} name="groups" label=${t("explain.groups")} help=${t("explain.groups_help")} options=${[...(names.data?.groups ?? [])].sort()} required />`}
    <details class="form-section" open=${Boolean(form.values.dialect || form.values.strategy || form.values.whole)}>
      <summary>${t("explain.request")}</summary>
      <div class="form-row">
        <${SelectField} form=${form} name="strategy" label=${t("explain.strategy")} empty=${t("explain.as_configured")} options=${STRATEGIES.map((value) => ({ value, label: t(`explain.strategy.${value}`) }))} />
        <${SelectField} form=${form} name="dialect" label=${t("explain.dialect")} empty=${t("explain.any")} options=${DIALECTS.map((value) => ({ value, label: value }))} />
      </div>
      ${form.values.dialect &&
      html`<${ChipsField} form=${form} name="needs" label=${t("explain.needs")} help=${t("explain.needs_help")} options=${NEEDS.map((value) => ({ value, label: needName(value) }))} />`}
      <${SwitchField} form=${form} name="whole" label=${t("explain.whole")} />
    </details>
  </${Form}>`;
}

/** The words for a need. */
export const needName = (need) => (NEEDS.includes(need) ? t(`explain.need.${need}`) : need.replaceAll("_", " "));

function initial(query) {
  const many = (name, otherwise) => query.get(name)?.split(",").filter(Boolean) ?? otherwise;
  return {
    model: query.get("model") ?? "",
    who: query.get("key") ? "key" : "groups",
    account: query.get("account") ?? "",
    key: query.get("key") ?? "",
    groups: many("groups", ["default"]),
    dialect: query.get("dialect") ?? "",
    needs: many("needs", []),
    strategy: query.get("strategy") ?? "",
    whole: query.get("whole") === "1",
  };
}

function asQuery(values) {
  const byKey = values.who === "key";
  return {
    model: values.model.trim(),
    account: byKey ? values.account : null,
    key: byKey ? values.key : null,
    groups: byKey ? null : values.groups.join(","),
    dialect: values.dialect || null,
    needs: values.dialect ? values.needs.join(",") : null,
    strategy: values.strategy || null,
    whole: values.whole ? "1" : null,
  };
}

/** A text for which there are names that fit: a site may have too many for a list to choose from. */
function Suggested({ form, name, options = [], ...rest }) {
  const id = useId("names");
  return html`<div>
    <${TextField} form=${form} name=${name} list=${id} autocomplete="off" ...${rest} />
    <datalist id=${id}>${[...options].sort().map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>
  </div>`;
}
