// A text file into the field: chosen, or dropped anywhere on the page.

import { $ } from "./element.mjs";
import { showNote } from "./notes.mjs";

const MOST_BYTES = 20e6; // no text that a model reads is as large

export function listenToFiles(setText) {
  const read = async (file) => {
    if (!file) return;
    if (file.size > MOST_BYTES) {
      showNote(`${file.name} has more than 20 MB: is it a text?`, { failed: true });
      return;
    }
    setText(await file.text());
    $("text").focus();
    $("text").setSelectionRange(0, 0);
  };
  $("file").addEventListener("change", async () => {
    await read($("file").files[0]);
    $("file").value = ""; // so that the same one can be chosen again
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("source").classList.add("dropping");
  });
  document.addEventListener("dragleave", () => $("source").classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    $("source").classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (!file && event.target === $("text")) return; // words that are dragged there
    event.preventDefault();
    read(file);
  });
}
