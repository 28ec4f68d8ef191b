// What the page shows; worker.mjs does the work.

import { GRAPHS } from "./graphs.mjs";
import { readSettings as settingsOf } from "./settings.mjs";

const $ = (id) => document.getElementById(id);
const mode = () => document.querySelector("[name=mode]:checked").value;

let manifest;
let worker = null;

/** All settings of generate.onnx, as numbers: those of the page, else the bundle's. */
export function readSettings() {
  const chosen = ["num_beams", "max_length"].map((name) => [name, Number($(name).value)]);
  return { ...settingsOf(manifest), ...Object.fromEntries(chosen) };
}

function run() {
  worker ??= new Worker("worker.mjs", { type: "module" });
  worker.onmessage = ({ data }) => SHOW[data.kind](data);
  worker.onerror = ({ message }) => SHOW.failed({ message: message || "the worker did not start" });
  setBusy(true);
  $("summary").textContent = $("details").textContent = "";
  say("Starting …");
  worker.postMessage({
    manifest,
    mode: mode(),
    text: $("article").value,
    settings: readSettings(),
    truncate: $("truncate").checked,
  });
}

function cancel() {
  worker.terminate();
  worker = null;
  setBusy(false);
  say("Cancelled.");
}

// By what the worker tells.
const SHOW = {
  loading({ loaded, total }) {
    say(`Loading ${megabytes(loaded)} of ${megabytes(total)} MB …`);
    Object.assign($("progress"), { max: total, value: loaded });
  },
  opening() {
    say("Opening the model …");
    $("progress").removeAttribute("value");
  },
  running({ tokens, threads }) {
    say("Summarising …");
    $("progress").removeAttribute("value");
    $("details").textContent = `${tokens} tokens, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  },
  partial({ text }) {
    $("summary").textContent = inLines(text);
  },
  done({ summaries, seconds }) {
    $("summary").textContent = summaries.map(({ text }) => inLines(text)).join("\n\n");
    $("details").textContent += `, ${seconds.toFixed(2)} s`;
    setBusy(false);
    say("");
  },
  failed({ message }) {
    setBusy(false);
    say(message, true);
    $("truncate-label").hidden &&= !message.includes("tokens, the bundle takes");
  },
};

/** The model writes `<n>` between sentences that stand on lines of their own. */
function inLines(text) {
  return text.replace(/ *<n> */g, "\n");
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

function say(text, failed = false) {
  $("status").textContent = text;
  $("status").classList.toggle("failed", failed);
}

function setBusy(busy) {
  $("run").disabled = busy;
  $("cancel").hidden = $("progress").hidden = !busy;
}

async function readFile(file) {
  if (!file) return;
  $("article").value = await file.text();
  showSize();
}

function showSize() {
  const words = $("article").value.split(/\s+/).filter(Boolean).length;
  $("size").textContent = words ? `${words} words` : "";
}

function listen() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  $("cancel").addEventListener("click", cancel);
  $("article").addEventListener("input", showSize);
  $("file").addEventListener("change", () => readFile($("file").files[0]));
  $("form").addEventListener("change", () => ($("beams-label").hidden = mode() !== "beams"));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("article").classList.add("dropping");
  });
  document.addEventListener("dragleave", () => $("article").classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("article").classList.remove("dropping");
    readFile(event.dataTransfer.files[0]);
  });
}

/** What the bundle has no graphs for cannot be chosen. */
function offerModes() {
  for (const radio of document.querySelectorAll("[name=mode]")) {
    radio.disabled = !GRAPHS[radio.value].every((name) => name in manifest.graphs);
  }
  const first = document.querySelector("[name=mode]:enabled");
  if (!first) throw new Error("the bundle has no graph for this page: use pegasus-export --generate");
  first.click();
}

async function start() {
  listen();
  showSize();
  const response = await fetch("bundle/manifest.json");
  if (!response.ok) throw new Error(`bundle/manifest.json: the server answers ${response.status}`);
  manifest = await response.json();
  offerModes();
  for (const name of ["num_beams", "max_length"]) $(name).value = settingsOf(manifest)[name];
  $("max_length").max = manifest.limits.max_target_tokens;
  await navigator.serviceWorker?.register("service_worker.js");
}

start().catch((error) => say(error.message, true));
