// A check, as ../run wants it told; and the tokens that are given.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { work } from "../../live/program.mjs";

/** What ../mint.mjs wrote. */
export const given = JSON.parse(readFileSync(join(work, "tokens.json"), "utf8"));

/** Runs one check, and prints how it ended; gives what the check gives. */
export async function check(name, body) {
  try {
    const value = await body();
    console.log(`ok ${name}`);
    return value;
  } catch (error) {
    process.exitCode = 1;
    console.log(`not ok ${name}: ${`${error?.message ?? error}`.replaceAll("\n", " ")}`);
    return undefined;
  }
}

/** Asserts that a refusal has these words: what is refused for another reason was never judged by what is wrong with it. */
export function assertRefused(answer, because) {
  assert.ok(answer.error, "it was taken");
  assert.ok(answer.error.includes(because), `refused, but not because of "${because}": ${answer.error.slice(0, 500)}`);
}

const docs = new URL("../../../docs/bridges/", import.meta.url);

/** What a page of the docs says to paste at a place, for this run's server, with changes; what they name must be in it. */
export function pasted(page, place, changes = []) {
  const text = readFileSync(new URL(`${page}.md`, docs), "utf8").split(`\n${place}:\n\n`)[1]?.split("```")[1]?.replace(/^\w*\n/, "");
  if (!text) throw new Error(`docs/bridges/${page}.md has nothing to paste for ${place}`);
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`what docs/bridges/${page}.md has for ${place} says ${from} no more`);
    return changed.replaceAll(from, to);
  }, text.replaceAll("https://id.example.com", given.origin));
}

/** Waits until a token that lives briefly is over, and some seconds more. */
export async function expired(bridge, more = 1) {
  const token = given.tokens[bridge];
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  await new Promise((resolve) => setTimeout(resolve, (exp + more) * 1000 - Date.now()));
  return token;
}
