/**
 * The usage of an account; members see their own.
 */
import { api, at } from "../../core/api.js";
import { html, useMemo } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope } from "../../core/session.js";
import { t } from "../../core/words.js";
import { ErrorNotice, Skeleton } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { Explorer } from "../usage/explorer.js";

export default function Usage({ params: { account } }) {
  const scope = useScope("usage_read", account);
  const place = useLoad((signal) => api.get(at`accounts/${account}/place`, {}, { signal }), [account]);
  const source = useMemo(() => ({ base: at`accounts/${account}/usage`, site: false }), [account]);
  const text = t(scope === "own" ? "usage.text_own" : "usage.text");
  if (place.data) return html`<${Explorer} source=${source} timeZone=${place.data.time_zone} text=${text} />`;
  return html`<${PageHeader} title=${t("nav.usage")} text=${text} />
    ${place.error ? html`<${ErrorNotice} error=${place.error} retry=${place.reload} />` : html`<${Skeleton} lines=${8} />`}`;
}
