// Started by ./run, which has started everything else.
import { readFileSync } from "node:fs";

import { beside } from "./beside.mjs";
import { emulator } from "./emulator.mjs";
import { check, finish } from "./harness.mjs";
import { openid } from "./openid.mjs";
import { server } from "./server.mjs";

const account = JSON.parse(readFileSync(process.env.SERVICE_ACCOUNT_FILE, "utf8"));
await emulator(account);
if (process.env.PASSMINT_URL) {
  const problem = await server(process.env.PASSMINT_URL, account).then(() => undefined, (error) => error);
  if (problem) await check("the browser", () => { throw problem; });
  const clients = JSON.parse(readFileSync(process.env.CLIENTS_FILE, "utf8"));
  const other = await openid(process.env.PASSMINT_URL, clients).then(() => undefined, (error) => error);
  if (other) await check("the relying party", () => { throw other; });
}
if (process.env.NOTES_URL) {
  const example = await beside(process.env.NOTES_URL).then(() => undefined, (error) => error);
  if (example) await check("the example", () => { throw example; });
}
finish();
