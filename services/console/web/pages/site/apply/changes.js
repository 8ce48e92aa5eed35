/**
 * What applying a configuration changes, or would change: a line for each thing, its fields before and after.
 */
import { html, useState } from "../../../core/html.js";
import { known, t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";

const TONES = { create: "good", update: "info", delete: "bad", grant: "good" };
const SHOWN = 100;

/** @param {{changes: {action: string, kind: string, name: string, fields: object[]}[]}} props */
export function Changes({ changes }) {
  const [shown, setShown] = useState(SHOWN);
  return html`<ul class="changes">
      ${changes.slice(0, shown).map((change) => html`<${One} key=${`${change.action}/${change.kind}/${change.name}`} change=${change} />`)}
    </ul>
    ${changes.length > shown && html`<${Button} onClick=${() => setShown(shown * 2)}>${t("common.more")}</${Button}>`}`;
}

function One({ change: { action, kind, name, fields } }) {
  return html`<li>
    <div class="row">
      <${Badge} tone=${TONES[action] ?? "neutral"}>${t(`apply.action.${action}`)}</${Badge}>
      <span class="quiet">${known(`apply.kind.${kind}`) ? t(`apply.kind.${kind}`) : kind}</span>
      <strong>${name}</strong>
    </div>
    ${fields.length > 0 &&
    html`<dl>
      ${fields.map(
        (field) => html`<div key=${field.field}>
          <dt><code>${field.field}</code></dt>
          <dd>${action === "update" && html`<del>${field.before}</del> → `}${field.after}</dd>
        </div>`,
      )}
    </dl>`}
  </li>`;
}
