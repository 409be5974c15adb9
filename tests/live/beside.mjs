// The example "passkeys beside your own sign-in" as a whole: started by its one command, used in a browser.
import assert from "node:assert/strict";

import { launch } from "./browser.mjs";
import { check } from "./harness.mjs";

export async function beside(origin) {
  const { page, close } = await launch();
  // The requests that the page sends to its own backend, so that the test can replay them.
  const sent = [];
  page.on("request", (request) => request.method() === "POST" && request.url().startsWith(`${origin}/api/`) && sent.push(request));
  const last = (path) => sent.findLast((request) => request.url() === origin + path).postDataJSON();
  const says = (words) => page.locator("#said", { hasText: words }).waitFor({ timeout: 20_000 });
  const again = (path, body) => page.evaluate(async ([path, body]) => {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    return answer.status;
  }, [path, body]);
  const signIn = async (password) => {
    await page.fill("#login [name=login]", "ada");
    await page.fill("#login [name=password]", password);
    await page.click("#login button");
  };
  try {
    await page.goto(origin);

    await check("notes: a wrong password opens nothing, the right one a session of the app's own", async () => {
      await signIn("wrong");
      await says("Wrong name or password.");
      await signIn("correct horse");
      await says("Signed in with the password.");
      assert.equal(await page.textContent("#name"), "Ada Lovelace");
    });

    await check("notes: without a passkey nothing is confirmed with one", async () => {
      await page.fill("#change [name=password]", "too early by far");
      await page.click("#change button");
      await says("Add a passkey first.");
    });

    await check("notes: somebody signed in adds a passkey by an action token", async () => {
      await page.click("#add");
      await says("Passkey added.");
    });

    await check("notes: a result counts once, and only for the session that asked", async () => {
      assert.equal(await again("/api/passkeys/added", last("/api/passkeys/added")), 401);
    });

    await check("notes: a second passkey over the first is refused, as the backend has no right to it", async () => {
      await page.click("#add");
      await says("You have a passkey already.");
    });

    await check("notes: the passkey signs in, by a custom token, to a session of the app's own", async () => {
      await page.click("#logout");
      await says("Signed out.");
      await page.click("#passkey");
      await says("Signed in with a passkey.");
      assert.equal(await page.textContent("#name"), "Ada Lovelace");
    });

    await check("notes: the custom token counts once, and an altered one not at all", async () => {
      const { token } = last("/api/passkeys/login");
      assert.equal(await again("/api/passkeys/login", { token }), 400);
      assert.equal(await again("/api/passkeys/login", { token: token.slice(0, -4) + "AAAA" }), 400);
    });

    await check("notes: changing the password wants the passkey, and the new one is taken", async () => {
      assert.equal(await again("/api/password", { password: "stolen cookie" }), 401);
      await page.fill("#change [name=password]", "battery staple");
      await page.click("#change button");
      await says("Password changed.");
      await page.click("#logout");
      await says("Signed out.");
      await signIn("correct horse");
      await says("Wrong name or password.");
      await signIn("battery staple");
      await says("Signed in with the password.");
    });
  } finally {
    await close();
  }
}
