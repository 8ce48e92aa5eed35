/**
 * Examples that the playground can open: a curl line that is marked with `try`, with one question in it.
 */
import { to } from "../../../core/router.js";

const BODY = /-d '(\{[\s\S]*\})'/;
const MODEL_IN_PATH = /\/models\/([^:/"]+):/;

/**
 * The playground's address for an example.
 * @param {{marks: string[], text: string}} block
 * @param {string} account
 * @returns {string|null} null for what is no such example
 */
export function playgroundOf(block, account) {
  const body = block.marks.includes("try") && BODY.exec(block.text);
  if (!body) return null;
  const request = JSON.parse(body[1]);
  const prompt = request.messages?.[0].content ?? request.contents?.[0].parts[0].text;
  const model = request.model ?? MODEL_IN_PATH.exec(block.text)?.[1];
  return `${to`/a/${account}/playground`}?${new URLSearchParams({ model, prompt })}`;
}
