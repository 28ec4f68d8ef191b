// Summarizes text files with transformers.js, and a folder that pegasus-export wrote for it:
//
//     pegasus-export --model examples/checkpoints/pegasus-mini --output mini-js \
//         --target onnx --layout transformers-js
//     cd examples/transformers-js && npm install --ignore-scripts
//     node summarize.mjs ../../mini-js ../articles/earthquake_623.txt
//
// --dtype fp32 (the default), q8 or int8 chooses the files. One line of output for each file:
// transformers.js searches greedily, whatever num_beams says. A .jsonl file has a {"document": …}
// in each line, and gives a line for each.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";

import { env, pipeline } from "@huggingface/transformers";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dtype: { type: "string", default: "fp32" },
    "max-length": { type: "string" },
  },
});
if (positionals.length < 2) {
  console.error("usage: node summarize.mjs [--dtype fp32|q8|int8] [--max-length N] FOLDER FILE...");
  process.exit(2);
}
const [folder, ...files] = positionals;

env.allowRemoteModels = false;
const root = path.resolve(folder);
const summarize = await pipeline("summarization", root, { dtype: values.dtype });

// The pipeline would take 256 tokens, whatever the checkpoint's own settings say. Those count the
// start token, which max_new_tokens does not.
const settings = JSON.parse(await readFile(path.join(root, "generation_config.json"), "utf8"));
const maxLength = Number(values["max-length"] ?? settings.max_length ?? 257);

for (const file of files) {
  const text = await readFile(file, "utf8");
  const lines = text.split("\n").filter((line) => line.trim());
  const documents = file.endsWith(".jsonl") ? lines.map((line) => JSON.parse(line).document) : [text];
  for (const document of documents) {
    const [{ summary_text }] = await summarize(document, { max_new_tokens: maxLength - 1 });
    console.log(summary_text);
  }
}
await summarize.dispose();
