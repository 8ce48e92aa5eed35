/**
 * All of a channel as JSON, for what the forms do not say.
 */
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { at } from "../../../core/api.js";
import { putEntry } from "../../../parts/entry.js";
import { Form, useForm } from "../../../parts/form.js";
import { JsonField, jsonFault, jsonText, readJson } from "../../../parts/json.js";
import { Card } from "../../../parts/page.js";
import { entryOf } from "../channels/apply.js";

const LINES = 24;

/** @param {{channel: object, done: (sentence: string) => void}} props */
export function EntryEditor({ channel, done }) {
  const form = useForm(
    { entry: jsonText(entryOf(channel)) },
    {
      check: ({ entry }) => ({ entry: jsonFault(entry, false) }),
      submit: async ({ entry }) => {
        await putEntry("channels", at`channels/${channel.name}`, readJson(entry), "entry");
        done(t("channels.changed"));
      },
    },
  );
  return html`<${Card} text=${t("channels.json_text")}>
    <${Form} form=${form} submit=${t("common.save")}>
      <${JsonField} form=${form} name="entry" label=${t("channels.json_label", { name: channel.name })} help=${t("channels.json_help")} lines=${LINES} required />
    </${Form}>
  </${Card}>`;
}
