/**
 * A text with the numbers of its lines, some of them marked.
 */
import { cx, html, useEffect, useId, useMemo, useRef } from "../../../core/html.js";
import { loadStyle } from "../../../core/styles.js";

await loadStyle("styles/rows.css");

const ROWS_MIN = 12;
const ROWS_MAX = 28;

/** @param {{label: string, text: string, onInput: (text: string) => void, marked?: number[], line?: {number: number}|null, placeholder?: string}} props line: that is gone to */
export function Editor({ label, text, onInput, marked = [], line, placeholder }) {
  const id = useId("editor");
  const area = useRef(null);
  const gutter = useRef(null);
  const count = useMemo(() => text.split("\n").length, [text]);
  const wrong = new Set(marked);
  const scroll = () => (gutter.current.scrollTop = area.current.scrollTop);
  useEffect(() => {
    if (!line) return;
    const lines = text.split("\n");
    const start = lines.slice(0, line.number - 1).join("\n").length + (line.number > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(start, start + (lines[line.number - 1] ?? "").length);
    area.current.scrollTop = (area.current.scrollHeight * Math.max(0, line.number - ROWS_MIN / 2)) / count;
  }, [line]);
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <div class="json">
      <div class="json-lines" aria-hidden="true" ref=${gutter}>
        ${Array.from({ length: count }, (_, at) => html`<span key=${at} class=${cx(wrong.has(at + 1) && "bad")}>${at + 1}</span>`)}
      </div>
      <textarea id=${id} ref=${area} wrap="off" spellcheck=${false} autocomplete="off" placeholder=${placeholder} rows=${Math.min(ROWS_MAX, Math.max(ROWS_MIN, count))} aria-invalid=${marked.length ? "true" : undefined} onScroll=${scroll} value=${text} onInput=${(event) => onInput(event.target.value)}></textarea>
    </div>
  </div>`;
}
