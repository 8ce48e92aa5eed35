/**
 * The dialog that gives a model another name at the provider.
 */
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { changeChannel } from "../channels/apply.js";

/** @param {{channel: object, row: {name: string, upstream: string}, onClose: () => void, onDone: () => void}} props */
export function MapDialog({ channel, row, onClose, onDone }) {
  // Names of models may have dots, which a form would take for the way to a value inside: the API's fault of this one is `models.…`.
  const form = useForm(
    { models: row.upstream },
    {
      submit: async ({ models: upstream }) => {
        await changeChannel(channel.name, (entry) => ({ ...entry, models: { ...entry.models, [row.name]: upstream.trim() } }));
        onDone();
      },
    },
  );
  return html`<${Dialog} title=${t("channels.map_title", { name: row.name })} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${TextField} form=${form} name="models" label=${t("channels.upstream_name")} help=${t("channels.map_help")} required autofocus />
    </${Form}>
  </${Dialog}>`;
}
