// Text to the ids of a bundle and back, as pegasus-edge's runtime and SentencePiece read it.

/**
 * @param Tokenizer that of @huggingface/tokenizers
 * @param tokenizer the bundle's tokenizer.json
 * @param spec `tokenizer` of the bundle's manifest.json
 */
export function makeTokenizer(Tokenizer, tokenizer, spec) {
  // A text that spells `</s>` or `<mask_1>` is text: no special token can be found in it.
  const isSpecial = (id) => id < spec.special_below;
  const vocab = tokenizer.model.vocab.map(([piece, score], id) => [
    isSpecial(id) ? `\0${id}` : piece,
    score,
  ]);
  const added_tokens = tokenizer.added_tokens.filter(({ id }) => !isSpecial(id));
  const model = { ...tokenizer.model, vocab };
  const plain = new Tokenizer(
    { ...tokenizer, model, added_tokens, normalizer: null, post_processor: null },
    {},
  );
  const charsmap = findCharsmap(tokenizer.normalizer);
  if (!charsmap) throw new Error("tokenizer.json is not of a SentencePiece vocabulary");
  const normalize = makeNormalizer(charsmap);
  // The package cannot take some hundred thousand tokens at once; where no piece goes across words,
  // it need not.
  const atOnce = vocab.some(([piece]) => piece.lastIndexOf("▁") > 0) ? Infinity : 1000;
  function* chunks(words) {
    for (let at = 0; at < words.length; at += atOnce) {
      yield words.slice(at, at + atOnce).join(" ");
    }
  }
  return {
    encode(text) {
      const normalized = normalize(text);
      if (!normalized) throw new Error("the text is empty: pass text with words in it");
      const ids = [...chunks(normalized.split(" "))].flatMap((chunk) => plain.encode(chunk).ids);
      return spec.prefix_ids.concat(ids, spec.suffix_ids);
    },
    decode(ids) {
      const options = { clean_up_tokenization_spaces: spec.clean_up_spaces };
      const told = ids.filter((id) => !isSpecial(id));
      return told.length ? plain.decode(told, options).replace(/^ +/, "") : ""; // it takes no 0
    },
  };
}

function findCharsmap(normalizer) {
  if (normalizer?.type === "Sequence") {
    return normalizer.normalizers.map(findCharsmap).find((found) => found);
  }
  return normalizer?.precompiled_charsmap;
}

/**
 * SentencePiece's own normalisation, of which @huggingface/tokenizers has an approximation: the
 * longest entry of the map wherever one begins, runs of spaces as one, none at the ends.
 *
 * @param charsmap in base64: the size of a double array (darts-clone) in bytes, that array, and
 *   what its entries are replaced by, each ended by a zero
 */
function makeNormalizer(charsmap) {
  const bytes = Uint8Array.from(atob(charsmap), (char) => char.charCodeAt(0));
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const units = new Uint32Array(bytes.slice(4, 4 + size).buffer);
  const replacements = bytes.subarray(4 + size);
  const offset = (unit) => (unit >>> 10) << ((unit & 512) >>> 6);

  function longestEntry(text, start) {
    let found = null;
    let position = offset(units[0]);
    for (let at = start; at < text.length; at++) {
      position ^= text[at];
      const unit = units[position];
      if (((unit & 0x800000ff) >>> 0) !== text[at]) break;
      position ^= offset(unit);
      if (unit & 256) found = { end: at + 1, replacement: units[position] & 0x7fffffff };
    }
    return found;
  }

  return function normalize(text) {
    const source = new TextEncoder().encode(text);
    const written = [];
    for (let at = 0; at < source.length; ) {
      const found = longestEntry(source, at);
      if (found) {
        const { end, replacement } = found;
        written.push(...replacements.subarray(replacement, replacements.indexOf(0, replacement)));
        at = end;
      } else {
        do written.push(source[at++]);
        while ((source[at] & 0xc0) === 0x80);
      }
    }
    const normalized = new TextDecoder().decode(Uint8Array.from(written));
    return normalized.replace(/ +/g, " ").replace(/^ | $/g, "");
  };
}
