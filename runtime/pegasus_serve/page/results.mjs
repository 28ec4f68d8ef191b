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
  const characters = [...text]; // offsets are Python's
  const rounds = windows.at(-1).round ?? 1;
  const first = windows.filter(({ round = 1 }) => round === 1);
  const made = `Made of ${count(first.length, "part")} of the text`;
  $("windows").querySelector("summary").textContent =
    rounds > 1 ? `${made}, in ${count(rounds, "round")}` : made;
  const rows = windows.map((each) => make("li", {}, windowButton(each, characters, rounds > 1)));
  $("windows").querySelector("ol").replaceChildren(...rows);
}

function windowButton({ start, end, text, kept = text, round = 1 }, characters, hasRounds) {
  const [from, to] = [start, end].map((each) => percent(each / characters.length));
  const where = [`${from} to ${to} of the text`];
  if (hasRounds) where.unshift(`round ${round}`);
  if (kept !== text) where.push(kept ? "what repeats left out" : "left out, as it repeats");
  const onclick = () => select(characters, start, end);
  const place = make("span", { className: "quiet" }, where.join(" · "));
  return make("button", { type: "button", onclick }, place, make("span", {}, inLines(text)));
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
