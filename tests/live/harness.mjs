// A test runner of twenty lines: named checks in order, one final line, a non-zero exit when anything failed.
let passed = 0;
let failed = 0;

/** Runs one check; a failure is printed and counted, and the rest still runs. Gives what the check gives. */
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

/** What an error says; an OAuth library keeps what the server said beside the message, or behind another error. */
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
