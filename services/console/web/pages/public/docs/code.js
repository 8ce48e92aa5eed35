/**
 * Examples: in one language, or in several of which the reader has chosen one, for all pages.
 */
import { createStore, html } from "../../../core/html.js";
import { recall, remember } from "../../../core/memory.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { CodeBlock } from "../../../parts/code.js";
import { Tabs } from "../../../parts/tabs.js";
import { playgroundOf } from "./try.js";

const LANGUAGES = { bash: "curl", python: "Python", javascript: "JavaScript" };
const PLAIN = { bash: "Shell", json: "JSON", yaml: "YAML", toml: "TOML" };
const MEMORY = "docs.language";

const LIBRARIES = [
  [/^from openai |^import openai$/m, "pip install openai"],
  [/^from anthropic /m, "pip install anthropic"],
  [/^from google /m, "pip install google-genai"],
  [/from "openai"/, "npm install openai"],
  [/from "@anthropic-ai\/sdk"/, "npm install @anthropic-ai/sdk"],
  [/from "@google\/genai"/, "npm install @google/genai"],
];

const chosen = createStore(recall(MEMORY));

/**
 * @param {{blocks: import("./text.js").Block[], account: string|null}} props account: whose playground opens what can be tried
 */
export function Examples({ blocks, account }) {
  const language = chosen.use();
  if (blocks.length === 1) return html`<${Example} block=${blocks[0]} title=${titleOf(blocks[0])} account=${account} />`;
  const shown = blocks.find((block) => block.language === language) ?? blocks[0];
  const choose = (key) => {
    remember(MEMORY, key);
    chosen.set(key);
  };
  const tabs = blocks.map((block) => ({ key: block.language, label: LANGUAGES[block.language] }));
  return html`<${Tabs} label=${t("docs.languages")} tabs=${tabs} value=${shown.language} onChange=${choose}>
    <${Example} block=${shown} title=${titleOf(shown)} account=${account} />
  </${Tabs}>`;
}

function Example({ block, title, account }) {
  const address = account && playgroundOf(block, account);
  const open = address && html`<${Button} kind="quiet" small icon="play" href=${address}>${t("docs.try")}</${Button}>`;
  return html`<${CodeBlock} text=${block.text} title=${title} actions=${open} />`;
}

/** What is to be installed for it, or else what it is. */
function titleOf({ language, marks, text }) {
  const library = marks.includes("run") && LIBRARIES.find(([pattern]) => pattern.test(text));
  return library ? library[1] : (PLAIN[language] ?? LANGUAGES[language] ?? t("docs.code"));
}
