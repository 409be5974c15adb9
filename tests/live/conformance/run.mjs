// Runs plans of the OpenID Foundation's conformance suite against a running Passmint, with a simulated person in a
// browser:
//
//   node tests/live/conformance/run.mjs <folder> [plan[:module]…]
//
// SUITE and ISSUER are the addresses of the two, PASSMINT is the binary, CONFIG the server's configuration, CHROMIUM
// the browser. The folder keeps the person's passkey and receives a report of each plan. docs/reference/conformance.md
// describes the set-up.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AT_THE_END, Person } from "./person.mjs";
import { Suite, ended } from "./suite.mjs";

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) throw new Error("say in which folder the reports shall be");
const { SUITE, ISSUER, PASSMINT, CONFIG } = process.env;
const { plans, configurations } = JSON.parse(readFileSync(new URL("plans.json", import.meta.url), "utf8"));
const suite = new Suite(SUITE);

/** How long a module may take, in milliseconds: some wait for a minute. */
const PATIENCE = 240_000;

/** How long the rest of a module's run may take: starting and closing the browser, and reading the suite's log. */
const GRACE = 60_000;

/** The person's claims: a value for every standard claim. */
const CLAIMS = {
  name: "Ada Lovelace", given_name: "Ada", family_name: "Lovelace", middle_name: "King", nickname: "ada",
  preferred_username: "ada", profile: "https://ada.example/", picture: "https://ada.example/picture.png",
  website: "https://ada.example/", gender: "female", birthdate: "1975-12-10", zoneinfo: "Europe/London", locale: "en-GB",
  email: "ada@id.op.test", email_verified: "true", phone_number: "+442079460000", phone_number_verified: "true",
  "address.street_address": "12 St James's Square", "address.locality": "London", "address.postal_code": "SW1Y 4JH",
  "address.country": "GB",
};

/**
 * What a module logs if it accepts a redirect as well as an error page, or if it wants the page after a sign-out. A
 * screenshot of an earlier page would be the wrong one, and would end the module before the answer.
 */
const WANTS_THE_END = /^If the server does not return|^The login page should be shown, if not|successful logout page/;

const command = (...words) => execFileSync(PASSMINT, [...words, "--config", CONFIG], { encoding: "utf8" });
const pause = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

/** Opens a fresh browser with the person's passkey; the first time, the person signs up and is given their claims. */
function sitDown() {
  const claims = Object.entries(CLAIMS).flatMap(([name, value]) => ["--claim", `${name}=${value}`]);
  return Person.sit(ISSUER, join(folder, "passkey.json"), (id) => command("users", "set", id, ...claims));
}

/** Runs one module from start to end. */
async function run(plan, { testModule, variant }) {
  const id = await suite.start(plan, testModule, variant);
  const person = await sitDown();
  let stuck;
  try {
    await attend(id, testModule, person);
  } catch (error) {
    stuck = error;
  } finally {
    await person.goes();
  }
  const said = await suite.result(id);
  if (stuck && !said.verdict) said.told.push(`stuck: ${stuck.message}`);
  return said;
}

/** Runs a module, and once more if the browser got stuck; a module that the suite has judged is never repeated. */
async function runOrAgain(plan, module) {
  const failed = (error) => ({ verdict: false, result: "ERROR", told: [error.message] });
  const within = () => Promise.race([run(plan, module), late()]).catch(failed);
  const first = await within();
  return first.verdict ? first : { ...await within(), again: `${first.result} ${first.told.join("; ")}` };
}

/** Fails when a module has taken longer than any may; a browser that hangs does not answer `close` either. */
function late() {
  return new Promise((_, fail) => setTimeout(() => fail(new Error("took too long")), PATIENCE + GRACE));
}

/** Opens the pages that the module asks for, and uploads the screenshots that it wants. */
async function attend(id, testModule, person) {
  const over = async () => ended((await suite.state(id)).status);
  const picture = async (where, take) => {
    for (const { place, msg } of await suite.pictures(id)) {
      if (where === AT_THE_END || !WANTS_THE_END.test(msg)) await suite.send(id, place, await take());
    }
  };
  const twice = testModule.includes("reused-request-uri-prior-to-auth");
  const visited = new Set();
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    const { status, next } = await suite.state(id);
    if (ended(status)) return;
    if (status === "CONFIGURED" && testModule === "oidcc-server-rotate-keys") {
      command("keys", "rotate");
      await pause(3000);
      await suite.go(id);
    }
    if (!next) {
      await pause(250);
      continue;
    }
    await suite.visited(id, next.url);
    await person.visits(next, {
      refuses: testModule.includes("user-rejects"),
      // Each of the module's two clients has its own address, and the person signs in only at the second visit to it.
      looks: twice && !visited.has(next.url),
      // Logo and links are on the consent page, not on the sign-in page before it.
      asksAbout: /^oidcc-registration-(logo|policy|tos)-uri$/.test(testModule),
      picture,
      over,
    });
    visited.add(next.url);
  }
}

/** Runs all modules of a plan, or the named ones; prints each result, and writes the report. */
async function runPlan({ name, plan, variant, configuration }, only) {
  const { id, modules } = await suite.plan(plan, variant, configurations[configuration]);
  const results = [];
  for (const module of modules.filter(({ testModule }) => !only.length || only.includes(testModule))) {
    const { result, told, verdict, ...rest } = await runOrAgain(id, module);
    results.push({ module: module.testModule, result, told, ...rest });
    const again = rest.again ? [`(the second time; the first: ${rest.again})`] : [];
    console.log([`${result.padEnd(11)} ${name} ${module.testModule}`, ...told, ...again].join("\n            "));
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(results, null, 1));
  }
  const count = new Map();
  for (const { result } of results) count.set(result, (count.get(result) ?? 0) + 1);
  const counts = [...count].map(([result, many]) => `${many} ${result}`).join(", ");
  const again = results.filter(({ again }) => again).length;
  console.log(`== ${name}: ${counts}${again ? ` (${again} the second time)` : ""}   ${SUITE}/plan-detail.html?plan=${id}`);
}

mkdirSync(folder, { recursive: true });
for (const plan of plans) {
  const asked = wanted.map((one) => one.split(":")).filter(([name]) => name === plan.name);
  if (wanted.length === 0 || asked.length > 0) await runPlan(plan, asked.flatMap(([, module]) => module ?? []));
}
// A browser that hangs, and timers that still run, must not delay the exit.
process.exit();
