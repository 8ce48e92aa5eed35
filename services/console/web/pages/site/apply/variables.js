/**
 * Secrets that a configuration has in environment variables. The server's own are not read: who applies it writes them here.
 */
import { html, useId } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Notice } from "../../../parts/notice.js";

const PREFIX = "env:";

const nameOf = (secret) => (typeof secret === "string" && secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : null);

const listed = (value) => (Array.isArray(value) ? value : []);

/**
 * A configuration with the values of its variables. A credential whose variable has none is left out; a channel that has no
 * other keeps what it has.
 * @param {any} configuration @param {Record<string, string>} values by name
 */
export function fill(configuration, values) {
  if (configuration === null || typeof configuration !== "object") return configuration ?? {};
  const valueOf = (secret) => (nameOf(secret) === null ? secret : values[nameOf(secret)]?.trim() || null);
  const credential = (each) => {
    const value = valueOf(each?.secret ?? each);
    return value === null ? null : each?.secret ? { ...each, secret: value } : value;
  };
  const channel = (each) => {
    if (!Array.isArray(each?.credentials)) return each;
    const credentials = each.credentials.map(credential).filter((one) => one !== null);
    const { credentials: before, ...rest } = each;
    return before.length > 0 && credentials.length === 0 ? rest : { ...rest, credentials };
  };
  const key = (each) => (each?.secret && valueOf(each.secret) ? { ...each, secret: valueOf(each.secret) } : each);
  const account = (each) => (Array.isArray(each?.keys) ? { ...each, keys: each.keys.map(key) } : each);
  return {
    ...configuration,
    ...(configuration.channels && { channels: Array.isArray(configuration.channels) ? configuration.channels.map(channel) : configuration.channels }),
    ...(configuration.accounts && { accounts: listed(configuration.accounts).length ? configuration.accounts.map(account) : configuration.accounts }),
  };
}

/** @param {{names: string[], values: Record<string, string>, onChange: (values: Record<string, string>) => void}} props */
export function Variables({ names, values, onChange }) {
  const id = useId("variable");
  return html`<fieldset class="variables">
    <legend>${t("apply.variables")}</legend>
    <${Notice}><p>${t("apply.variables_text")}</p></${Notice}>
    <div class="form-row">
      ${names.map(
        (name, at) => html`<div class="field" key=${name}>
          <label for=${`${id}-${at}`}><code>${name}</code></label>
          <input id=${`${id}-${at}`} class="input" type="password" autocomplete="off" spellcheck=${false} value=${values[name] ?? ""} onInput=${(event) => onChange({ ...values, [name]: event.target.value })} />
        </div>`,
      )}
    </div>
  </fieldset>`;
}
