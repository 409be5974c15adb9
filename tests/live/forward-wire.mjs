// The HTTP ends of the forward-auth checks: the app behind the proxies, and requests sent byte for byte.
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { connect } from "node:net";

/** Starts the app behind the proxies: it answers with the path and the headers that it received. */
export function startApp(port) {
  const server = createServer((asked, answer) => {
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ reached: asked.url, headers: asked.headers }));
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

/** Waits until a proxy accepts connections. */
export async function listens(port) {
  const connects = () => new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
    socket.on("error", () => resolve(false));
  });
  for (const deadline = Date.now() + 20_000; !(await connects());) {
    assert.ok(Date.now() < deadline, `nobody listens on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Sends a request byte for byte: `fetch` would normalize the path and resolve the name. */
export function send(origin, path, headers = {}, method = "GET") {
  const { host, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers: { host, ...headers } }, (answer) => {
      let body = "";
      answer.on("data", (part) => { body += part; });
      answer.on("end", () => {
        let told;
        try { told = JSON.parse(body); } catch { told = {}; }
        resolve({ status: answer.statusCode, headers: answer.headers, told });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}
