/**
 * More models for a channel: found at the provider and chosen, or written by hand; then named, and priced where no list does it.
 */
import { api, at } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { Form, useForm } from "../../../parts/form.js";
import { ErrorNotice, Notice } from "../../../parts/notice.js";
import { Progress } from "../../../parts/progress.js";
import { Search } from "../../../parts/search.js";
import { applyChannel, entryOf } from "../channels/apply.js";
import { emptyModel, modelEntries, modelMap, ModelRows, modelRowsFault } from "../channels/model-rows.js";

/** @param {{channel: object, find: boolean, known: string[], onClose: () => void, onDone: (count: number) => void}} props known: models that have a price */
export function AddModels({ channel, find, known, onClose, onDone }) {
  const [chosen, setChosen] = useState(find ? null : [emptyModel()]);
  return html`<${Dialog} title=${t(find ? "channels.discover_title" : "channels.add_by_hand")} onClose=${onClose} wide>
    ${chosen === null
      ? html`<${Found} channel=${channel} onChoose=${(names) => setChosen(names.map(emptyModel))} onClose=${onClose} />`
      : html`<${Naming} channel=${channel} rows=${chosen} known=${known} fixed=${find} onCancel=${find ? () => setChosen(null) : onClose} onDone=${onDone} />`}
  </${Dialog}>`;
}

function Found({ channel, onChoose, onClose }) {
  const found = useLoad((signal) => api.get(at`channels/${channel.name}/discovered`, {}, { signal }), []);
  const [text, setText] = useState("");
  const [picked, setPicked] = useState(new Set());
  if (found.error) return html`<${ErrorNotice} error=${found.error} retry=${found.reload} />`;
  if (!found.data) return html`<${Progress} label=${t("channels.asking")} />`;
  const { models, unlisted, complete } = found.data;
  const shown = models.filter((model) => model.name.toLowerCase().includes(text.trim().toLowerCase()));
  const fresh = shown.filter((model) => model.mapped_as.length === 0);
  const toggle = (name) => setPicked(new Set(picked.has(name) ? [...picked].filter((each) => each !== name) : [...picked, name]));
  const all = fresh.length > 0 && fresh.every((model) => picked.has(model.name));
  const pickAll = () => setPicked(new Set(all ? [...picked].filter((name) => !fresh.some((model) => model.name === name)) : [...picked, ...fresh.map((model) => model.name)]));
  return html`<div class="stack">
    <p class="quiet">${t("channels.discover_text", { count: models.length })}</p>
    ${!complete && html`<${Notice} kind="warning">${t("channels.list_is_cut")}</${Notice}>`}
    ${unlisted.length > 0 && html`<${Notice} kind="warning" title=${t("channels.unlisted")}>${unlisted.join(", ")}</${Notice}>`}
    <div class="row"><${Search} label=${t("channels.find_models")} value=${text} onInput=${setText} /><span class="grow"></span>
      <${Button} small disabled=${fresh.length === 0} onClick=${pickAll}>${t(all ? "channels.pick_none" : "channels.pick_all", { count: fresh.length })}</${Button}></div>
    <ul class="pick-list" aria-label=${t("channels.models")}>
      ${shown.map(
        (model) => html`<li key=${model.name}>
          <label>
            <input type="checkbox" checked=${picked.has(model.name)} onChange=${() => toggle(model.name)} />
            <span class="mono">${model.name}</span>
            ${model.mapped_as.length > 0 && html`<span class="quiet">${t("channels.served_as", { names: model.mapped_as.join(", ") })}</span>`}
          </label>
        </li>`,
      )}
    </ul>
    <div class="form-actions">
      <span class="grow"></span>
      <${Button} onClick=${onClose}>${t("common.cancel")}</${Button}>
      <${Button} kind="primary" disabled=${picked.size === 0} onClick=${() => onChoose(models.map((model) => model.name).filter((name) => picked.has(name)))}>${t("channels.go_on", { count: picked.size })}</${Button}>
    </div>
  </div>`;
}

function Naming({ channel, rows, known, fixed, onCancel, onDone }) {
  const form = useForm(
    { models: rows },
    {
      check: ({ models }) => ({ models: modelRowsFault(models) ?? taken(modelMap(models), channel.models) }),
      submit: async ({ models }) => {
        const entry = entryOf(await api.get(at`channels/${channel.name}`));
        const added = modelMap(models);
        await applyChannel(channel.name, { ...entry, models: { ...entry.models, ...added } }, modelEntries(models, known));
        onDone(Object.keys(added).length);
      },
    },
  );
  return html`<${Form} form=${form} submit=${t("channels.serve_models")} onCancel=${onCancel}>
    <${ModelRows} form=${form} known=${known} fixed=${fixed} />
  </${Form}>`;
}

function taken(added, there) {
  const name = Object.keys(added).find((each) => each in there);
  return name === undefined ? null : t("channels.model_taken", { name });
}
