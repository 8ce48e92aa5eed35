/**
 * Dialogs, by the browser's own element: it keeps the focus inside and gives it back.
 */
import { createStore, cx, html, useEffect, useId, useRef, useState } from "../core/html.js";
import { rich, t } from "../core/words.js";
import { Button } from "./button.js";
import { ErrorNotice } from "./notice.js";

/**
 * Shown while it is rendered: html`${open && html`<${Dialog} …/>`}`.
 * @param {{title: string, onClose: () => void, children: unknown, footer?: unknown, wide?: boolean, side?: boolean,
 *   locked?: boolean}} props side: from the edge of the window, for details; locked: neither Escape nor a click outside closes it
 */
export function Dialog({ title, onClose, children, footer, wide, side, locked }) {
  const id = useId("dialog");
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
    // The focus returns to where it was only if the dialog is closed before it is gone.
    return () => dialog.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (!locked) onClose();
  };
  // A click beside a form is a slip of the hand, and would throw away what was typed.
  const outside = (event) => event.target === element.current && !locked && !element.current.querySelector("form") && onClose();
  return html`<dialog ref=${element} class=${cx("dialog", wide && "wide", side && "at-side")} aria-labelledby=${id} onCancel=${cancel} onMouseDown=${outside}>
    <div class="dialog-inside">
      <header class="dialog-head">
        <h2 id=${id}>${title}</h2>
        ${!locked && html`<${Button} kind="quiet" icon="close" label=${t("common.close")} onClick=${onClose} />`}
      </header>
      <div class="dialog-body">${children}</div>
      ${footer && html`<footer class="dialog-foot">${footer}</footer>`}
    </div>
  </dialog>`;
}

const asked = createStore(null);

/**
 * Asks before something is done: `if (await confirm({ title, text, action, danger: true })) …`. With `work` the dialog stays
 * until it is done, and shows its error.
 * @param {{title: string, text?: unknown, action: string, danger?: boolean, typed?: string, work?: () => Promise<unknown>}} question
 *   action: the button's words; typed: must be typed first, for what cannot be undone
 * @returns {Promise<boolean>}
 */
export function confirm(question) {
  return new Promise((resolve) => asked.set({ ...question, resolve }));
}

/** Where questions appear: once, in the layout. */
export function Confirmations() {
  const question = asked.use();
  return question && html`<${Question} key=${question.title} ...${question} />`;
}

function Question({ title, text, action, danger, typed, work, resolve }) {
  const id = useId("typed");
  const [value, setValue] = useState("");
  const [error, setError] = useState(null);
  const end = (answer) => {
    asked.set(null);
    resolve(answer);
  };
  const agree = async (event) => {
    event.preventDefault();
    if (typed && value !== typed) return;
    try {
      await work?.();
      end(true);
    } catch (problem) {
      setError(problem);
    }
  };
  const footer = html`<${Button} onClick=${() => end(false)}>${t("common.cancel")}</${Button}>
    <${Button} kind=${danger ? "danger" : "primary"} disabled=${typed && value !== typed} onClick=${agree}>${action}</${Button}>`;
  return html`<${Dialog} title=${title} onClose=${() => end(false)} footer=${footer}>
    ${text && html`<div class="prose">${text}</div>`}
    ${typed &&
    html`<form class="field" onSubmit=${agree}>
      <label for=${id}>${rich("common.type_to_confirm", { name: html`<code>${typed}</code>` })}</label>
      <input id=${id} class="input" autofocus autocomplete="off" spellcheck=${false} value=${value} onInput=${(event) => setValue(event.target.value)} />
    </form>`}
    <${ErrorNotice} error=${error} />
  </${Dialog}>`;
}
