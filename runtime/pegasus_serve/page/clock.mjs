// Seconds as they go by, and at the end what there was in them.

import { $, count } from "./element.mjs";
import { inLines, words } from "./results.mjs";

export function startClock() {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const show = () => ($("status").textContent = `${seconds().toFixed(1)} s`);
  const timer = setInterval(show, 100);
  let firstText = null;
  return {
    stop: () => clearInterval(timer),
    noteText: () => (firstText ??= seconds()),
    /** For a summary with its length, for all others the time alone. */
    showTimes({ text, token_ids, windows }) {
      const all = seconds();
      const found = [`${all.toFixed(2)} s`];
      if (token_ids) {
        const tokens = token_ids.length;
        found.unshift(count(words(inLines(text)), "word"), count(tokens, "token"));
        // In parts, more tokens were written than are left.
        if (!windows?.length) found.push(`${Math.round(tokens / all)} tokens/s`);
      }
      if (firstText !== null) found.push(`first text ${firstText.toFixed(2)} s`);
      $("timings").textContent = found.join(" · ");
    },
  };
}
