// What a page in docs/bridges tells readers to paste, for the tests that paste it.
import { readFileSync } from "node:fs";

/**
 * Returns the block after the line of a page that begins with `place`, with this run's changes; throws if a text to
 * replace is missing.
 */
export function pasted(page, place, changes) {
  const text = readFileSync(new URL(`../../docs/bridges/${page}.md`, import.meta.url), "utf8");
  const [, ...after] = text.split(`\n${place}`);
  let block = after.join(place).match(/^[^\n]*:\n\n```\w+\n(.*?)```\n/s)?.[1];
  for (const [from, to] of changes) {
    if (!block?.includes(from)) throw new Error(`docs/bridges/${page}.md: the block «${place}» says ${from} no more`);
    block = block.replaceAll(from, to);
  }
  return block;
}
