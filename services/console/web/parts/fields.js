/**
 * Fields of a form of parts/form.js: html`<${TextField} form=${form} name="name" label=${t("…")} required />`.
 *
 * All take: form, name, label, help (a sentence under it), required, disabled.
 */
import { cx, html, useId, useState } from "../core/html.js";
import { t } from "../core/words.js";
import { Icon } from "./icon.js";

/**
 * The frame of a field: label, help and error, bound to the control.
 * @param {{form: object, name: string, label: string, help?: unknown, required?: boolean, class?: string,
 *   children: (props: object) => unknown}} props children gets `{id, name, aria-…, required, disabled}` for the control
 */
export function Field({ form, name, label, help, required, disabled, class: className, children }) {
  const id = useId("field");
  form.register(name, label, required);
  const error = form.errorOf(name);
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  const props = {
    id,
    name,
    disabled,
    "aria-invalid": error ? "true" : undefined,
    "aria-describedby": described || undefined,
    "aria-required": required ? "true" : undefined,
  };
  return html`<div class=${cx("field", error && "wrong", className)}>
    <label for=${id}>${label}${!required && html`<span class="field-optional">${t("common.optional")}</span>`}</label>
    ${[children].flat()[0](props)}
    ${help && html`<p class="field-help" id=${`${id}-help`}>${help}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}><${Icon} name="alert" size=${14} />${error}</p>`}
  </div>`;
}

/**
 * @param {object} props besides: type, placeholder, autocomplete, prefix, suffix and any attribute of an input; read: makes
 *   the form's value of what is typed
 */
export function TextField({ form, name, label, help, required, disabled, prefix, suffix, read = (text) => text, ...rest }) {
  return html`<${Field} ...${{ form, name, label, help, required, disabled }}>
    ${(props) => html`<${Affixed} prefix=${prefix} suffix=${suffix}>
      <input class="input" type="text" spellcheck=${false} ...${rest} ...${props} value=${form.get(name) ?? ""} onInput=${(event) => form.set(name, read(event.target.value))} />
    </${Affixed}>`}
  </${Field}>`;
}

function Affixed({ prefix, suffix, children }) {
  if (!prefix && !suffix) return children;
  return html`<div class="affixed">${prefix && html`<span>${prefix}</span>`}${children}${suffix && html`<span>${suffix}</span>`}</div>`;
}

/** A whole number, or null. @param {object} props besides: min, max, suffix, placeholder */
export function NumberField(props) {
  const read = (text) => (text.trim() === "" ? null : Number(text));
  return html`<${TextField} inputMode="numeric" type="number" step="1" ...${props} read=${read} />`;
}

/** US dollars as a text with a point, exact, or null. */
export function MoneyField(props) {
  const read = (text) => text.trim().replace(",", ".") || null;
  return html`<${TextField} inputMode="decimal" autocomplete="off" ...${props} prefix="$" read=${read} />`;
}

/** What is wrong with a text of `MoneyField`, or null: for a form's `check`. */
export function moneyFault(text) {
  return text === null || text === undefined || /^\d{1,12}(\.\d{1,9})?$/.test(text) ? null : t("common.not_money");
}

/** @param {object} props besides: autocomplete, `current-password` or `new-password` */
export function PasswordField({ form, name, label, help, required, autocomplete = "current-password" }) {
  const [shown, setShown] = useState(false);
  return html`<${Field} ...${{ form, name, label, help, required }}>
    ${(props) => html`<div class="affixed">
      <input class="input" type=${shown ? "text" : "password"} autocomplete=${autocomplete} ...${props} value=${form.get(name) ?? ""} onInput=${(event) => form.set(name, event.target.value)} />
      <button type="button" class="affix-button" aria-pressed=${shown ? "true" : "false"} aria-label=${t("common.show_password")} title=${t("common.show_password")} onClick=${() => setShown(!shown)}>
        <${Icon} name="eye" />
      </button>
    </div>`}
  </${Field}>`;
}

/** @param {object} props besides: rows, mono (for code) and any attribute of a textarea */
export function TextAreaField({ form, name, label, help, required, disabled, mono, ...rest }) {
  return html`<${Field} ...${{ form, name, label, help, required, disabled }}>
    ${(props) => html`<textarea class=${cx("input", mono && "mono")} rows="4" ...${rest} ...${props} value=${form.get(name) ?? ""} onInput=${(event) => form.set(name, event.target.value)}></textarea>`}
  </${Field}>`;
}

/** @param {object} props besides: options `{value, label, disabled}[]`, values are texts; empty: words for none, whose value is null */
export function SelectField({ form, name, label, help, required, disabled, options, empty }) {
  return html`<${Field} ...${{ form, name, label, help, required, disabled }}>
    ${(props) => html`<select class="input" ...${props} value=${form.get(name) ?? ""} onChange=${(event) => form.set(name, event.target.value || null)}>
      ${empty !== undefined && html`<option value="">${empty}</option>`}
      ${options.map((each) => html`<option key=${each.value} value=${each.value} disabled=${each.disabled} selected=${each.value === form.get(name)}>${each.label}</option>`)}
    </select>`}
  </${Field}>`;
}

/** True or false. */
export function SwitchField({ form, name, label, help, disabled }) {
  const id = useId("switch");
  form.register(name, label, false);
  const error = form.errorOf(name);
  return html`<div class=${cx("field", "switch-field", error && "wrong")}>
    <label class="switch">
      <input type="checkbox" role="switch" name=${name} checked=${Boolean(form.get(name))} disabled=${disabled} aria-describedby=${help || error ? `${id}-help` : undefined} onChange=${(event) => form.set(name, event.target.checked)} />
      <span class="switch-track" aria-hidden="true"></span>
      <span>${label}</span>
    </label>
    ${(help || error) && html`<p class=${error ? "field-error" : "field-help"} id=${`${id}-help`}>${error || help}</p>`}
  </div>`;
}

/** A moment as ISO text in UTC, or null; the reader picks it in local time. @param {object} props besides: min, max as ISO */
export function DateTimeField({ form, name, min, max, ...rest }) {
  const read = (event) => form.set(name, event.target.value ? new Date(event.target.value).toISOString() : null);
  return html`<${Field} ...${rest} form=${form} name=${name}>
    ${(props) => html`<input class="input" type="datetime-local" ...${props} min=${localText(min)} max=${localText(max)} value=${localText(form.get(name))} onChange=${read} />`}
  </${Field}>`;
}

function localText(iso) {
  if (!iso) return "";
  const moment = new Date(iso);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
