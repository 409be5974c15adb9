// ./run starts it. Both parts run at once: most of the time passes while servers start and tokens expire.
import { check } from "./check.mjs";

/** An error that a part throws outside its checks counts as a failure of its own. */
async function whole(name) {
  const problem = await import(`./${name}.mjs`).then((part) => part[name]()).then(() => undefined, (error) => error);
  if (problem) await check(name, () => { throw problem; });
}

await Promise.all(["kafka", "trino"].map(whole));
process.exit();
