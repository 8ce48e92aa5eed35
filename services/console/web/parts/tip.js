/**
 * A question mark that explains a word: on click, hover or focus.
 */
import { html, useId, useRef } from "../core/html.js";
import { t } from "../core/words.js";
import { Icon } from "./icon.js";
import { place } from "./place.js";

/** @param {{text: string}} props */
export function HelpTip({ text }) {
  const id = useId("tip");
  const opener = useRef(null);
  const tip = useRef(null);
  const show = () => {
    tip.current.showPopover();
    place(tip.current, opener.current);
  };
  const hide = () => tip.current?.hidePopover();
  return html`<span class="tip">
    <button ref=${opener} type="button" class="tip-button" aria-label=${t("common.help")} aria-describedby=${id} onMouseEnter=${show} onMouseLeave=${hide} onFocus=${show} onBlur=${hide} onClick=${show}>
      <${Icon} name="help" size=${14} />
    </button>
    <span id=${id} ref=${tip} popover="manual" role="tooltip" class="tip-text">${text}</span>
  </span>`;
}
