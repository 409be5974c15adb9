// What a bridge's page in docs/bridges tells people to paste, for the tests that do.
import { readFileSync } from "node:fs";

/** The block after a page's line that begins so, with the names of this run; each that is named must be in it. */
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
