/**
 * Forms: values, what is wrong with them, and sending. The fields are in parts/fields.js.
 */
import { ApiError } from "../core/api.js";
import { html, useRef, useState } from "../core/html.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { ErrorNotice } from "./notice.js";

function at(values, name) {
  return name.split(".").reduce((value, part) => value?.[part], values);
}

function changed(values, [part, ...rest], value) {
  return { ...values, [part]: rest.length ? changed(values?.[part] ?? {}, rest, value) : value };
}

/**
 * @param {object} initial values by name; names may go inside: `limits.rpm`
 * @param {{submit: (values: any) => Promise<unknown>, check?: (values: any) => Record<string, string|null|undefined|false>}} how
 *   submit: sends; what it throws is shown. check: what is wrong, by name, before that
 * @returns the form: `values`, `get(name)`, `set(name, value)`, `reset(values)`, `busy`, `dirty`, `error`, `errorOf(name)`, `submit(event)`
 */
export function useForm(initial, { submit, check = () => ({}) }) {
  const [values, setValues] = useState(initial);
  const [state, setState] = useState({ busy: false, error: null, wrong: {}, dirty: false });
  const known = useRef(new Set());
  known.current.clear();
  const missing = useRef(new Map());
  missing.current.clear();
  const sent = useRef(0);
  const faults = placed(state.error, () => known.current);

  const send = async (event) => {
    event?.preventDefault();
    if (state.busy) return;
    const wrong = {};
    for (const [name, label] of missing.current) if (isEmpty(at(values, name))) wrong[name] = t("common.required", { label });
    for (const [name, sentence] of Object.entries(check(values))) if (sentence) wrong[name] ??= sentence;
    if (Object.keys(wrong).length) {
      setState({ ...state, wrong, error: null });
      focusWrong(event?.target);
      return;
    }
    setState({ ...state, busy: true, wrong: {}, error: null });
    // A form that `submit` itself resets may be sent again before it returns; then that is what the form shows.
    const number = ++sent.current;
    const settle = (next) => number === sent.current && setState(next);
    try {
      await submit(values);
      settle({ busy: false, error: null, wrong: {}, dirty: false });
    } catch (error) {
      settle({ ...state, busy: false, wrong: {}, error });
      focusWrong(event?.target);
    }
  };
  return {
    values,
    busy: state.busy,
    dirty: state.dirty,
    error: state.error,
    get: (name) => at(values, name),
    set(name, value) {
      setValues((before) => changed(before, name.split("."), value));
      setState((before) => ({ ...before, dirty: true, wrong: { ...before.wrong, [name]: null } }));
    },
    reset(next = initial) {
      setValues(next);
      setState({ busy: false, error: null, wrong: {}, dirty: false });
    },
    register(name, label, required) {
      known.current.add(name);
      if (required) missing.current.set(name, label);
    },
    errorOf: (name) => state.wrong[name] ?? faults().byName.get(name)?.join("\n") ?? null,
    otherFaults: () => faults().others,
    submit: send,
  };
}

function isEmpty(value) {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}

/** The API's faults by the field that they name: `allow_ips[0]: …` is of `allow_ips`. Each is a line of what the field says. */
function placed(error, known) {
  return () => {
    const byName = new Map();
    const others = [];
    for (const fault of error instanceof ApiError ? error.faults : []) {
      const [place, ...rest] = fault.split(": ");
      const name = [...known()].find((each) => place === each || place.startsWith(`${each}[`) || place.startsWith(`${each}.`));
      if (name && rest.length) byName.set(name, [...new Set([...(byName.get(name) ?? []), sentence(rest.join(": "))])]);
      else others.push(fault);
    }
    return { byName, others };
  };
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

function focusWrong(form) {
  setTimeout(() => (form?.querySelector?.("[aria-invalid=true]") ?? form?.querySelector?.(".notice"))?.focus?.());
}

/**
 * @param {{form: ReturnType<typeof useForm>, submit: string, onCancel?: () => void, danger?: boolean, children: unknown, extra?: unknown}} props
 *   submit: the button's words; extra: beside the buttons
 */
export function Form({ form, submit, onCancel, danger, children, extra }) {
  return html`<form class="form" noValidate onSubmit=${form.submit} aria-busy=${form.busy || undefined}>
    ${children}
    <${Faults} form=${form} />
    <div class="form-actions">
      ${extra}
      <span class="grow"></span>
      ${onCancel && html`<${Button} onClick=${onCancel}>${t("common.cancel")}</${Button}>`}
      <${Button} type="submit" kind=${danger ? "danger" : "primary"} busy=${form.busy}>${submit}</${Button}>
    </div>
  </form>`;
}

/** After the fields, so that every one of them has said its name. */
function Faults({ form }) {
  return html`<${ErrorNotice} error=${form.error} faults=${form.otherFaults()} />`;
}
