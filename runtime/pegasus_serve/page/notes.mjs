// What there is to know about a result, and what to do about an error, in words.

import { $, count, make } from "./element.mjs";
import { percent } from "./results.mjs";

const MUCH_UNKNOWN = 0.2; // as the commands warn from

export function clearNotes() {
  $("notes").replaceChildren();
}

/** Shows a note with buttons: {label: what it does}. Gives: the element with its text. */
export function showNote(text, { failed = false, actions = {} } = {}) {
  const says = make("span", {}, text);
  const buttons = Object.entries(actions)
    .filter(([, onclick]) => onclick)
    .map(([label, onclick]) => make("button", { type: "button", onclick }, label));
  const [className, role] = failed ? ["note failed", "alert"] : ["note", "note"];
  $("notes").append(make("p", { className, role }, says, ...buttons));
  return says;
}

/** Notes on what came out of a text; `ways` is what their buttons do. */
export function noteResult(result, model, ways) {
  const { truncated, unknown_share, looks_like_html, control_characters } = result;
  if (truncated) {
    const most = count(model.limits.max_source_tokens, "token");
    showNote(`The text's end was left out: this model reads ${most}.`, {
      actions: { "Summarise it in parts": ways.inParts },
    });
  }
  if (unknown_share >= MUCH_UNKNOWN) {
    showNote(
      `${percent(unknown_share)} of the text's characters are unknown to this model: what it ` +
        "says may well be made up. Is the text in its language?",
    );
  }
  if (looks_like_html) {
    showNote("The text looks like HTML, whose tags are read as words.", {
      actions: { "Take the tags out": ways.withoutTags },
    });
  }
  if (control_characters) {
    const found = count(control_characters, "control character");
    showNote(`The text has ${found}: was it copied from a file that is no text?`);
  }
}

/** What a refusal asks for. Gives: what to do, in words, and the buttons that would do it. */
export function explain({ status, code, message }, ways) {
  const said = asSentence(message);
  const retry = { "Try again": ways.run };
  if (code === "unreachable") {
    return { text: "The server does not answer: is it running?", actions: retry };
  }
  if (status === 401) return { text: "This server asks for an access token: enter it below." };
  if (status === 404) return { text: `${said} If the server was started anew, reload the page.` };
  if (status === 413) return { text: `The text is larger than this server takes. ${said}` };
  if (status === 503) return { text: said || "The server is busy.", actions: retry };
  if (status === 504) {
    return { text: `${said} Fewer beams, or fewer tokens, take less time.`, actions: retry };
  }
  const tooLong = message?.match(/source has (\d+) tokens, the bundle takes (\d+)/);
  if (tooLong) {
    const [has, reads] = tooLong.slice(1).map(Number);
    const actions = { "Cut its end": ways.cut, "Summarise it in parts": ways.inParts };
    return { text: `The text has ${count(has, "token")}, and this model reads ${reads}.`, actions };
  }
  return { text: said || `The server answers ${status}.`, actions: status >= 500 ? retry : {} };
}

/** With a capital, unless it begins with the name of an option. */
function asSentence(message) {
  if (!message) return "";
  const begins = /^[a-z]+\b(?![_.])/.test(message) ? message[0].toUpperCase() : message[0];
  return `${begins}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

/** The text of HTML: no tags, scripts or comments, and line ends where paragraphs end. */
export function withoutTags(html) {
  return html
    .replace(/<!--[^]*?-->|<(script|style|head|noscript)\b[^]*?<\/\1\s*>/gi, "")
    .replace(/\s+/g, " ")
    .replace(/<(br|\/p|\/div|\/h\d|\/li|\/tr)\b[^>]*>/gi, "\n")
    .replace(/<\/?[a-z!][^>]*>/gi, "")
    .replace(/&(lt|gt|quot|apos|nbsp|amp);/g, (_, name) => ENTITIES[name])
    .replace(/&#(\d{1,6});/g, (_, number) => String.fromCodePoint(Number(number)))
    .replace(/[^\S\n]*\n\s*/g, "\n")
    .trim();
}

const ENTITIES = { lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " ", amp: "&" };
