// Started by ./run. Both at once: most of the time goes by while servers start and tokens end.
import { check } from "./check.mjs";

/** What a part throws beside its checks is a failure of its own. */
async function whole(name) {
  const problem = await import(`./${name}.mjs`).then((part) => part[name]()).then(() => undefined, (error) => error);
  if (problem) await check(name, () => { throw problem; });
}

await Promise.all(["kafka", "trino"].map(whole));
process.exit();
