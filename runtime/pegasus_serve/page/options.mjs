// The fields of the options: what the model does by itself, and what was changed of it.

import { $ } from "./element.mjs";

const FIELDS = [...document.querySelectorAll("[data-option]")];
const SAMPLING = { temperature: 1, top_p: 1, seed: 0 };
let defaults = {};

/** Fills the fields with what this model does where nothing is asked. */
export function showDefaults({ defaults: own, limits }) {
  defaults = {
    num_beams: own.num_beams ?? 1,
    max_new_tokens: own.max_new_tokens ?? (own.max_length ?? limits.max_target_tokens) - 1,
    min_new_tokens: own.min_new_tokens ?? Math.max(0, (own.min_length ?? 0) - 1),
    length_penalty: own.length_penalty ?? 1,
    no_repeat_ngram_size: own.no_repeat_ngram_size ?? 0,
    ...SAMPLING,
  };
  field("max_new_tokens").max = limits.max_target_tokens - 1;
  resetOptions();
}

export function resetOptions() {
  for (const each of FIELDS) each.value = defaults[each.dataset.option];
  $("sample").checked = false;
  $("long").value = "error";
  showChanges();
}

/** What of the fields belongs together, after one was changed. */
export function showChanges(changed = null) {
  const samples = $("sample").checked;
  if (changed === $("sample")) field("num_beams").value = samples ? 1 : defaults.num_beams;
  $("more").classList.toggle("samples", samples);
  for (const name of Object.keys(SAMPLING)) field(name).disabled = !samples;
  const same = FIELDS.every((each) => Number(each.value) === defaults[each.dataset.option]);
  $("reset").hidden = same && !samples && $("long").value === "error";
}

/** Hugging Face's names -> numbers, of what differs from what the model does by itself. */
export function readParameters() {
  const chosen = FIELDS.filter((each) => !each.disabled && each.value !== "")
    .map((each) => [each.dataset.option, Number(each.value)])
    .filter(([name, value]) => value !== defaults[name] || name === "seed");
  const parameters = Object.fromEntries(chosen);
  if ($("sample").checked) parameters.do_sample = true;
  if (Number(field("num_beams").value) === 1) delete parameters.length_penalty; // it ranks beams
  return parameters;
}

function field(name) {
  return FIELDS.find((each) => each.dataset.option === name);
}
