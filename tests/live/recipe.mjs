// The guide docs/recipes/firebase-and-supabase.md, run with its own code: an existing user of a Firebase project
// creates a passkey, and signs in with it as the same user.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { ceremony, open } from "./browser.mjs";
import { assertIdToken, makeUser, signIn, verifyIdToken } from "./firebase.mjs";
import { check } from "./harness.mjs";

const guide = readFileSync(new URL("../../docs/recipes/firebase-and-supabase.md", import.meta.url), "utf8");
const RESULT = { kind: "bridge", clientId: "quickstart", bridge: "firebase-people" };

/**
 * Returns the block of the guide's code that contains these words, with this run's changes; throws if a text to replace
 * is missing.
 */
function block(words, changes) {
  let text = guide.split("```js\n").slice(1).map((rest) => rest.split("```")[0]).find((code) => code.includes(words));
  for (const [from, to] of changes) {
    if (!text?.includes(from)) throw new Error(`the guide's code with ${words} says ${from} no more`);
    text = text.replaceAll(from, to);
  }
  return text;
}

export async function recipe(origin, { id, secret }) {
  const here = [["https://id.example.com", origin]];
  const { enrolment } = await import(`data:text/javascript,${encodeURIComponent(block("// passmint.mjs", here))}`);
  const { page, close } = await open(origin);
  try {
    const ada = await makeUser({ email: "ada@example.com", password: "correct horse", displayName: "Ada" });
    const script = block("makePasskey(token)", [...here, ["export ", ""]])
      + block("signInWithCustomToken(getAuth()", [["clientId: \"web\", bridge: \"firebase\"", "clientId: \"quickstart\", bridge: \"firebase-people\""], ["export ", ""]])
        .replace(/^import .*$/gm, "");
    await page.addScriptTag({ content: script });
    // Stand-ins for the Firebase SDK in the page; here only the token matters.
    await page.exposeFunction("enrolment", () => enrolment(id, secret, ada.uid, ada.displayName));
    await page.evaluate(() => Object.assign(globalThis, {
      getAuth: () => null, getFunctions: () => null, signInWithCustomToken: (_, token) => token,
      httpsCallable: (_, name) => async () => ({ data: { token: name === "addPasskey" && await globalThis.enrolment() } }),
    }));

    await check("guide: somebody in a Firebase project makes a passkey, by the function's action token", async () => {
      assert.equal((await page.evaluate(() => globalThis.addPasskey())).kind, "enrolled");
    });

    await check("guide: the passkey signs them in to Firebase, as the user who was there", async () => {
      const { idToken, claims } = await signIn(await page.evaluate(() => globalThis.signIn()));
      assertIdToken(claims, ada.uid);
      assert.equal(claims.email, "ada@example.com");
      assert.equal((await verifyIdToken(idToken)).uid, ada.uid);
    });

    await check("guide: the function's secret puts no second passkey beside it", async () => {
      await assert.rejects(enrolment(id, secret, ada.uid, "Ada"), (error) => error.code === "enrol_over_existing");
    });
  } finally {
    await close();
  }

  const stranger = await open(origin);
  try {
    await check("guide: who is not of the project gets no token", async () => {
      assert.equal((await ceremony(stranger.page, "registration", { name: "Stranger" })).verified.status, 200);
      const { verified } = await ceremony(stranger.page, "authentication", { result: RESULT });
      assert.deepEqual([verified.status, verified.body.code], [403, "forbidden"]);
    });
  } finally {
    await stranger.close();
  }
}
