// A page at Passmint's origin with the unmodified SimpleWebAuthn browser library, and a virtual authenticator.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

// The file that the package offers to pages without a bundler ("unpkg").
const library = new URL("node_modules/@simplewebauthn/browser/dist/bundle/index.umd.min.js", import.meta.url);

/** Starts a browser with a passkey manager; `flags` are added to the usual ones. Returns `{ page, close }`. */
export async function launch(flags = []) {
  // Root cannot set up Chromium's own sandbox.
  const args = [...flags, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args });
  const page = await (await browser.newContext()).newPage();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return { page, close: () => browser.close() };
}

/** Opens the page; returns `{ page, close }`. */
export async function open(origin, flags) {
  const { page, close } = await launch(flags);
  // The document is the test's own, so no policy of the server's pages applies to it; every request it makes is real.
  await page.route(`${origin}/__live`, (route) =>
    route.fulfill({ contentType: "text/html", body: "<!doctype html><title>live</title><body>" }));
  await page.goto(`${origin}/__live`);
  await page.addScriptTag({ content: readFileSync(library, "utf8") });
  return { page, close };
}

/** Runs one ceremony in the page: options → SimpleWebAuthn → verify. Returns `{ status, body }` of each step. */
export function ceremony(page, kind, optionsBody) {
  return page.evaluate(async ([kind, optionsBody]) => {
    const post = async (path, body) => {
      const response = await fetch(`/v1/passkeys/${kind}/${path}`, {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
      });
      const text = await response.text();
      let parsed = null;
      try { parsed = JSON.parse(text); } catch { parsed = { unreadable: text.slice(0, 500) }; }
      return { status: response.status, body: parsed };
    };
    const options = await post("options", optionsBody);
    if (options.status !== 200) return { options };
    const { startRegistration, startAuthentication } = globalThis.SimpleWebAuthnBrowser;
    const start = kind === "registration" ? startRegistration : startAuthentication;
    const credential = await start({ optionsJSON: options.body.publicKey });
    const finish = { ceremonyId: options.body.ceremonyId, credential };
    const verified = await post("verify", finish);
    return { options, verified, finish };
  }, [kind, optionsBody]);
}
