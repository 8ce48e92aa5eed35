/**
 * Buttons, and links that look like them.
 */
import { cx, html, useState } from "../core/html.js";
import { Icon } from "./icon.js";

/**
 * @param {{kind?: "plain"|"primary"|"danger"|"quiet", icon?: string, small?: boolean, busy?: boolean, href?: string,
 *   label?: string, onClick?: (event: Event) => unknown, children?: unknown}} props
 *   label: what a button with nothing but an icon says; onClick may return a promise, the button is busy until then;
 *   all else goes to the element
 */
export function Button({ kind = "plain", icon, small, busy, href, label, onClick, children, class: className, ...rest }) {
  const [working, setWorking] = useState(false);
  const click = async (event) => {
    const result = onClick?.(event);
    if (!(result instanceof Promise)) return;
    setWorking(true);
    try {
      await result;
    } finally {
      setWorking(false);
    }
  };
  const waiting = busy || working;
  const props = {
    class: cx("button", kind, small && "small", !children && "only-icon", waiting && "busy", className),
    "aria-label": label,
    title: children ? undefined : label,
    ...rest,
  };
  const inside = html`${icon && html`<${Icon} name=${icon} size=${small ? 16 : 18} />`}${children && html`<span>${children}</span>`}`;
  if (href) return html`<a href=${href} ...${props} onClick=${onClick}>${inside}</a>`;
  return html`<button type="button" ...${props} disabled=${rest.disabled || waiting} aria-busy=${waiting || undefined} onClick=${click}>
    ${inside}
  </button>`;
}
