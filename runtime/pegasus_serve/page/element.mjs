// Elements of the page, and new ones: text goes in as text, whatever stands in it.

export const $ = (id) => document.getElementById(id);

/** A new element with texts and elements in it; fields such as onclick by their names. */
export function make(tag, fields, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, fields);
  element.append(...children);
  return element;
}

/** 1 word; 12,345 words. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
