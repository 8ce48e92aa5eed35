/**
 * The dialog that gives a key a new secret.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { SelectField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";

const HOUR_S = 3600;
const OVERLAPS_S = [0, HOUR_S, 24 * HOUR_S, 7 * 24 * HOUR_S, 30 * 24 * HOUR_S];

/** @param {{account: string, entry: object, onDone: (created: object) => void, onClose: () => void}} props */
export function RotateDialog({ account, entry, onDone, onClose }) {
  const form = useForm(
    { overlap_s: String(HOUR_S) },
    {
      submit: async ({ overlap_s }) => onDone(await api.post(at`accounts/${account}/keys/${entry.name}/rotate`, { overlap_s: Number(overlap_s) })),
    },
  );
  const options = OVERLAPS_S.map((seconds) => ({ value: String(seconds), label: t(`keys.overlap.${seconds}`) }));
  return html`<${Dialog} title=${t("keys.rotate_title", { name: entry.name })} onClose=${onClose}>
    <p class="quiet">${t("keys.rotate_text")}</p>
    <${Form} form=${form} submit=${t("keys.rotate")} onCancel=${onClose}>
      <${SelectField} form=${form} name="overlap_s" label=${t("keys.overlap")} options=${options} required />
    </${Form}>
  </${Dialog}>`;
}
