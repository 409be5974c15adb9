// A minimal test runner: named checks in order, one final line, and a non-zero exit status if anything failed.
let passed = 0;
let failed = 0;

/** Runs one check. A failure is printed and counted, and the next check still runs. Returns what the check returns. */
export async function check(name, body) {
  try {
    const value = await body();
    passed += 1;
    console.log(`ok    ${name}`);
    return value;
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${told(error).split("\n").join("\n      ")}`);
    return undefined;
  }
}

/**
 * Returns the text of an error; an OAuth library keeps the server's answer beside the message, or in a nested error.
 */
function told(error) {
  const said = error?.error ? `: ${error.error} (${error.error_description})` : "";
  const behind = error?.actual instanceof Error ? `\n${told(error.actual)}` : "";
  return `${error?.message ?? error}${said}${behind}`;
}

/** Prints the final line and ends the process. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}
