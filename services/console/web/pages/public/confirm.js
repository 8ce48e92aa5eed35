/**
 * Where the link in a mail leads: the address is proved.
 */
import { api } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { ErrorNotice, Notice } from "../../parts/notice.js";
import { Sign } from "./sign/frame.js";

export default function Confirm({ params: { token } }) {
  const [done, setDone] = useState(null);
  const [error, setError] = useState(null);
  // By hand: programs that look into mails open links, and each works once.
  const confirm = () => api.post("registrations/confirm", { token }).then(setDone, setError);
  const foot = html`<a href="#/sign-in">${t("sign.to_sign_in")}</a>`;
  return html`<${Sign} title=${t("nav.confirm")} text=${!done && t("sign.confirm_text")} foot=${foot}>
    <${ErrorNotice} error=${error} />
    ${done
      ? html`<${Notice} kind="done">${t(`sign.made.${done.state}`)}</${Notice}>`
      : html`<${Button} kind="primary" onClick=${confirm}>${t("sign.confirm")}</${Button}>`}
  </${Sign}>`;
}
