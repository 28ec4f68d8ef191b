// Ids of texts, by the tokenizer that transformers.js uses: package, bundle, file of texts.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [library, bundle, texts] = process.argv.slice(2);
const { Tokenizer } = await import(pathToFileURL(library));
const read = (path) => JSON.parse(readFileSync(path, "utf-8"));
const tokenizer = new Tokenizer(
  read(`${bundle}/tokenizer.json`),
  read(`${bundle}/tokenizer_config.json`),
);
const found = read(texts).map((text) => {
  const { ids } = tokenizer.encode(text);
  return [ids, tokenizer.decode(ids, { skip_special_tokens: true })];
});
console.log(JSON.stringify(found));
