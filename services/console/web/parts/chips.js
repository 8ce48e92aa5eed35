/**
 * A field for several texts: chosen from a list, or typed freely.
 */
import { cx, html, useEffect, useRef, useState } from "../core/html.js";
import { t } from "../core/words.js";
import { Field } from "./fields.js";
import { Icon } from "./icon.js";
import { place } from "./place.js";

const SHOWN_MAX = 50;

/**
 * Its value is an array of texts.
 * @param {{form: object, name: string, label: string, help?: unknown, required?: boolean, options?: (string|{value: string,
 *   label?: string, note?: string})[], free?: boolean, placeholder?: string}} props free: texts that are not among the options, too
 */
export function ChipsField({ form, name, label, help, required, disabled, options = [], free = false, placeholder }) {
  return html`<${Field} ...${{ form, name, label, help, required, disabled }}>
    ${(props) => html`<${Chips} props=${props} value=${form.get(name) ?? []} onChange=${(value) => form.set(name, value)} options=${options} free=${free} placeholder=${placeholder} />`}
  </${Field}>`;
}

function Chips({ props, value, onChange, options, free, placeholder }) {
  const [typed, setTyped] = useState("");
  const [active, setActive] = useState(-1);
  const [open, setOpen] = useState(false);
  const input = useRef(null);
  const list = useRef(null);
  const all = options.map((each) => (typeof each === "string" ? { value: each } : each));
  const wanted = typed.trim().toLowerCase();
  const found = all
    .filter((each) => !value.includes(each.value) && `${each.value} ${each.label ?? ""}`.toLowerCase().includes(wanted))
    .slice(0, SHOWN_MAX);
  const shown = open && found.length > 0;

  useEffect(() => {
    if (!list.current) return;
    if (shown && !list.current.matches(":popover-open")) list.current.showPopover();
    if (!shown && list.current.matches(":popover-open")) list.current.hidePopover();
    if (!shown) return undefined;
    const frame = input.current.parentElement;
    const stay = () => place(list.current, frame);
    list.current.style.minWidth = `${frame.offsetWidth}px`;
    stay();
    addEventListener("scroll", stay, true);
    return () => removeEventListener("scroll", stay, true);
  }, [shown, value.length, found.length]);

  const add = (text) => {
    const clean = text.trim();
    if (clean && !value.includes(clean)) onChange([...value, clean]);
    setTyped("");
    setActive(-1);
    // Open, it would lie over what comes next.
    setOpen(false);
  };
  const remove = (text) => {
    onChange(value.filter((each) => each !== text));
    input.current.focus();
  };
  const take = () => {
    if (active >= 0 && found[active]) return add(found[active].value);
    const exact = all.find((each) => each.value.toLowerCase() === wanted);
    if (exact) return add(exact.value);
    if (free && wanted) return add(typed);
    return undefined;
  };
  const key = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === ",") {
      if (wanted || active >= 0) event.preventDefault();
      take();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      setActive((active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % Math.max(1, found.length));
    } else if (event.key === "Escape" && shown) {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
    } else if (event.key === "Backspace" && !typed && value.length) {
      onChange(value.slice(0, -1));
    }
  };
  const listId = `${props.id}-list`;
  return html`<div class="chips input" onClick=${(event) => (input.current.focus(), setOpen(!event.target.closest("button, [role=option]")))}>
    ${value.map(
      (each) => html`<span key=${each} class="chip">
        <span>${all.find((option) => option.value === each)?.label ?? each}</span>
        <button type="button" disabled=${props.disabled} aria-label=${t("common.remove", { name: each })} onClick=${() => remove(each)}><${Icon} name="close" size=${14} /></button>
      </span>`,
    )}
    <input
      ...${props}
      ref=${input}
      role="combobox"
      aria-expanded=${shown ? "true" : "false"}
      aria-controls=${listId}
      aria-autocomplete="list"
      aria-activedescendant=${shown && active >= 0 ? `${listId}-${active}` : undefined}
      autocomplete="off"
      spellcheck=${false}
      placeholder=${value.length ? "" : placeholder}
      value=${typed}
      onInput=${(event) => {
        setTyped(event.target.value);
        setActive(-1);
        setOpen(true);
      }}
      onBlur=${() => {
        setOpen(false);
        if (free && wanted) add(typed);
      }}
      onKeyDown=${key}
    />
    <div id=${listId} ref=${list} popover="manual" role="listbox" aria-label=${t("common.choices")} class="menu-list">
      ${found.map(
        (each, at) => html`<div
          key=${each.value}
          id=${`${listId}-${at}`}
          role="option"
          aria-selected=${at === active ? "true" : "false"}
          class=${cx("menu-item", at === active && "active")}
          onMouseDown=${(event) => {
            event.preventDefault();
            add(each.value);
          }}
        >
          <span class="menu-label">${each.label ?? each.value}${each.note && html`<small>${each.note}</small>`}</span>
        </div>`,
      )}
    </div>
  </div>`;
}
