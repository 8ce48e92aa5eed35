/**
 * Asks a channel's provider on the spot whether it works, and shows what came of it.
 */
import { api, at } from "../../../core/api.js";
import { duration } from "../../../core/format.js";
import { html, useEffect, useId, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { ErrorNotice, Notice } from "../../../parts/notice.js";
import { Definitions } from "../../../parts/page.js";
import { Progress } from "../../../parts/progress.js";
import { errorName } from "../live/names.js";

const TONES = { passed: "good", limited: "warn", denied: "warn", credential: "bad", failed: "bad", unreachable: "bad", timeout: "bad", forbidden: "bad", unusable: "warn" };

/**
 * It is asked at once; then other models and credentials can be.
 * @param {{channel: object, model?: string, credential?: number, onClose: () => void}} props model: public name; none for the list of models
 */
export function TestDialog({ channel, model: first = "", credential: firstCredential = null, onClose }) {
  const [model, setModel] = useState(first);
  const [credential, setCredential] = useState(firstCredential === null ? "" : String(firstCredential));
  const [state, setState] = useState({ busy: true, tested: null, error: null });
  const run = async () => {
    setState({ busy: true, tested: null, error: null });
    try {
      const wanted = { model: model || null, credential: credential ? Number(credential) : null };
      setState({ busy: false, tested: await api.post(at`channels/${channel.name}/test`, wanted), error: null });
    } catch (error) {
      setState({ busy: false, tested: null, error });
    }
  };
  useEffect(() => {
    run();
  }, []);
  const footer = html`<${Button} onClick=${onClose}>${t("common.close")}</${Button}><${Button} kind="primary" icon="pulse" busy=${state.busy} onClick=${run}>${t("channels.test_again")}</${Button}>`;
  const models = [{ value: "", label: t("channels.list_of_models") }, ...Object.keys(channel.models).map((name) => ({ value: name, label: name }))];
  const credentials = [{ value: "", label: t("channels.first_credential") }, ...channel.credentials.map((each) => ({ value: String(each.id), label: `${each.mark}…` }))];
  return html`<${Dialog} title=${t("channels.test_title", { name: channel.name })} onClose=${onClose} footer=${footer}>
    <div class="form-row">
      <${Pick} label=${t("channels.ask_for")} options=${models} value=${model} onChange=${setModel} help=${model ? t("channels.test_costs") : t("channels.test_free")} />
      ${channel.credentials.length > 0 && html`<${Pick} label=${t("channels.credential")} options=${credentials} value=${credential} onChange=${setCredential} />`}
    </div>
    ${state.busy && html`<${Progress} label=${t("channels.asking")} />`}
    <${ErrorNotice} error=${state.error} />
    ${state.tested && html`<${Tested} tested=${state.tested} />`}
  </${Dialog}>`;
}

function Pick({ label, options, value, onChange, help }) {
  const id = useId("pick");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} class="input" aria-describedby=${help ? `${id}-help` : undefined} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map((each) => html`<option key=${each.value} value=${each.value} selected=${each.value === value}>${each.label}</option>`)}
    </select>
    ${help && html`<p class="field-help" id=${`${id}-help`}>${help}</p>`}
  </div>`;
}

/** @param {{tested: object}} props */
export function Tested({ tested }) {
  const { result } = tested;
  const good = result === "passed";
  return html`<div class="tested" role="status">
    <div class="tested-head"><${Badge} tone=${TONES[result]}>${t(`channels.result.${result}`)}</${Badge}><span class="grow">${t(`channels.result_text.${result}`)}</span><b class="number">${duration(tested.took_ms)}</b></div>
    <${Definitions}
      items=${[
        [t("channels.asked"), tested.model ? `${t(`channels.kind.${tested.kind}`)}: ${tested.model}` : t(`channels.kind.${tested.kind}`)],
        tested.status !== null && [t("channels.status"), html`<code>${tested.status}</code>`],
        tested.error && [t("channels.error"), errorName(tested.error)],
      ]}
    />
    ${tested.message && html`<${Notice} kind=${good ? "info" : "warning"} title=${t("channels.said")}><p class="as-is">${tested.message}</p></${Notice}>`}
  </div>`;
}
