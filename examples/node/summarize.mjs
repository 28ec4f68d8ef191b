// Summarises text files with a bundle's generate.onnx: the whole beam search is in the graph.
//
//   node summarize.mjs BUNDLE FILE... [--num-beams 8] [--max-length 64] [--truncate] [--json] ...

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Tokenizer } from "@huggingface/tokenizers";

import { FLOATS, NAMES, readSettings } from "../web/settings.mjs";
import { makeTokenizer } from "../web/tokenizer.mjs";

// ONNX Runtime tells Microsoft what is loaded, unless this is set before it is.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
const { default: ort } = await import("onnxruntime-node");

const USAGE = `usage: node summarize.mjs BUNDLE FILE... [options]

Options, where they are to differ from the bundle's own settings:
${NAMES.map((name) => `  --${name.replaceAll("_", "-")} N`).join("\n")}
and
  --threads N   of ONNX Runtime (default: all cores)
  --truncate    cut texts that are too long; otherwise they are an error
  --json        a line of JSON for each file: its summaries with their scores and ids`;

function readArguments() {
  const settings = NAMES.map((name) => [name.replaceAll("_", "-"), "string"]);
  const others = [["threads", "string"], ["truncate", "boolean"], ["json", "boolean"]];
  const options = Object.fromEntries(
    [...settings, ...others, ["help", "boolean"]].map(([name, type]) => [name, { type }]),
  );
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help || positionals.length < 2) {
    console.log(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  const [bundle, ...files] = positionals;
  return { bundle, files, ...values };
}

function readJson(bundle, name) {
  return JSON.parse(readFileSync(join(bundle, name), "utf8"));
}

/** The scalars of the graph: given as options, else as the bundle is used. */
function makeSettings(given, manifest) {
  const entries = Object.entries(readSettings(manifest)).map(([name, kept]) => {
    const option = name.replaceAll("_", "-");
    const type = FLOATS.includes(name) ? "float32" : "int64";
    const value = readNumber(option, given[option] ?? kept, type);
    const data = type === "int64" ? BigInt64Array.of(BigInt(value)) : Float32Array.of(value);
    return [name, new ort.Tensor(type, data, [])];
  });
  return Object.fromEntries(entries);
}

function readNumber(option, text, type) {
  const value = text === "never" ? 2 : Number(text); // of early_stopping
  if (type === "int64" ? Number.isInteger(value) : Number.isFinite(value)) return value;
  const kind = type === "int64" ? "an integer" : "a number";
  throw new Error(`--${option} is ${text}, expected ${kind}`);
}

function encode(tokenizer, text, limit, truncate) {
  const ids = tokenizer.encode(text);
  if (ids.length <= limit) return ids;
  if (!truncate) {
    throw new Error(`has ${ids.length} tokens, the bundle takes ${limit}: pass --truncate`);
  }
  return [...ids.slice(0, limit - 1), ids.at(-1)]; // EOS stays
}

async function summarize(session, tokenizer, ids, settings) {
  const shape = [1, ids.length]; // [B, S]
  const outputs = await session.run({
    input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
    attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
    ...settings,
  });
  const [, , length] = outputs.sequences.dims; // [B, R, T]
  const rows = Array.from(outputs.lengths.data, (count, row) => {
    const start = row * length;
    const token_ids = Array.from(outputs.sequences.data.slice(start, start + Number(count)), Number);
    return { text: tokenizer.decode(token_ids), score: outputs.scores.data[row], token_ids };
  }).filter(({ token_ids }) => token_ids.length); // others stand for none
  if (!rows.length) throw new Error("no summary is possible under these settings");
  return rows;
}

async function main() {
  const given = readArguments();
  const manifest = readJson(given.bundle, "manifest.json");
  if (!manifest.graphs.generate) {
    throw new Error(`${given.bundle} has no graph that generates: use pegasus-export --generate`);
  }
  const settings = makeSettings(given, manifest);
  const tokenizer = makeTokenizer(
    Tokenizer,
    readJson(given.bundle, "tokenizer.json"),
    manifest.tokenizer,
  );
  const graph = join(given.bundle, manifest.graphs.generate.file);
  const options = { intraOpNumThreads: readNumber("threads", given.threads ?? 0, "int64") };
  const session = await ort.InferenceSession.create(graph, options);
  for (const file of given.files) {
    try {
      const limit = manifest.limits.max_source_tokens;
      const ids = encode(tokenizer, readFileSync(file, "utf8"), limit, given.truncate);
      const summaries = await summarize(session, tokenizer, ids, settings);
      if (given.json) console.log(JSON.stringify({ file, summaries }));
      else for (const { text } of summaries) console.log(text.replace(/ *<n> */g, "\n"));
    } catch (error) {
      throw new Error(`${file}: ${error.message}`);
    }
  }
}

main().catch((error) => {
  console.error(`summarize: ${error.message}`);
  process.exit(1);
});
