/**
 * What was said: questions, answers with what they cost, calls of tools and their results.
 */
import { Component, html, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { CodeBlock, CopyButton } from "../../../parts/code.js";
import { Answer } from "./blocks.js";
import { Failure } from "./failure.js";
import { Figures } from "./figures.js";

const SEEN = ["turn", "busy", "last", "language"];

/**
 * One turn, drawn anew only when it changes: while an answer grows, those before it stand still.
 * Its props: `{side, turn, conversation, busy, last, account, language}`; busy: an answer of the side is under way.
 */
export class Turn extends Component {
  shouldComponentUpdate(next) {
    return SEEN.some((name) => next[name] !== this.props[name]);
  }

  render(props) {
    if (props.turn.role === "user") return html`<${Question} ...${props} />`;
    if (props.turn.role === "tool") return html`<${Result} ...${props} />`;
    return html`<${Reply} ...${props} />`;
  }
}

function Question({ side, turn, conversation, busy }) {
  const [editing, setEditing] = useState(false);
  const run = (text) => {
    setEditing(false);
    conversation.rerun(side.id, turn.id, text);
  };
  return html`<article class="play-turn user" aria-label=${t("playground.you")}>
    ${editing
      ? html`<${Editor} text=${turn.text} action=${t("playground.run")} onDone=${run} onCancel=${() => setEditing(false)} />`
      : html`<div class="play-said">
          ${turn.images.length > 0 && html`<div class="play-pictures">${turn.images.map((image) => html`<img key=${image.url} src=${image.url} alt=${image.name} />`)}</div>`}
          ${turn.text && html`<p class="as-is">${turn.text}</p>`}
        </div>`}
    ${!editing &&
    html`<${Actions}>
      <${CopyButton} text=${turn.text} />
      <${Button} kind="quiet" small icon="edit" label=${t("playground.edit")} onClick=${() => setEditing(true)} />
      <${Button} kind="quiet" small icon="refresh" label=${t("playground.rerun")} disabled=${busy} onClick=${() => conversation.rerun(side.id, turn.id)} />
      <${Button} kind="quiet" small icon="trash" label=${t("playground.delete")} onClick=${() => conversation.remove(side.id, turn.id)} />
    </${Actions}>`}
  </article>`;
}

function Reply({ side, turn, conversation, busy, last, account }) {
  const [editing, setEditing] = useState(false);
  const growing = turn.state === "waiting" || turn.state === "streaming";
  const save = (text) => {
    setEditing(false);
    conversation.rewrite(side.id, turn.id, text);
  };
  return html`<article class="play-turn assistant" aria-label=${turn.model} aria-busy=${growing ? "true" : undefined} data-state=${turn.state}>
    <header class="play-by">
      <span class="play-who">${turn.model}</span>
      ${turn.servedBy && turn.servedBy !== turn.model && html`<span class="quiet">${t("playground.served_by", { model: turn.servedBy })}</span>`}
    </header>
    ${turn.reasoning && html`<${Reasoning} text=${turn.reasoning} growing=${growing && !turn.text} />`}
    ${editing
      ? html`<${Editor} text=${turn.text} action=${t("common.save")} onDone=${save} onCancel=${() => setEditing(false)} />`
      : turn.text && html`<${Answer} text=${turn.text} growing=${growing} />`}
    ${growing && !turn.text && !turn.reasoning && html`<p class="play-waiting" role="status"><span class="off-screen">${t("playground.waiting")}</span><i></i><i></i><i></i></p>`}
    ${turn.calls.length > 0 && html`<${Calls} ...${{ side, turn, conversation, growing, open: last && !busy }} />`}
    ${turn.state === "stopped" && html`<p class="quiet play-note">${t("playground.stopped")}</p>`}
    ${turn.state === "done" && turn.finish === "length" && html`<p class="warn play-note">${t("playground.cut_by_length")}</p>`}
    ${turn.state === "done" && turn.finish === "content_filter" && html`<p class="warn play-note">${t("playground.filtered")}</p>`}
    ${turn.error && html`<${Failure} error=${turn.error} account=${account} retry=${() => conversation.rerun(side.id, turn.id)} />`}
    ${!growing &&
    html`<div class="play-foot">
      <${Figures} turn=${turn} />
      ${!editing &&
      html`<${Actions}>
        ${turn.text && html`<${CopyButton} text=${turn.text} />`}
        <${Button} kind="quiet" small icon="edit" label=${t("playground.edit")} onClick=${() => setEditing(true)} />
        <${Button} kind="quiet" small icon="refresh" label=${t("playground.again")} disabled=${busy} onClick=${() => conversation.rerun(side.id, turn.id)} />
        <${Button} kind="quiet" small icon="trash" label=${t("playground.delete")} onClick=${() => conversation.remove(side.id, turn.id)} />
      </${Actions}>`}
    </div>`}
  </article>`;
}

function Actions({ children }) {
  return html`<div class="play-actions">${children}</div>`;
}

function Reasoning({ text, growing }) {
  return html`<details class="play-reasoning">
    <summary>${growing ? t("playground.thinking") : t("playground.thought")}</summary>
    <p class="as-is">${text}</p>
  </details>`;
}

/** What a model wants to have done: its user says what came of it. */
function Calls({ side, turn, conversation, growing, open }) {
  const [results, setResults] = useState({});
  return html`<div class="play-calls">
    ${turn.calls.map(
      (call) => html`<div key=${call.id} class="play-call">
        <${CodeBlock} title=${t("playground.calls", { name: call.name })} text=${pretty(call.arguments)} wrap />
        ${open &&
        !growing &&
        html`<label class="field">
          <span>${t("playground.result_of", { name: call.name })}</span>
          <textarea class="input mono" rows="2" value=${results[call.id] ?? ""} onInput=${(event) => setResults({ ...results, [call.id]: event.target.value })}></textarea>
        </label>`}
      </div>`,
    )}
    ${open && !growing && html`<div><${Button} kind="primary" small onClick=${() => conversation.giveResults(side.id, turn, results)}>${t("playground.give_results")}</${Button}></div>`}
  </div>`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Result({ side, turn, conversation }) {
  return html`<article class="play-turn tool" aria-label=${t("playground.result_of", { name: turn.name })}>
    <${CodeBlock} title=${t("playground.result_of", { name: turn.name })} text=${turn.text} wrap />
    <${Actions}><${Button} kind="quiet" small icon="trash" label=${t("playground.delete")} onClick=${() => conversation.remove(side.id, turn.id)} /></${Actions}>
  </article>`;
}

function Editor({ text, action, onDone, onCancel }) {
  const [value, setValue] = useState(text);
  const key = (event) => {
    if (event.key === "Escape") onCancel();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) onDone(value);
  };
  return html`<div class="play-editor">
    <textarea class="input" rows=${Math.min(16, value.split("\n").length + 1)} aria-label=${t("playground.edit")} autofocus ref=${(area) => area && !area.dataset.seen && focus(area)} value=${value} onInput=${(event) => setValue(event.target.value)} onKeyDown=${key}></textarea>
    <div class="row">
      <${Button} kind="primary" small onClick=${() => onDone(value)}>${action}</${Button}>
      <${Button} small onClick=${onCancel}>${t("common.cancel")}</${Button}>
    </div>
  </div>`;
}

function focus(area) {
  area.dataset.seen = "yes";
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}
