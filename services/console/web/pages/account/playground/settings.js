/**
 * What goes along with every question: instructions, parameters, tools, and the form of the answer.
 */
import { cx, html, useId } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Segments } from "../../../parts/tabs.js";
import { PARAMETERS, anyAccepts, boundsOf, faultOf, termsOf } from "./parameters.js";
import { schemaOf, toolsOf } from "./request.js";

const TOOL = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather in a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const SCHEMA = {
  title: "answer",
  type: "object",
  properties: { summary: { type: "string" }, confidence: { type: "number" } },
  required: ["summary", "confidence"],
  additionalProperties: false,
};
const indented = (value) => JSON.stringify(value, null, 2);

/** What keeps the settings from being sent, in a sentence; null if nothing does. */
export function settingsFault(settings, models) {
  if (toolsOf(settings.tools).fault) return t("playground.tools_wrong");
  if (settings.format === "json_schema" && schemaOf(settings.schema).fault) return t("playground.schema_wrong");
  const wrong = PARAMETERS.find((parameter) => anyAccepts(models, parameter.name) && models.some((model) => faultOf(parameter, settings.parameters[parameter.name], model)));
  return wrong ? t("playground.parameter_wrong", { name: wrong.name }) : null;
}

/**
 * @param {{conversation: any, models: any[]}} props models: those of all sides, from the model square
 */
export function Settings({ conversation, models }) {
  const { settings } = conversation.use();
  const shown = PARAMETERS.filter((parameter) => anyAccepts(models, parameter.name));
  const hidden = PARAMETERS.filter((parameter) => !anyAccepts(models, parameter.name));
  return html`<div class="play-settings">
    <${TextArea} label=${t("playground.system")} rows=${4} value=${settings.system} placeholder=${t("playground.system_example")} onInput=${(system) => conversation.setSettings({ system })} />
    <fieldset class="play-parameters">
      <legend>${t("playground.parameters")}</legend>
      <p class="field-help">${t("playground.parameters_help")}</p>
      ${shown.map((parameter) => html`<${ParameterField} key=${parameter.name} ...${{ parameter, models, conversation }} text=${settings.parameters[parameter.name] ?? ""} />`)}
      ${hidden.length > 0 && html`<p class="field-help">${t("playground.not_taken", { names: hidden.map((each) => each.name).join(", ") })}</p>`}
    </fieldset>
    <${Tools} conversation=${conversation} settings=${settings} />
    <${Format} conversation=${conversation} settings=${settings} />
  </div>`;
}

function ParameterField({ parameter, models, conversation, text }) {
  const id = useId("parameter");
  const { name, kind, step, options } = parameter;
  const set = (value) => {
    const parameters = { ...conversation.get().settings.parameters };
    if (value === "") delete parameters[name];
    else parameters[name] = value;
    conversation.setSettings({ parameters });
  };
  const taking = models.filter((model) => termsOf(model, name).accepted);
  const fault = taking.map((model) => faultOf(parameter, text, model)).find(Boolean);
  const bounds = boundsOf(parameter, taking[0]);
  const range = bounds.min !== undefined && bounds.max !== undefined ? `${bounds.min} – ${bounds.max}` : "";
  const missing = models.filter((model) => !termsOf(model, name).accepted).map((model) => model.name);
  const partly = taking.some((model) => !termsOf(model, name).everywhere);
  const props = { id, class: "input", value: text, "aria-invalid": fault ? "true" : undefined, "aria-describedby": `${id}-note` };
  const input = (event) => set(event.target.value);
  return html`<div class=${cx("play-parameter", kind === "lines" && "play-lines", fault && "wrong")}>
    <label for=${id}><code>${name}</code><span class="quiet play-range">${range}</span></label>
    ${kind === "choice"
      ? html`<select ...${props} onChange=${input}><option value="">${t("playground.unset")}</option>${options.map((each) => html`<option key=${each} value=${each} selected=${each === text}>${each}</option>`)}</select>`
      : kind === "lines"
        ? html`<textarea ...${props} rows="2" placeholder=${t("playground.stop_help")} onInput=${input}></textarea>`
        : html`<input ...${props} type="number" step=${step} min=${bounds.min} max=${bounds.max} placeholder=${t("playground.unset")} onInput=${input} />`}
    <p class=${fault ? "field-error" : "field-help"} id=${`${id}-note`}>
      ${fault ? boundsText(fault) : missing.length > 0 ? t("playground.only_others", { models: missing.join(", ") }) : partly ? t("playground.partly") : ""}
    </p>
  </div>`;
}

function boundsText({ min, max }) {
  if (min !== undefined && max !== undefined) return t("playground.between", { min, max });
  return min !== undefined ? t("playground.at_least", { min }) : max !== undefined ? t("playground.at_most", { max }) : t("playground.whole_number");
}

function Tools({ conversation, settings }) {
  const { fault, tools } = toolsOf(settings.tools);
  return html`<details class="play-section" open=${Boolean(settings.tools)}>
    <summary>${t("playground.tools")}${tools?.length > 0 && html` <span class="quiet">${tools.length}</span>`}</summary>
    <${TextArea} label=${t("playground.tools_label")} mono rows=${8} value=${settings.tools} fault=${fault && t(`playground.fault.${fault}`)} onInput=${(text) => conversation.setSettings({ tools: text })} />
    <div class="row">
      ${!settings.tools && html`<${Button} small onClick=${() => conversation.setSettings({ tools: indented(TOOL) })}>${t("playground.example")}</${Button}>`}
      ${tools?.length > 0 &&
      html`<${Segments}
        label=${t("playground.tool_choice")}
        value=${settings.toolChoice}
        options=${["auto", "required", "none"].map((value) => ({ value, label: t(`playground.tool_choice.${value}`) }))}
        onChange=${(toolChoice) => conversation.setSettings({ toolChoice })}
      />`}
    </div>
  </details>`;
}

function Format({ conversation, settings }) {
  const fault = settings.format === "json_schema" ? schemaOf(settings.schema).fault : null;
  const choose = (format) => conversation.setSettings({ format, ...(format === "json_schema" && !settings.schema ? { schema: indented(SCHEMA) } : {}) });
  return html`<details class="play-section" open=${settings.format !== "text"}>
    <summary>${t("playground.format")}</summary>
    <${Segments}
      label=${t("playground.format")}
      value=${settings.format}
      options=${["text", "json_object", "json_schema"].map((value) => ({ value, label: t(`playground.format.${value}`) }))}
      onChange=${choose}
    />
    ${settings.format === "json_schema" &&
    html`<${TextArea} label=${t("playground.schema")} mono rows=${10} value=${settings.schema} fault=${fault && t(`playground.fault.${fault === "array" ? "object" : fault}`)} onInput=${(schema) => conversation.setSettings({ schema })} />`}
  </details>`;
}

function TextArea({ label, value, onInput, fault, mono, ...rest }) {
  const id = useId("area");
  return html`<div class=${fault ? "field wrong" : "field"}>
    <label for=${id}>${label}</label>
    <textarea id=${id} class=${mono ? "input mono" : "input"} spellcheck=${!mono} ...${rest} value=${value} aria-invalid=${fault ? "true" : undefined} aria-describedby=${fault ? `${id}-fault` : undefined} onInput=${(event) => onInput(event.target.value)}></textarea>
    ${fault && html`<p class="field-error" id=${`${id}-fault`}>${fault}</p>`}
  </div>`;
}
