// One run at a time: from the button to a result, an error, or a stop.

import { Refusal, askOnce, askStream } from "./ask.mjs";
import { startClock } from "./clock.mjs";
import { $, count } from "./element.mjs";
import { clearNotes, explain, noteResult, showNote, withoutTags } from "./notes.mjs";
import { showChanges } from "./options.mjs";
import { showText } from "./results.mjs";
import { TASKS } from "./tasks.mjs";

const MOST_TRIES = 5; // of a server that is busy

let current = null; // the AbortController of the run that is on

export function stopRun() {
  current?.abort();
}

/** Runs what the fields say on this model. A run that is on ends, and shows nothing any more. */
export async function startRun(model, tries = 1) {
  stopRun();
  const mine = (current = new AbortController());
  const isCurrent = () => current === mine;
  const [text, task] = [$("text").value, TASKS[model.task]];
  clearResult();
  setBusy(true);
  const clock = startClock();
  let after = null;
  try {
    const result = await task.ask(serverFor(mine.signal, clock), model.name);
    if (result.error) throw new Refusal({ status: 422, ...result.error });
    task.show(result, text);
    clock.showTimes(result);
    noteResult(result, model, waysOn(model, text));
    say("Done.");
  } catch (error) {
    if (!isCurrent()) return;
    say(error.name === "AbortError" ? "Stopped." : "");
    if (error instanceof Refusal) after = fail(error, model, tries, mine.signal);
    else if (error.name !== "AbortError") throw error;
  } finally {
    clock.stop();
    if ((await after) ?? isCurrent()) setBusy(false);
  }
}

function serverFor(signal, clock) {
  const token = $("token").value;
  return {
    once: (path, body) => askOnce(path, { token, body, signal }),
    stream: (path, body) => askStream(path, { token, body, signal }),
    partial(text) {
      if (text) clock.noteText();
      showText(text);
    },
  };
}

/** What the buttons of notes do. */
function waysOn(model) {
  const again = (long) => () => {
    $("long").value = long;
    showChanges();
    startRun(model);
  };
  const isSummary = model.task === "summarization";
  return {
    run: () => startRun(model),
    cut: isSummary ? again("truncate") : null,
    inParts: isSummary ? again("chunk") : null,
    withoutTags() {
      $("text").value = withoutTags($("text").value);
      $("text").dispatchEvent(new Event("input"));
      startRun(model);
    },
  };
}

/** Says what stands in the way. Gives: false where another run took over. */
async function fail(error, model, tries, signal) {
  if (error.status === 401) {
    $("token-row").hidden = false;
    $("token").select();
  }
  if (error.status === 503 && error.retryAfterS !== null && tries < MOST_TRIES) {
    return countDown(error.retryAfterS, model, tries, signal);
  }
  const { text, actions } = explain(error, waysOn(model));
  showNote(text, { failed: true, actions });
  return true;
}

/** Says how long the server asked to wait, and runs again then. */
async function countDown(seconds, model, tries, signal) {
  const again = () => void startRun(model, tries + 1);
  const note = showNote("", { actions: { "Try now": again } });
  for (let left = Math.max(1, Math.ceil(seconds)); left > 0; left -= 1) {
    const when = count(left, "second");
    note.textContent = `The server has more to do than it can just now. Next try in ${when}.`;
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
      signal.addEventListener("abort", resolve, { once: true });
    });
    if (signal !== current?.signal) return false;
    if (signal.aborted) {
      clearNotes();
      say("Stopped.");
      return true;
    }
  }
  again();
  return false;
}

export function clearResult() {
  clearNotes();
  say("");
  $("output").replaceChildren();
  $("output").classList.remove("passage");
  $("windows").hidden = true;
  $("timings").textContent = "";
  $("copy").disabled = true;
}

function setBusy(busy) {
  const hadFocus = [$("run"), $("stop")].includes(document.activeElement);
  $("run").hidden = busy;
  $("stop").hidden = $("working").hidden = !busy;
  $("output").ariaBusy = String(busy);
  if (hadFocus) $(busy ? "stop" : "run").focus(); // the button that stands there now
  if (busy) return;
  current = null;
  $("copy").disabled = !$("output").textContent;
  $("result").scrollIntoView({ block: "nearest" });
}

function say(text) {
  $("status").textContent = text;
}
