// Keeps the page's own files, so that it opens without a network: the newest where there is one.
// What is large and never changes under its url is kept by download.mjs.

const CACHE = "pegasus-edge-page";
const OWN = [
  "./",
  "style.css",
  "page.mjs",
  "worker.mjs",
  "download.mjs",
  "graphs.mjs",
  "one_beam.mjs",
  "settings.mjs",
  "tokenizer.mjs",
  "vendor/ort.wasm.min.mjs",
  "vendor/ort-wasm-simd-threaded.mjs",
  "vendor/tokenizers.min.mjs",
  "bundle/manifest.json",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(OWN)));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const path = pathname.slice(new URL("./", self.location.href).pathname.length) || "./";
  if (origin === self.location.origin && OWN.includes(path)) {
    event.respondWith(newest(event.request, path));
  }
});

async function newest(request, path) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(path, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(path);
    if (kept) return kept;
    throw error;
  }
}
