/**
 * The card of the second factor: codes of an app, and recovery codes for the day when the app is gone.
 */
import qrcode from "../../../vendor/qrcode.js";
import { api } from "../../../core/api.js";
import { html, useMemo, useState } from "../../../core/html.js";
import { loadSession } from "../../../core/session.js";
import { loadStyle } from "../../../core/styles.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { CodeBlock, CopyText } from "../../../parts/code.js";
import { Dialog } from "../../../parts/dialog.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Notice } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";
import { WithPassword } from "./password.js";

await loadStyle("styles/me.css");

const FEW_CODES = 3;

/** @param {{login: object}} props login: of the session */
export function SecondFactor({ login }) {
  const [step, setStep] = useState(null);
  const close = () => setStep(null);
  const begin = async (password) => setStep({ kind: "scan", begun: await api.post("me/totp", { password }) });
  const renew = async (password) => setStep({ kind: "codes", codes: (await api.post("me/recovery-codes", { password })).recovery_codes });
  const remove = async (password) => {
    await api.post("me/totp/remove", { password });
    close();
    toast(t("me.totp_removed"));
    await loadSession();
  };
  const actions = login.totp
    ? html`<${Button} onClick=${() => setStep({ kind: "renew" })}>${t("me.new_codes")}</${Button}>
        <${Button} onClick=${() => setStep({ kind: "remove" })}>${t("me.totp_remove")}</${Button}>`
    : html`<${Button} kind="primary" onClick=${() => setStep({ kind: "begin" })}>${t("me.totp_begin")}</${Button}>`;
  const asks = { begin: ["me.totp_begin", begin], renew: ["me.new_codes", renew], remove: ["me.totp_remove", remove] };
  const [title, work] = asks[step?.kind] ?? [];
  return html`<${Card} title=${t("me.totp")} text=${t("me.totp_text")} actions=${actions}>
    ${login.totp && html`<p><${Badge} tone="good">${t("me.totp_on")}</${Badge}> <${CodesLeft} left=${login.recovery_codes_left} /></p>`}
    ${work && html`<${WithPassword} title=${t(title)} action=${t(title)} danger=${step.kind === "remove"} login=${login} work=${work} onClose=${close} />`}
    ${step?.kind === "scan" && html`<${Scan} begun=${step.begun} onClose=${close} onDone=${(codes) => setStep({ kind: "codes", codes })} />`}
    ${step?.kind === "codes" && html`<${Codes} codes=${step.codes} onClose=${() => (close(), loadSession())} />`}
  </${Card}>`;
}

function CodesLeft({ left }) {
  return html`<span class=${left <= FEW_CODES ? "warn" : "quiet"}>${t("me.codes_left", { count: left })}</span>`;
}

function Scan({ begun, onClose, onDone }) {
  const form = useForm({ code: "" }, {
    submit: async ({ code }) => onDone((await api.post("me/totp/confirm", { code: code.trim() })).recovery_codes),
  });
  return html`<${Dialog} title=${t("me.totp_begin")} onClose=${onClose}>
    <p>${t("me.scan")}</p>
    <${QRCode} text=${begun.otpauth} label=${t("me.qr")} />
    <p>${t("me.scan_by_hand")} <${CopyText} text=${begun.secret} /></p>
    <${Form} form=${form} submit=${t("sign.confirm")} onCancel=${onClose}>
      <${TextField} form=${form} name="code" label=${t("sign.code")} inputMode="numeric" autocomplete="one-time-code" required autofocus />
    </${Form}>
  </${Dialog}>`;
}

/** Dark on light in both themes: many cameras read nothing else. */
function QRCode({ text, label }) {
  const address = useMemo(() => {
    const code = qrcode(0, "M");
    code.addData(text);
    code.make();
    return code.createDataURL(5, 10);
  }, [text]);
  return html`<img class="qr" src=${address} alt=${label} />`;
}

function Codes({ codes, onClose }) {
  const footer = html`<${Button} kind="primary" onClick=${onClose}>${t("me.codes_kept")}</${Button}>`;
  return html`<${Dialog} title=${t("me.codes")} onClose=${onClose} footer=${footer} locked>
    <${Notice} kind="warning">${t("me.codes_text")}</${Notice}>
    <${CodeBlock} title=${t("me.codes")} text=${codes.join("\n")} />
  </${Dialog}>`;
}
