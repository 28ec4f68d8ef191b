// The page of pegasus-serve: everything it shows comes from the server that it came from.

import { Refusal, askOnce } from "./ask.mjs";
import { $, count, make } from "./element.mjs";
import { EXAMPLE, QUESTION } from "./example.mjs";
import { listenToFiles } from "./files.mjs";
import { clearNotes, explain, showNote } from "./notes.mjs";
import { resetOptions, showChanges, showDefaults } from "./options.mjs";
import { words } from "./results.mjs";
import { clearResult, startRun, stopRun } from "./run.mjs";
import { TASKS } from "./tasks.mjs";

const WAIT_MS = 1000; // before asking again for models, where there is none yet

let models = [];
const model = () => models[$("model").selectedIndex];

function setText(text) {
  $("text").value = text;
  showSize();
}

function showSize() {
  const text = $("text").value;
  const found = words(text);
  const sizes = [count(found, "word"), count([...text].length, "character")];
  $("size").textContent = found ? sizes.join(" · ") : "";
  $("clear").disabled = !text;
  $("run").disabled = !found || !model();
}

/** The form of the model that is chosen, and what it does by itself. */
function showModel() {
  const { task, precision, limits } = model();
  const { verb, title, empty } = TASKS[task];
  $("run").textContent = verb;
  $("result-title").textContent = title;
  $("output").dataset.empty = empty;
  const most = count(limits.max_source_tokens, "token");
  $("facts").textContent = `${precision} · reads up to ${most}`;
  const summarises = task === "summarization";
  $("options").hidden = !summarises;
  $("more").hidden = !summarises || $("more-button").ariaExpanded !== "true";
  const asks = task === "question-answering";
  $("question-row").hidden = $("question").disabled = !asks;
  $("question").required = asks;
  if (summarises) showDefaults(model());
  clearResult();
  showSize();
}

async function loadModels() {
  clearNotes();
  const token = $("token").value;
  try {
    const listed = (await askOnce("v1/models", { token })).models;
    models = listed.filter(({ task }) => task in TASKS);
    // Of a model that is still downloaded nothing is known.
    if (!models.length) return void setTimeout(loadModels, WAIT_MS);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    $("token-row").hidden = error.status !== 401;
    if (error.status === 401) $("token").focus();
    const { text } = explain(error, {});
    showNote(text, { failed: true, actions: { "Try again": loadModels } });
    return;
  }
  $("model").replaceChildren(...models.map(({ name }) => make("option", {}, name)));
  $("model").disabled = models.length < 2;
  showModel();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("output").textContent);
  } catch {
    // which browsers have for pages over https, and on this computer, alone
    getSelection().selectAllChildren($("output"));
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

/** The button names what it switches to; until it is pressed, the system decides. */
function nameTheme() {
  const chosen = document.documentElement.className;
  const isDark = chosen ? chosen === "dark" : DARK.matches;
  $("theme").textContent = isDark ? "Light" : "Dark";
}

const DARK = matchMedia("(prefers-color-scheme: dark)");

function listen() {
  const on = (id, event, act) => $(id).addEventListener(event, act);
  on("form", "submit", (event) => {
    event.preventDefault();
    if (!$("run").disabled) startRun(model());
  });
  on("stop", "click", stopRun);
  on("model", "change", () => {
    stopRun();
    showModel();
  });
  on("text", "input", showSize);
  on("clear", "click", () => {
    setText("");
    $("text").focus();
  });
  on("example", "click", () => {
    setText(EXAMPLE);
    $("question").value = QUESTION;
    $("run").focus();
  });
  on("copy", "click", copy);
  on("token", "change", () => models.length || loadModels());
  on("theme", "click", () => {
    document.documentElement.className = $("theme").textContent.toLowerCase();
    nameTheme();
  });
  DARK.addEventListener("change", nameTheme);
  listenToOptions(on);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
    if (event.key === "Escape") stopRun();
  });
}

function listenToOptions(on) {
  for (const id of ["options", "more"]) on(id, "input", ({ target }) => showChanges(target));
  on("reset", "click", resetOptions);
  on("more-button", "click", () => {
    $("more").hidden = !$("more").hidden;
    $("more-button").ariaExpanded = String(!$("more").hidden);
  });
}

nameTheme();
listen();
listenToFiles(setText);
await loadModels();
