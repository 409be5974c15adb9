// Checks, printed in the format that ../run reads, and the tokens of this run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { work } from "../../live/program.mjs";

/** What ../mint.mjs wrote. */
export const given = JSON.parse(readFileSync(join(work, "tokens.json"), "utf8"));

/** Runs one check and prints its result; returns what the check returns. */
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

/**
 * Asserts that a refusal contains these words: a token refused for another reason was never judged by its actual flaw.
 */
export function assertRefused(answer, because) {
  assert.ok(answer.error, "it was taken");
  assert.ok(answer.error.includes(because), `refused, but not because of "${because}": ${answer.error.slice(0, 500)}`);
}

const docs = new URL("../../../docs/bridges/", import.meta.url);

/**
 * Returns what a docs page says to paste at a place, for this run's server, with changes; throws if a text to replace
 * is missing.
 */
export function pasted(page, place, changes = []) {
  const text = readFileSync(new URL(`${page}.md`, docs), "utf8").split(`\n${place}:\n\n`)[1]?.split("```")[1]?.replace(/^\w*\n/, "");
  if (!text) throw new Error(`docs/bridges/${page}.md has nothing to paste for ${place}`);
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`what docs/bridges/${page}.md has for ${place} says ${from} no more`);
    return changed.replaceAll(from, to);
  }, text.replaceAll("https://id.example.com", given.origin));
}

/** Waits until a short-lived token has expired, plus some seconds, and returns it. */
export async function expired(bridge, more = 1) {
  const token = given.tokens[bridge];
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  await new Promise((resolve) => setTimeout(resolve, (exp + more) * 1000 - Date.now()));
  return token;
}
