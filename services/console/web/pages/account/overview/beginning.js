/**
 * What to do next in an account that has used nothing yet.
 */
import { api, at } from "../../../core/api.js";
import { cx, html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { to } from "../../../core/router.js";
import { useScope } from "../../../core/session.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Icon } from "../../../parts/icon.js";
import { Card } from "../../../parts/page.js";

/** @param {{account: string}} props */
export function Beginning({ account }) {
  const seesMoney = useScope("money_read", account);
  const pays = useScope("money_write", account);
  const makesKeys = useScope("keys_write", account);
  const plays = useScope("play", account);
  const keys = useLoad((signal) => api.get(at`accounts/${account}/keys`, {}, { signal }), [account]);
  const credit = useLoad(async (signal) => (seesMoney ? api.get(at`accounts/${account}`, {}, { signal }) : null), [account]);
  const steps = [
    seesMoney && {
      name: "credit",
      done: Number(credit.data?.balance_nano ?? 0) > 0,
      action: pays && html`<${Button} href=${to`/a/${account}/billing`}>${t("overview.step.credit_action")}</${Button}>`,
    },
    plays && { name: "play", action: html`<${Button} icon="play" href=${to`/a/${account}/playground`}>${t("overview.step.play_action")}</${Button}>` },
    makesKeys && {
      name: "key",
      done: keys.data?.some((key) => !key.playground),
      action: html`<${Button} icon="key" href=${to`/a/${account}/keys`}>${t("overview.step.key_action")}</${Button}>`,
    },
    { name: "call", action: html`<${Button} icon="book" href="#/docs/quick-start">${t("overview.step.call_action")}</${Button}>` },
  ].filter(Boolean);
  return html`<${Card} title=${t("overview.beginning")} text=${t("overview.beginning_text")} flush>
    <ol class="steps">
      ${steps.map(
        ({ name, done, action }, at) => html`<li key=${name} class=${cx(done && "done")}>
          <span class="step-mark" aria-hidden="true">${done ? html`<${Icon} name="check" size=${16} />` : at + 1}</span>
          <div class="grow"><strong>${t(`overview.step.${name}`)}</strong>${done && html`<span class="off-screen"> (${t("overview.step_done")})</span>`}<p class="quiet">${t(`overview.step.${name}_text`)}</p></div>
          ${!done && action}
        </li>`,
      )}
    </ol>
  </${Card}>`;
}
