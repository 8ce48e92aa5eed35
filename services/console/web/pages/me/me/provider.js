/**
 * The card that ties one's login to the site's OpenID provider, or unties it.
 */
import { api } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { loadSession } from "../../../core/session.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Card } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";
import { WithPassword } from "./password.js";

/** @param {{login: object, provider: {name: string}}} props */
export function Provider({ login, provider }) {
  const [open, setOpen] = useState(false);
  const tied = login.elsewhere;
  const title = t(tied ? "me.unlink" : "me.link", { provider: provider.name });
  const work = async (password) => {
    if (!tied) {
      location.assign((await api.post("me/oidc", { password })).url);
      return;
    }
    await api.post("me/oidc/unlink", { password });
    await loadSession();
    setOpen(false);
    toast(t("me.unlinked"));
  };
  const action = html`<${Button} onClick=${() => setOpen(true)}>${title}</${Button}>`;
  return html`<${Card} title=${provider.name} text=${t(tied ? "me.linked_text" : "me.link_text", { provider: provider.name })} actions=${action}>
    ${open && html`<${WithPassword} title=${title} action=${title} login=${login} work=${work} onClose=${() => setOpen(false)} />`}
  </${Card}>`;
}
