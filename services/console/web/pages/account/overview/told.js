/**
 * What the site's operators announce, also what was closed above the page.
 */
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Announcement, useAnnouncements } from "../../../parts/announcements.js";
import { Card } from "../../../parts/page.js";
import { Time } from "../../../parts/time.js";

export function Told() {
  const announcements = useAnnouncements();
  if (!announcements.length) return null;
  return html`<${Card} title=${t("overview.announcements")}>
    ${announcements.map((each) => html`<div key=${each.id} class="told"><${Announcement} announcement=${each} /><small class="quiet"><${Time} at=${each.since} /></small></div>`)}
  </${Card}>`;
}
