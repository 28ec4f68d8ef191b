// What is asked of the server, and what it answers: events as they come, or a Refusal.

/** What stands in the way, in the server's words; `status` is HTTP's, or 0 where none came. */
export class Refusal extends Error {
  constructor({ status = 0, code = "", message = "", retryAfterS = null }) {
    super(message);
    Object.assign(this, { status, code, retryAfterS });
  }
}

/** The JSON that the server answers. */
export async function askOnce(path, { token, body, signal } = {}) {
  return (await open(path, { token, body, signal })).json();
}

/** Yields {event, data} until the server ends the stream. */
export async function* askStream(path, { token, body, signal }) {
  const response = await open(path, { token, body, signal });
  for await (const { event, data } of readEvents(response.body)) {
    if (event === "error") throw refusal(response, data);
    yield { event, data };
  }
}

async function open(path, { token, body, signal }) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({ code: "unreachable" });
  }
  if (response.ok) return response;
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // of a proxy in between, which has no JSON
  }
  throw refusal(response, answer);
}

function refusal(response, { error = {} }) {
  const { code, message } = error;
  const status = response.ok ? (STATUS[code] ?? 500) : response.status;
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return new Refusal({ status, code, message, retryAfterS: seconds >= 0 ? seconds : null });
}

// Of errors that come within a stream, which began as a 200.
const STATUS = { overloaded: 503, shutting_down: 503, timeout: 504 };

/** Server-sent events of a body of bytes, whichever way it is cut into pieces. */
export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = block.split(/\r?\n/).map((line) => line.match(/^(\w*): ?(.*)$/) ?? []);
      const data = fields.filter(([, name]) => name === "data").map(([, , text]) => text);
      const event = fields.find(([, name]) => name === "event")?.[2] ?? "message";
      if (data.length) yield { event, data: JSON.parse(data.join("\n")) };
    }
  }
}
