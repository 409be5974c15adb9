// Runs plans of the OpenID Foundation's conformance suite against a running Passmint, with somebody in front of a browser:
//
//   node tests/live/conformance/run.mjs <folder> [plan[:module]…]
//
// SUITE and ISSUER are the addresses of both, PASSMINT the binary, CONFIG the server's configuration, CHROMIUM the browser.
// The folder keeps the person's passkey and gets a report of each plan. docs/reference/conformance.md says how all is started.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Person } from "./person.mjs";
import { Suite, ended } from "./suite.mjs";

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) throw new Error("say in which folder the reports shall be");
const { SUITE, ISSUER, PASSMINT, CONFIG } = process.env;
const { plans, configurations } = JSON.parse(readFileSync(new URL("plans.json", import.meta.url), "utf8"));
const suite = new Suite(SUITE);

/** How long a module may take, in milliseconds: some wait for a minute. */
const PATIENCE = 240_000;

/** What the person is like: a value for every standard claim. */
const CLAIMS = {
  name: "Ada Lovelace", given_name: "Ada", family_name: "Lovelace", middle_name: "King", nickname: "ada",
  preferred_username: "ada", profile: "https://ada.example/", picture: "https://ada.example/picture.png",
  website: "https://ada.example/", gender: "female", birthdate: "1975-12-10", zoneinfo: "Europe/London", locale: "en-GB",
  email: "ada@id.op.test", email_verified: "true", phone_number: "+442079460000", phone_number_verified: "true",
  "address.street_address": "12 St James's Square", "address.locality": "London", "address.postal_code": "SW1Y 4JH",
  "address.country": "GB",
};

const command = (...words) => execFileSync(PASSMINT, [...words, "--config", CONFIG], { encoding: "utf8" });
const pause = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

/** A fresh browser with the person's passkey; the first time they sign up and get their claims. */
function sitDown() {
  const claims = Object.entries(CLAIMS).flatMap(([name, value]) => ["--claim", `${name}=${value}`]);
  return Person.sit(ISSUER, join(folder, "passkey.json"), (id) => command("users", "set", id, ...claims));
}

/** One module from its start to its end. */
async function run(plan, { testModule, variant }) {
  const id = await suite.start(plan, testModule, variant);
  const person = await sitDown();
  try {
    await attend(id, testModule, person);
  } finally {
    await person.goes();
  }
  return suite.result(id);
}

/** Opens the pages that the module asks for, and sends pictures where it wants some. */
async function attend(id, testModule, person) {
  const over = async () => ended((await suite.state(id)).status);
  const picture = async (take) => {
    for (const place of await suite.pictures(id)) await suite.send(id, place, await take());
  };
  let visits = 0;
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
      // Nobody signs in before the second visit.
      looks: testModule.includes("reused-request-uri-prior-to-auth") && visits === 0,
      // Logo and links are on the page that asks, not on the one before.
      asksAbout: testModule.startsWith("oidcc-registration-"),
      picture,
      over,
    });
    visits += 1;
  }
}

/** All modules of a plan, or those named; prints what is no success, and writes the report. */
async function runPlan({ name, plan, variant, configuration }, only) {
  const { id, modules } = await suite.plan(plan, variant, configurations[configuration]);
  const results = [];
  for (const module of modules.filter(({ testModule }) => !only.length || only.includes(testModule))) {
    const failed = (error) => ({ result: "ERROR", told: [error.message] });
    const { result, told, ...rest } = await run(id, module).catch(failed);
    results.push({ module: module.testModule, result, told, ...rest });
    console.log([`${result.padEnd(11)} ${name} ${module.testModule}`, ...told].join("\n            "));
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(results, null, 1));
  }
  const count = new Map();
  for (const { result } of results) count.set(result, (count.get(result) ?? 0) + 1);
  const counts = [...count].map(([result, many]) => `${many} ${result}`).join(", ");
  console.log(`== ${name}: ${counts}   ${SUITE}/plan-detail.html?plan=${id}`);
}

mkdirSync(folder, { recursive: true });
for (const plan of plans) {
  const asked = wanted.map((one) => one.split(":")).filter(([name]) => name === plan.name);
  if (wanted.length === 0 || asked.length > 0) await runPlan(plan, asked.flatMap(([, module]) => module ?? []));
}
