// A receiver of webhooks and of a hook before sign-ins, which the Standard Webhooks library verifies. It allows every
// sign-in. It runs in a thread of its own: the server waits for a hook for two seconds at most, and the thread that
// tries the targets may be busy for longer.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parentPort, workerData } from "node:worker_threads";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(readFileSync(workerData.secretFile, "utf8").trim());

function refuses(body, headers) {
  try {
    webhook.verify(body, headers);
    return false;
  } catch {
    return true;
  }
}

/** Returns what came, with what the library should have refused but did not. */
function take(path, body, headers) {
  const message = webhook.verify(body, headers);
  // Checked while the message is fresh, so that its age is not the reason for a refusal.
  const old = String(Number(headers["webhook-timestamp"]) - 600);
  const forged = {
    "another body": [`${body} `, headers],
    "another id": [body, { ...headers, "webhook-id": `${headers["webhook-id"]}x` }],
    "another time": [body, { ...headers, "webhook-timestamp": old }],
  };
  const wrong = Object.keys(forged).filter((what) => !refuses(...forged[what])).map((what) => `${what} passes: ${body}`);
  return { path, id: headers["webhook-id"], message, wrong };
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("utf8");
    try {
      parentPort.postMessage(take(request.url, body, request.headers));
    } catch (error) {
      parentPort.postMessage({ wrong: [`${error.message}: ${body}`] });
    }
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ decision: "allow", claims: { live: true } }));
  });
});
server.listen(workerData.port, "127.0.0.1", () => parentPort.postMessage("listening"));
