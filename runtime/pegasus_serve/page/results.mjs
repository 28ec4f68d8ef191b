// What the server answers, shown: a summary as it grows, labels, answers.

import { $, count, make } from "./element.mjs";

/** Models write `<n>` between sentences that stand on lines of their own. */
export function inLines(text) {
  return text.replace(/ *<n> */g, "\n");
}

/** Appends what is new, so that a selection, and the place of a reader, stay. */
export function showText(text) {
  const lines = inLines(text);
  const shown = $("output").textContent;
  if (lines.startsWith(shown)) $("output").append(lines.slice(shown.length));
  else $("output").textContent = lines;
}

export function showLabels({ scores }) {
  const most = Math.max(1, ...Object.values(scores).map(Math.abs));
  const rows = Object.entries(scores).map(([label, score]) => {
    const meter = make("meter", { max: most, value: score, ariaLabel: label });
    return make("div", { className: "label" }, make("span", {}, label), score.toFixed(3), meter);
  });
  $("output").replaceChildren(...rows);
}

/** The passage within a few lines of its text. */
export function showAnswer({ text, start, end }, context) {
  const characters = [...context]; // offsets are Python's: of characters, not of UTF-16
  const around = 160;
  const before = characters.slice(Math.max(0, start - around), start).join("");
  const after = characters.slice(end, end + around).join("");
  $("output").replaceChildren(
    start > around ? "… " : "",
    before,
    make("mark", {}, text),
    after,
    end + around < characters.length ? " …" : "",
  );
  $("output").classList.add("passage");
}

/** Which parts of the text a summary in parts was made of; a click shows one there. */
export function showWindows(windows, text) {
  $("windows").hidden = !windows?.length;
  if (!windows?.length) return;
  const characters = [...text];
  const total = characters.length;
  $("windows").querySelector("summary").textContent = `Made of ${count(windows.length, "part")} of the text`;
  const rows = windows.map(({ start, end, text: own }, number) => {
    const where = `Part ${number + 1}: ${percent(start / total)} to ${percent(end / total)} of the text`;
    const button = make("button", { type: "button", onclick: () => select(characters, start, end) });
    button.append(make("span", { className: "quiet" }, where), make("span", {}, inLines(own)));
    return make("li", {}, button);
  });
  $("windows").querySelector("ol").replaceChildren(...rows);
}

function select(characters, start, end) {
  const units = (number) => characters.slice(0, number).join("").length;
  const area = $("text");
  area.focus();
  area.setSelectionRange(units(start), units(end));
  area.scrollTop = (area.scrollHeight * start) / characters.length - area.clientHeight / 4;
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

export const words = (text) => text.split(/\s+/).filter(Boolean).length;
