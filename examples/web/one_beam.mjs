// Greedy generation with encoder_model.onnx and decoder_model_merged.onnx: a token at a time, so
// that the text can be shown as it comes, which no graph that has the loop inside can do.

const KNOWN = new Set([
  ...["bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_eos_token_id"],
  ...["pad_token_id", "max_length", "min_length", "no_repeat_ngram_size", "repetition_penalty"],
  ...["num_beams", "length_penalty", "early_stopping", "num_return_sequences"],
  ...["max_new_tokens", "min_new_tokens"],
  ...["prefix", "task_specific_params"], // of pipelines alone
  // of samples alone
  ...["temperature", "top_k", "top_p", "min_p", "top_h", "typical_p"],
  ...["epsilon_cutoff", "eta_cutoff"],
]);
const OFF = { do_sample: false, encoder_no_repeat_ngram_size: 0, encoder_repetition_penalty: 1 };

/** Refuses settings of a checkpoint that only generate.onnx follows. */
export function checkSettings(generation) {
  const unknown = Object.entries(generation)
    .filter(([name, value]) => !KNOWN.has(name) && OFF[name] !== value)
    .map(([name]) => name);
  if (unknown.length) throw new Error(`one beam does not follow ${unknown.join(", ")}: use beams`);
}

/**
 * Yields the ids of the summary one by one, EOS included.
 *
 * @param ort onnxruntime-web or -node
 * @param manifest the bundle's
 * @param settings max_length, min_length, no_repeat_ngram_size, repetition_penalty
 */
export async function* generateOneBeam({ ort, encoder, decoder, manifest, settings, ids }) {
  const { decoder_heads, head_dim } = manifest.architecture;
  const { decoder_start_token_id, eos_token_ids } = manifest.token_ids;
  const ends = [manifest.generation.forced_eos_token_id ?? []].flat();
  const integers = (values) =>
    new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);

  const attention_mask = integers(ids.map(() => 1));
  const { last_hidden_state } = await encoder.run({ input_ids: integers(ids), attention_mask });
  const feeds = {
    encoder_attention_mask: attention_mask,
    encoder_hidden_states: last_hidden_state,
    use_cache_branch: new ort.Tensor("bool", [false], [1]),
  };
  for (const name of decoder.inputNames.filter((each) => each.startsWith("past_key_values."))) {
    feeds[name] = new ort.Tensor("float32", [], [1, decoder_heads, 0, head_dim]);
  }
  const tokens = [decoder_start_token_id];
  while (tokens.length < settings.max_length) {
    feeds.input_ids = integers(tokens.slice(-1));
    const outputs = await decoder.run(feeds);
    const scores = adjust(outputs.logits.data, tokens, settings, eos_token_ids);
    const isLast = tokens.length === settings.max_length - 1;
    const token = isLast && ends.length ? Math.min(...ends) : scores.indexOf(largest(scores));
    tokens.push(token);
    yield token;
    if (eos_token_ids.includes(token)) return;
    keep(outputs, feeds);
    feeds.use_cache_branch = new ort.Tensor("bool", [true], [1]);
  }
}

/** The cache for the next step; that of the source is made in the first one and stays. */
function keep(outputs, feeds) {
  const isFirst = !feeds.use_cache_branch.data[0];
  for (const [name, tensor] of Object.entries(outputs)) {
    if (!name.startsWith("present.")) continue;
    if (isFirst || !name.includes(".encoder.")) {
      feeds[name.replace("present.", "past_key_values.")] = tensor;
    }
  }
}

/** The logits of the last position under the settings, as transformers orders them. */
function adjust(logits, tokens, settings, eos_token_ids) {
  const scores = logits.slice();
  const { repetition_penalty: penalty, no_repeat_ngram_size: size } = settings;
  if (penalty !== 1) {
    for (const token of new Set(tokens)) {
      scores[token] = Math.fround(scores[token] * (scores[token] < 0 ? penalty : 1 / penalty));
    }
  }
  if (size > 0) {
    const start = tokens.length - size + 1;
    for (let at = 0; at < start; at++) {
      const repeats = tokens.slice(start).every((token, index) => tokens[at + index] === token);
      if (repeats) scores[tokens[at + size - 1]] = -Infinity;
    }
  }
  if (tokens.length < settings.min_length) {
    for (const token of eos_token_ids) scores[token] = -Infinity;
  }
  return scores;
}

function largest(scores) {
  let found = -Infinity;
  for (const score of scores) if (score > found) found = score;
  return found;
}
