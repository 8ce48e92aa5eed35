/**
 * Tabs, moved through with the arrow keys.
 */
import { html, useEffect, useId, useRef } from "../core/html.js";

/** Of the next tab, so that there is seen to be one. */
const PEEK_PX = 28;

/**
 * @param {{label: string, tabs: {key: string, label: unknown}[], value: string, onChange: (key: string) => void, children: unknown}} props
 *   children: the content of the chosen tab
 */
export function Tabs({ label, tabs, value, onChange, children }) {
  const id = useId("tabs");
  const bar = useRef(null);
  useEffect(() => reveal(bar.current), [value]);
  const move = (event) => {
    const at = tabs.findIndex((tab) => tab.key === value);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const { key } = tabs[next % tabs.length];
    onChange(key);
    bar.current.querySelector(`[data-key="${CSS.escape(key)}"]`).focus();
  };
  return html`<div class="tabs">
    <div class="tab-bar" role="tablist" aria-label=${label} ref=${bar} onKeyDown=${move}>
      ${tabs.map(
        (tab) => html`<button
          type="button"
          key=${tab.key}
          data-key=${tab.key}
          role="tab"
          id=${`${id}-${tab.key}`}
          aria-selected=${tab.key === value ? "true" : "false"}
          aria-controls=${`${id}-panel`}
          tabindex=${tab.key === value ? 0 : -1}
          onClick=${() => onChange(tab.key)}
        >
          ${tab.label}
        </button>`,
      )}
    </div>
    <div role="tabpanel" id=${`${id}-panel`} aria-labelledby=${`${id}-${value}`}>${children}</div>
  </div>`;
}

/** Show the chosen tab where not all have room. Only the bar moves: the page stays where the reader is. */
function reveal(bar) {
  const tab = bar.querySelector("[aria-selected=true]")?.getBoundingClientRect();
  if (!tab) return;
  const { left, right } = bar.getBoundingClientRect();
  if (tab.left < left) bar.scrollBy({ left: tab.left - left - PEEK_PX });
  else if (tab.right > right) bar.scrollBy({ left: tab.right - right + PEEK_PX });
}

/**
 * One of a few, beside each other: ranges of time, states of a filter.
 * @param {{label: string, options: {value: string, label: string}[], value: string, onChange: (value: string) => void}} props
 */
export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(
      (each) => html`<button type="button" key=${each.value} aria-pressed=${each.value === value ? "true" : "false"} onClick=${() => onChange(each.value)}>${each.label}</button>`,
    )}
  </div>`;
}
