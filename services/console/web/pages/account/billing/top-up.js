/**
 * Ways to more credit: the operator's page for payments, and codes.
 */
import { api, at } from "../../../core/api.js";
import { money } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Loaded } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";

/** @param {{account: string, onDone: () => unknown}} props */
export function TopUp({ account, onDone }) {
  const path = at`accounts/${account}`;
  const ways = useLoad((signal) => api.get(`${path}/top-up`, {}, { signal }), [path]);
  const form = useForm({ code: "" }, {
    submit: async ({ code }) => {
      const { redeemed, amount_nano: amount } = await api.post(`${path}/redemptions`, { code: code.trim() });
      form.reset();
      toast(t(redeemed ? "billing.redeemed" : "billing.redeemed_before", { amount: money(amount) }), redeemed ? "done" : "info");
      await onDone();
    },
  });
  return html`<${Card} title=${t("billing.top_up")}>
    <${Loaded} of=${ways} lines=${1}>
      ${({ page }) =>
        safe(page)
          ? html`<p><${Button} kind="primary" icon="external" href=${page} target="_blank" rel="noopener noreferrer">${t("billing.pay")}</${Button}></p>`
          : html`<p class="quiet">${t("billing.no_page")}</p>`}
    </${Loaded}>
    <${Form} form=${form} submit=${t("billing.redeem")}>
      <${TextField} form=${form} name="code" label=${t("billing.code")} help=${t("billing.code_help")} class="input mono" autocomplete="off" autocapitalize="characters" required />
    </${Form}>
  </${Card}>`;
}

/** The operator configures the address; a link that runs a program it cannot be. */
const safe = (page) => typeof page === "string" && /^https?:/i.test(page);
