// What the page can ask of a model, by its task: a request each, and what becomes of the answer.

import { Refusal } from "./ask.mjs";
import { $ } from "./element.mjs";
import { readParameters } from "./options.mjs";
import { showAnswer, showLabels, showText, showWindows } from "./results.mjs";

/** Per task: words; ask(server, model) gives the result object, and show(result, text) shows it. */
export const TASKS = {
  summarization: {
    verb: "Summarise",
    title: "Summary",
    empty: "The summary appears here as it is written.\nCtrl+Enter starts, Esc stops.",
    ask: summarise,
    show(result, text) {
      showText(result.text);
      showWindows(result.windows, text);
    },
  },
  "text-classification": {
    verb: "Classify",
    title: "Labels",
    empty: "The labels appear here, with their scores.",
    async ask(server, model) {
      return (await server.once("v1/classify", { model, inputs: $("text").value })).results[0];
    },
    show: showLabels,
  },
  "question-answering": {
    verb: "Answer",
    title: "Answer",
    empty: "The passage that answers appears here.",
    async ask(server, model) {
      const body = { model, question: $("question").value, context: $("text").value };
      return (await server.once("v1/answer", body)).results[0];
    },
    show: showAnswer,
  },
};

async function summarise(server, model) {
  const [inputs, long] = [$("text").value, $("long").value];
  const body = { model, inputs, long, parameters: readParameters(), stream: long !== "chunk" };
  // Of a text in parts nothing is certain before its end, so there is nothing to stream.
  if (!body.stream) return (await server.once("v1/summarize", body)).results[0];
  for await (const { event, data } of server.stream("v1/summarize", body)) {
    if (event === "partial") server.partial(data.text);
    if (event === "result") return data;
  }
  throw new Refusal({ message: "the connection ended before the summary did: try again" });
}
