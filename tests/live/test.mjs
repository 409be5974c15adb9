// The entry point. ./run starts it, after everything else is running.
import { readFileSync } from "node:fs";

import { beside } from "./beside.mjs";
import { databaseTls } from "./database-tls.mjs";
import { emulator } from "./emulator.mjs";
import { forward } from "./forward.mjs";
import { check, finish } from "./harness.mjs";
import { openid } from "./openid.mjs";
import { recipe } from "./recipe.mjs";
import { server } from "./server.mjs";
import { targets } from "./targets.mjs";
import { receiver } from "./webhooks.mjs";

const account = JSON.parse(readFileSync(process.env.SERVICE_ACCOUNT_FILE, "utf8"));
const { PART: part, PASSMINT_URL: url } = process.env;

/** Runs a part; an error that it throws outside its checks counts as a failure of its own. */
async function whole(name, body) {
  const problem = await body().then(() => undefined, (error) => error);
  if (problem) await check(name, () => { throw problem; });
}

if (part !== "targets") await emulator(account);
let receives;
if (part === "all") receives = await receiver(Number(process.env.WEBHOOK_PORT), process.env.WEBHOOK_SECRET_FILE);
const clients = part === "emulator" ? {} : JSON.parse(readFileSync(process.env.CLIENTS_FILE, "utf8"));
if (["all", "firebase"].includes(part)) {
  await whole("the browser", () => server(url, account));
  await whole("the guide", () => recipe(url, clients.functions));
}
if (part === "all") {
  await whole("the relying party", () => openid(url, clients));
  await whole("the proxies", () => forward(url, JSON.parse(process.env.PROXY_PORTS)));
  await whole("the example", () => beside(process.env.NOTES_URL));
}
if (["all", "targets"].includes(part)) await whole("the bridges' targets", () => targets(url));
if (part === "all") await whole("TLS to the database", () => databaseTls(process.env.DB_TLS_BINARY, process.env.PASSMINT));
if (receives) await whole("the webhooks", receives);
finish();
