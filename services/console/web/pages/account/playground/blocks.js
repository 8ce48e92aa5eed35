/**
 * An answer as markdown while it grows: only its last block is drawn anew, however long it is.
 */
import { Component, html } from "../../../core/html.js";
import { Markdown } from "../../../parts/markdown.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?: |$)/;
const INDENTED = /^(?: {2}|\t)/;

/**
 * A text in blocks that do not change when more comes: split at empty lines, but never inside code or a list.
 * @param {string} text
 * @returns {string[]}
 */
export function blocksOf(text) {
  const blocks = [];
  let lines = [];
  let fence = null;
  let gap = false;
  for (const line of text.split("\n")) {
    const empty = line.trim() === "";
    if (!fence && gap && !empty && lines.length && begins(line, lines[0])) {
      blocks.push(lines.join("\n"));
      lines = [];
    }
    const mark = FENCE.exec(line)?.[1];
    if (!fence) fence = mark ?? null;
    else if (mark?.[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = null;
    gap = empty;
    if (lines.length || !empty) lines.push(line);
  }
  if (lines.length) blocks.push(lines.join("\n"));
  return blocks;
}

/** Whether a line behind an empty one begins something new. */
const begins = (line, first) => !(ITEM.test(first) && (ITEM.test(line) || INDENTED.test(line)));

/** Drawn once: of a thousand blocks only the last one is looked at again. */
class Block extends Component {
  shouldComponentUpdate({ text }) {
    return text !== this.props.text;
  }

  render({ text }) {
    return html`<${Markdown} text=${text} />`;
  }
}

/**
 * @param {{text: string, growing: boolean}} props growing: more will come; a whole text is one piece, so that lists and
 *   footnotes that span blocks are right
 */
export function Answer({ text, growing }) {
  if (!growing) return html`<${Markdown} text=${text} />`;
  return html`<div class="play-growing">${blocksOf(text).map((block, at) => html`<${Block} key=${at} text=${block} />`)}</div>`;
}
