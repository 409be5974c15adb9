// Started by ./run, which has started everything else.
import { readFileSync } from "node:fs";

import { emulator } from "./emulator.mjs";
import { check, finish } from "./harness.mjs";
import { server } from "./server.mjs";

const account = JSON.parse(readFileSync(process.env.SERVICE_ACCOUNT_FILE, "utf8"));
await emulator(account);
if (process.env.PASSMINT_URL) {
  const problem = await server(process.env.PASSMINT_URL, account).then(() => undefined, (error) => error);
  if (problem) await check("the browser", () => { throw problem; });
}
finish();
