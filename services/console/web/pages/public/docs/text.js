/**
 * A page's Markdown as pieces that are drawn each in its own way: headings, prose, and code.
 */
const FENCE = /^```(.*)$/;
const HEADING = /^(#{1,4}) (.+?) \{#([a-z][a-z0-9-]*)\}$/;
const PLACEHOLDER = /\{\{(\w+)\}\}/g;
const ACCOUNT_LINK = /#\/a\/\{\{account\}\}\/[a-z-]+/g;

/**
 * @typedef {{language: string, marks: string[], text: string}} Block
 * @typedef {{kind: "heading", level: number, text: string, id: string} | {kind: "prose", text: string} |
 *   {kind: "code", blocks: Block[]}} Piece
 */

/**
 * Loads a page.
 * @param {string} language
 * @param {string} page
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function readPage(language, page, signal) {
  const answer = await fetch(new URL(`../../../docs/${language}/${page}.md`, import.meta.url), { signal });
  if (!answer.ok) throw new Error(`${page}.md: ${answer.status}`);
  return answer.text();
}

/**
 * Puts in what only the reader's page knows.
 * @param {string} text
 * @param {Record<string, string>} values by placeholder; without an account the links to its pages lead to the sign-in
 */
export function filled(text, values) {
  const linked = values.account ? text : text.replace(ACCOUNT_LINK, "#/sign-in");
  return linked.replace(PLACEHOLDER, (whole, name) => values[name] ?? whole);
}

/**
 * @param {string} text
 * @returns {Piece[]} code of several languages that stands together is one piece
 */
export function piecesOf(text) {
  const pieces = [];
  let prose = [];
  let block = null;
  const endProse = () => {
    const text = prose.join("\n").trim();
    if (text) pieces.push({ kind: "prose", text });
    prose = [];
  };
  for (const line of text.split("\n")) {
    const fence = FENCE.exec(line);
    const heading = !block && HEADING.exec(line);
    if (block && fence) {
      addCode(pieces, { ...block, text: block.lines.join("\n") });
      block = null;
    } else if (block) {
      block.lines.push(line);
    } else if (fence) {
      endProse();
      const [language, ...marks] = fence[1].split(" ");
      block = { language, marks, lines: [] };
    } else if (heading) {
      endProse();
      pieces.push({ kind: "heading", level: heading[1].length, text: heading[2], id: heading[3] });
    } else {
      prose.push(line);
    }
  }
  endProse();
  return pieces;
}

function addCode(pieces, { language, marks, text }) {
  const block = { language, marks, text };
  const last = pieces[pieces.length - 1];
  const beside = last?.kind === "code" && [...last.blocks, block].every((each) => each.marks.includes("run"));
  if (beside && last.blocks.every((each) => each.language !== language)) last.blocks.push(block);
  else pieces.push({ kind: "code", blocks: [block] });
}
