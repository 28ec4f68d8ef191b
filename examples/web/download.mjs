// Files with progress, kept by the browser: what was downloaded once is there without a network.

const CACHE = "pegasus-edge-files";

/**
 * Fetches files that the browser does not have yet.
 *
 * @param files {url, size}[]; the url changes when the file does, so a kept one is the right one
 * @param onProgress called with the bytes that are there and the bytes of all
 * @returns the contents, in the order of the files
 */
export async function download(files, onProgress) {
  const cache = await caches.open(CACHE);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let loaded = 0;
  const contents = [];
  for (const { url, size } of files) {
    const kept = await cache.match(url);
    const before = loaded;
    const bytes = await readAll(kept ?? (await fetchOrFail(url)), size, (count) =>
      onProgress((loaded = before + count), total),
    );
    if (!kept) await cache.put(url, new Response(bytes));
    contents.push(bytes);
  }
  return contents;
}

/** Forgets the files of other bundles and versions. */
export async function forgetOthers(urls) {
  const cache = await caches.open(CACHE);
  const wanted = new Set(urls.map((url) => new URL(url, location.href).href));
  const others = (await cache.keys()).filter(({ url }) => !wanted.has(url));
  await Promise.all(others.map((request) => cache.delete(request)));
}

async function fetchOrFail(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status}`);
  return response;
}

async function readAll(response, size, onCount) {
  const bytes = new Uint8Array(size);
  const reader = response.body.getReader();
  let count = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (count + value.length > size) throw new Error(`${response.url}: is larger than expected`);
    bytes.set(value, count);
    onCount((count += value.length));
  }
  if (count < size) throw new Error(`${response.url}: ended after ${count} of ${size} bytes`);
  return bytes;
}
