/**
 * What is wrong with a file, each fault with its line.
 */
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Notice, errorText } from "../../../parts/notice.js";

const IN_LINE = /in line (\d+)/;

/**
 * The API's faults with the lines of the places that they name, or of the innermost thing around them that is there.
 * @param {import("../../../core/api.js").ApiError} error
 * @param {Record<string, number>} [lines] by place
 * @returns {{fault: string, line: number|null}[]}
 */
export function placesOf(error, lines = {}) {
  const known = new Map(Object.entries(lines));
  return error.faults.map((fault) => ({ fault, line: lineOf(fault, known) }));
}

function lineOf(fault, known) {
  const said = IN_LINE.exec(fault);
  if (said) return Number(said[1]);
  // A place may hold a colon itself: the longest one that is there counts.
  for (let end = fault.length; end > 0; end -= 1) {
    const line = known.get(fault.slice(0, end));
    if (line !== undefined && /^[:.[]/.test(fault.slice(end))) return line;
  }
  return null;
}

/** @param {{error: Error, places: {fault: string, line: number|null}[], onGo: (line: number) => void}} props */
export function FaultLines({ error, places, onGo }) {
  return html`<${Notice} kind="error">
    <p>${errorText(error)}</p>
    ${places.length > 0 &&
    html`<ul class="json-faults">
      ${places.map(({ fault, line }) => html`<li key=${fault}>${line !== null && html`<button type="button" onClick=${() => onGo(line)}>${t("forms.line", { line })}</button> `}${fault}</li>`)}
    </ul>`}
  </${Notice}>`;
}
