/**
 * Where the page begins: words and session, then the shell with the page that the address names.
 */
import { html, render } from "./core/html.js";
import { currentSession, takeSession } from "./core/session.js";
import { loadSite } from "./core/site.js";
import { followLanguage, loadWords } from "./core/words.js";
import { Shell } from "./parts/shell.js";

const root = document.getElementById("root");

/** Without words there is no sentence to show but this. */
function failed(error) {
  console.error(error);
  render(html`<p class="start-failed" role="alert">The console cannot be reached. 无法连接控制台。</p>`, root);
}

async function start() {
  const site = loadSite().then(
    (session) => void takeSession(session),
    (error) => error,
  );
  await loadWords();
  const problem = await site;
  await followLanguage(currentSession()?.login.language);
  render(html`<${Shell} problem=${problem} />`, root);
}

start().catch(failed);
