/**
 * What somebody who is kept out has in hand still: keys that work, and whether they are to go in the same step.
 */
import { api } from "../core/api.js";
import { html, useState } from "../core/html.js";
import { useLoad } from "../core/load.js";
import { t } from "../core/words.js";
import { Loaded } from "./notice.js";

const NAMES_SHOWN = 8;

const works = (key) => !key.blocked && !(key.expires_at && new Date(key.expires_at) <= new Date());

/**
 * Within a question of parts/dialog.js.
 * @param {{path: string, besides?: (key: object) => boolean, text: string, onChoose: (withdraw: boolean) => void}} props
 *   path: of the API, that lists the keys; besides: of which keys alone it is the question; text: what goes with the choice
 */
export function HeldKeys({ path, besides = () => true, text, onChoose }) {
  const held = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const [chosen, setChosen] = useState(false);
  const choose = (event) => {
    setChosen(event.target.checked);
    onChoose(event.target.checked);
  };
  return html`<${Loaded} of=${held} lines=${2}>${(keys) => {
    const found = keys.filter((key) => works(key) && besides(key));
    if (!found.length) return html`<p class="quiet">${t("held.none")}</p>`;
    const more = found.length - NAMES_SHOWN;
    return html`<div class="prose">
      <p>${t("held.some", { count: found.length })}</p>
      <ul>${found.slice(0, NAMES_SHOWN).map((key) => html`<li key=${key.id}><code>${key.account}/${key.name}</code> <span class="quiet">${key.prefix}…</span></li>`)}</ul>
      ${more > 0 && html`<p class="quiet">${t("held.more", { count: more })}</p>`}
      <label class="switch">
        <input type="checkbox" role="switch" checked=${chosen} onChange=${choose} />
        <span class="switch-track" aria-hidden="true"></span>
        <span>${t("held.withdraw")}</span>
      </label>
      <p class="field-help">${text}</p>
    </div>`;
  }}</${Loaded}>`;
}
