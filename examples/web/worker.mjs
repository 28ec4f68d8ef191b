// Runs the graphs away from the page, which stays responsive; to cancel is to end this worker.

import * as ort from "./vendor/ort.wasm.min.mjs";
import { Tokenizer } from "./vendor/tokenizers.min.mjs";

import { download, forgetOthers } from "./download.mjs";
import { GRAPHS } from "./graphs.mjs";
import { checkSettings, generateOneBeam } from "./one_beam.mjs";
import { FLOATS } from "./settings.mjs";
import { makeTokenizer } from "./tokenizer.mjs";

const WASM = {
  url: `vendor/ort-wasm-simd-threaded.wasm?version=${ort.env.versions.web}`,
  size: 14239897, // of version 1.30.0, for the progress
};

const opened = new Map(); // mode -> what open gave

self.addEventListener("message", async ({ data }) => {
  try {
    const { manifest, mode, text, settings, truncate } = data;
    if (!opened.has(mode)) opened.set(mode, await open(manifest, mode));
    const { sessions, tokenizer } = opened.get(mode);
    const ids = encode(tokenizer, text, manifest.limits.max_source_tokens, truncate);
    tell("running", { tokens: ids.length, threads: ort.env.wasm.numThreads });
    const started = performance.now();
    const found = await (mode === "beams"
      ? runBeams(sessions[0], ids, settings)
      : runOneBeam(sessions, ids, settings, { manifest, tokenizer }));
    const summaries = found.map((each) => ({ ...each, text: tokenizer.decode(each.token_ids) }));
    tell("done", { summaries, seconds: (performance.now() - started) / 1000 });
  } catch (error) {
    tell("failed", { message: error.message });
  }
});

function tell(kind, told) {
  postMessage({ kind, ...told });
}

/** Downloads what a mode needs and opens its graphs. */
async function open(manifest, mode) {
  if (mode === "one beam") checkSettings(manifest.generation);
  const file = (name) => ({
    url: `bundle/${name}?sha256=${manifest.files[name].sha256}`,
    size: manifest.files[name].bytes,
  });
  const names = GRAPHS[mode].map((name) => manifest.graphs[name].file);
  const first = ["tokenizer.json", ...names].map(file);
  const before = sizeOf(first);
  const [tokenizer, ...graphs] = await download(first, (loaded) =>
    tell("loading", { loaded, total: before + WASM.size }),
  );
  const used = Object.keys(manifest.files)
    .filter((name) => /[._](data|bin)$/.test(name))
    .filter((name) => graphs.some((graph) => mentions(graph, name)));
  const second = [WASM, ...used.map(file)];
  const [wasm, ...weights] = await download(second, (loaded) =>
    tell("loading", { loaded: before + loaded, total: before + sizeOf(second) }),
  );
  tell("opening");
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.wasmPaths = {
    mjs: new URL("vendor/ort-wasm-simd-threaded.mjs", location.href).href,
  };
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  const sessions = [];
  for (const graph of graphs) {
    const externalData = used
      .map((path, index) => ({ path: baseName(path), data: weights[index] }))
      .filter(({ path }) => mentions(graph, path));
    sessions.push(await ort.InferenceSession.create(graph, { externalData }));
  }
  await forgetOthers([WASM.url, ...Object.keys(manifest.files).map((name) => file(name).url)]);
  const read = JSON.parse(new TextDecoder().decode(tokenizer));
  return { sessions, tokenizer: makeTokenizer(Tokenizer, read, manifest.tokenizer) };
}

function sizeOf(files) {
  return files.reduce((sum, { size }) => sum + size, 0);
}

function baseName(path) {
  return path.split("/").at(-1);
}

/** Whether a graph has its weights in this file, which is in its folder. */
function mentions(graph, path) {
  const wanted = new TextEncoder().encode(baseName(path));
  for (let at = graph.indexOf(wanted[0]); at >= 0; at = graph.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, index) => graph[at + index] === byte)) return true;
  }
  return false;
}

function encode(tokenizer, text, limit, truncate) {
  const ids = tokenizer.encode(text);
  if (ids.length <= limit) return ids;
  if (!truncate) throw new Error(`the text has ${ids.length} tokens, the bundle takes ${limit}`);
  return [...ids.slice(0, limit - 1), ids.at(-1)]; // EOS stays
}

async function runBeams(session, ids, settings) {
  const shape = [1, ids.length]; // [B, S]
  const feeds = {
    input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
    attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
  };
  for (const [name, value] of Object.entries(settings)) {
    feeds[name] = FLOATS.includes(name)
      ? new ort.Tensor("float32", [value], [])
      : new ort.Tensor("int64", [BigInt(value)], []);
  }
  const { sequences, lengths, scores } = await session.run(feeds);
  const length = sequences.dims[2]; // [B, R, T]
  const rows = Array.from(lengths.data, (count, row) => ({
    token_ids: Array.from(sequences.data.slice(row * length, row * length + Number(count)), Number),
    score: scores.data[row],
  })).filter(({ token_ids }) => token_ids.length); // others stand for none
  if (!rows.length) throw new Error("no summary is possible under these settings");
  return rows;
}

async function runOneBeam([encoder, decoder], ids, settings, { manifest, tokenizer }) {
  const token_ids = [];
  for await (const id of generateOneBeam({ ort, encoder, decoder, manifest, settings, ids })) {
    token_ids.push(id);
    tell("partial", { text: tokenizer.decode(token_ids), tokens: token_ids.length });
  }
  return [{ token_ids }];
}
