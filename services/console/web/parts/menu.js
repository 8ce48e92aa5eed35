/**
 * A button that opens a list of things to do or to choose. It lies above everything, so no table cuts it off.
 */
import { cx, html, useEffect, useId, useRef, useState } from "../core/html.js";
import { Icon } from "./icon.js";
import { place } from "./place.js";

/**
 * @param {{label: string, items: ({label: string, icon?: string, href?: string, run?: () => unknown, danger?: boolean,
 *   disabled?: boolean, checked?: boolean, note?: string, lang?: string}|null|false)[], button?: unknown, kind?: string, align?: "start"|"end"}} props
 *   label: what the button is for; button: what is shown in it, three dots if left out; checked: makes it a choice;
 *   null among the items draws a line
 */
export function Menu({ label, items, button, kind = "quiet", align = "end" }) {
  const id = useId("menu");
  const opener = useRef(null);
  const list = useRef(null);
  const [open, setOpen] = useState(false);
  const entries = () => [...list.current.querySelectorAll("[role^=menuitem]:not([disabled])")];

  useEffect(() => {
    const menu = list.current;
    const toggled = (event) => {
      setOpen(event.newState === "open");
      if (event.newState === "open") entries()[0]?.focus();
    };
    menu.addEventListener("toggle", toggled);
    return () => menu.removeEventListener("toggle", toggled);
  }, []);

  const toggle = () => {
    list.current.togglePopover();
    if (list.current.matches(":popover-open")) place(list.current, opener.current, align);
  };
  const close = () => {
    list.current?.hidePopover();
    opener.current?.focus();
  };
  const move = (event) => {
    const all = entries();
    const at = all.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Tab") close();
    if (next === undefined) return;
    event.preventDefault();
    all[next % all.length]?.focus();
  };
  return html`<span class="menu">
    <button
      type="button"
      ref=${opener}
      class=${cx("button", kind, !button && "only-icon small")}
      aria-label=${label}
      title=${button ? undefined : label}
      aria-haspopup="menu"
      aria-expanded=${open ? "true" : "false"}
      aria-controls=${id}
      onClick=${toggle}
    >
      ${button ?? html`<${Icon} name="dots" />`}
    </button>
    <div id=${id} ref=${list} popover="auto" role="menu" aria-label=${label} class="menu-list" onKeyDown=${move}>
      ${items.map((item) => (item ? html`<${Item} ...${item} close=${close} />` : item === null && html`<hr />`))}
    </div>
  </span>`;
}

function Item({ label, icon, href, run, danger, disabled, checked, note, lang, close }) {
  const role = checked === undefined ? "menuitem" : "menuitemradio";
  const inside = html`${checked !== undefined ? html`<${Icon} name="check" class=${checked ? "" : "unseen"} />` : icon && html`<${Icon} name=${icon} />`}
    <span class="menu-label">${label}${note && html`<small>${note}</small>`}</span>`;
  const props = { role, lang, class: cx("menu-item", danger && "danger"), tabindex: -1, "aria-checked": checked };
  const click = () => {
    close();
    run?.();
  };
  if (href) return html`<a href=${href} ...${props} onClick=${click}>${inside}</a>`;
  return html`<button type="button" ...${props} disabled=${disabled} onClick=${click}>${inside}</button>`;
}
