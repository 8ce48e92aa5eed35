/**
 * The dialogs that make redemption codes, and show them this once.
 */
import { api } from "../../../core/api.js";
import { money } from "../../../core/format.js";
import { html, useEffect, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { CodeBlock } from "../../../parts/code.js";
import { Dialog } from "../../../parts/dialog.js";
import { DateTimeField, MoneyField, moneyFault, NumberField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Notice } from "../../../parts/notice.js";

const COUNT_DEFAULT = 20;

/** @param {{onDone: (created: object) => void, onClose: () => void}} props */
export function NewCodes({ onDone, onClose }) {
  const form = useForm({ usd: null, count: COUNT_DEFAULT, expires: null, note: "" }, {
    check: ({ usd }) => ({ usd: moneyFault(usd) }),
    submit: async (values) => onDone(await api.post("codes", values)),
  });
  return html`<${Dialog} title=${t("codes.create")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("codes.create")} onCancel=${onClose}>
      <div class="form-row">
        <${MoneyField} form=${form} name="usd" label=${t("codes.each")} required autofocus />
        <${NumberField} form=${form} name="count" label=${t("codes.how_many")} min="1" required />
      </div>
      <${DateTimeField} form=${form} name="expires" label=${t("codes.expires")} help=${t("codes.expires_help")} />
      <${TextField} form=${form} name="note" label=${t("codes.note")} help=${t("codes.note_help")} />
    </${Form}>
  </${Dialog}>`;
}

/** A file that exists in this window alone, and as long as it is shown. */
function useFile(text) {
  const [href, setHref] = useState(null);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    setHref(made);
    return () => URL.revokeObjectURL(made);
  }, [text]);
  return href;
}

/** @param {{created: {batch: object, codes: string[]}, onClose: () => void}} props */
export function MadeCodes({ created: { batch, codes }, onClose }) {
  const text = `${codes.join("\n")}\n`;
  const href = useFile(text);
  const footer = html`<${Button} icon="download" href=${href} download=${`codes-${batch.id}.txt`}>${t("codes.download")}</${Button}>
    <${Button} kind="primary" onClick=${onClose}>${t("codes.kept")}</${Button}>`;
  return html`<${Dialog} title=${t("codes.made", { count: codes.length, amount: money(batch.amount_nano) })} onClose=${onClose} footer=${footer} locked>
    <${Notice} kind="warning"><p>${t("codes.once")}</p></${Notice}>
    <div class="made-codes"><${CodeBlock} title=${t("nav.codes")} text=${text} /></div>
  </${Dialog}>`;
}
