// The inputs of generate.onnx beside the text, as pegasus-edge's runtime settles them.

export const FLOATS = ["length_penalty", "repetition_penalty"];

// Of transformers, where a bundle says nothing.
const USUAL = {
  num_beams: 1,
  max_length: 21,
  min_length: 0,
  length_penalty: 1,
  early_stopping: 0, // 0, 1, or 2 for "never"
  no_repeat_ngram_size: 0,
  repetition_penalty: 1,
  num_return_sequences: 1,
};
export const NAMES = Object.keys(USUAL);

/** All of them by name, as numbers. manifest: the bundle's. */
export function readSettings({ generation, limits }) {
  const settings = { ...USUAL, max_length: Math.min(USUAL.max_length, limits.max_target_tokens) };
  for (const name of NAMES) {
    const value = generation[name] ?? settings[name];
    settings[name] = value === "never" ? 2 : Number(value);
  }
  // Counted without the start token, and these go before the others.
  for (const [name, winner] of [["max_length", "max_new_tokens"], ["min_length", "min_new_tokens"]]) {
    if (generation[winner] != null) settings[name] = Number(generation[winner]) + 1;
  }
  return settings;
}
