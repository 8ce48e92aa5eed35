/**
 * What a stranger sees first: what this gateway is, and where to go.
 */
import { html } from "../../core/html.js";
import { useTitle } from "../../core/router.js";
import { useSite } from "../../core/site.js";
import { t } from "../../core/words.js";
import { CodeBlock } from "../../parts/code.js";
import { Icon } from "../../parts/icon.js";
import { loadStyle } from "../../core/styles.js";

await loadStyle("styles/landing.css");

const DOORS = [
  ["model", "#/models", "landing.models"],
  ["tag", "#/prices", "landing.prices"],
  ["help", "#/docs", "landing.docs"],
  ["status", "status", "landing.status"],
];

const REASONS = [
  ["route", "landing.reason.dialects"],
  ["pulse", "landing.reason.stays_up"],
  ["wallet", "landing.reason.money"],
  ["lock", "landing.reason.private"],
];

const SAMPLE = `from openai import OpenAI

client = OpenAI(
    base_url="https://…/v1",
    api_key="sk-tl-…",
)
answer = client.chat.completions.create(
    model="…",
    messages=[{"role": "user", "content": "Hello"}],
)`;

export default function Landing() {
  const { features } = useSite();
  useTitle("");
  return html`<div class="landing">
    <section class="landing-head">
      <div>
        <h1>${t("landing.title")}</h1>
        <p>${t("landing.text")}</p>
        <div class="row">
          <a class="button primary" href="#/sign-in">${t("landing.sign_in")}</a>
          ${features.registration && html`<a class="button" href="#/sign-up">${t("landing.sign_up")}</a>`}
          <a class="button" href="#/docs">${t("landing.read")}</a>
        </div>
      </div>
      <${CodeBlock} title="Python" text=${SAMPLE} />
    </section>
    <nav class="landing-doors" aria-label=${t("landing.doors")}>
      ${DOORS.map(
        ([icon, href, key]) => html`<a key=${key} href=${href}>
          <${Icon} name=${icon} size=${20} />
          <strong>${t(key)}</strong>
          <span>${t(`${key}_text`)}</span>
        </a>`,
      )}
    </nav>
    <section class="landing-reasons" aria-label=${t("landing.reasons")}>
      ${REASONS.map(
        ([icon, key]) => html`<div key=${key}>
          <${Icon} name=${icon} size=${20} />
          <h2>${t(key)}</h2>
          <p>${t(`${key}_text`)}</p>
        </div>`,
      )}
    </section>
  </div>`;
}
