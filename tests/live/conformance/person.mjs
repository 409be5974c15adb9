// A person with a passkey in a browser, who opens the pages that the suite asks for and does what they require.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

/** How long a page may take until it leads to the next one, in milliseconds. */
const PATIENCE = 60_000;

/**
 * Where a screenshot is taken: of a page that asks something, or of a final page, which is an error or "you are signed
 * out".
 */
export const ON_THE_WAY = "on the way";
export const AT_THE_END = "at the end";

export class Person {
  /**
   * Starts the browser, with the passkey from the file. Without a file the person signs up first, and `whoever` is
   * called with their id.
   */
  static async sit(issuer, file, whoever) {
    const person = new Person();
    const args = ["--ignore-certificate-errors", "--disable-dev-shm-usage", "--disable-gpu", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])];
    // A fresh profile that sends cookies to frames of other sites, as session management requires.
    person.profile = mkdtempSync(join(tmpdir(), "passmint-person-"));
    mkdirSync(join(person.profile, "Default"));
    const settings = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } };
    writeFileSync(join(person.profile, "Default", "Preferences"), JSON.stringify(settings));
    const options = { executablePath: process.env.CHROMIUM, headless: true, args, ignoreHTTPSErrors: true, locale: "en-GB" };
    person.context = await chromium.launchPersistentContext(person.profile, options);
    // Only the button opens a prompt, so that a screenshot can be taken before the page moves on.
    await person.context.addInitScript(() => {
      if (globalThis.PublicKeyCredential) PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: false });
      // No person cancels a prompt within a second: the page takes an immediate failure for a web view without passkey
      // prompts.
      const prompt = navigator.credentials?.get.bind(navigator.credentials);
      if (prompt) navigator.credentials.get = (options) =>
        prompt(options).catch((error) => new Promise((_, reject) => { setTimeout(reject, 1000, error); }));
    });
    [person.page] = person.context.pages();
    person.devtools = await person.context.newCDPSession(person.page);
    Object.assign(person, { issuer, file });
    await person.devtools.send("WebAuthn.enable");
    const kind = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
    person.authenticator = (await person.devtools.send("WebAuthn.addVirtualAuthenticator", { options: kind })).authenticatorId;
    if (existsSync(file)) {
      // The counter continues from the clock, so it never falls behind what another browser has sent.
      const credential = { ...JSON.parse(readFileSync(file, "utf8")), signCount: Math.floor(Date.now() / 1000) };
      await person.devtools.send("WebAuthn.addCredential", { authenticatorId: person.authenticator, credential });
    } else {
      await whoever(await person.signsUp());
    }
    return person;
  }

  async signsUp() {
    await this.page.goto(this.issuer);
    await this.page.click("#pk button");
    await this.page.click("text=I am new: create a passkey");
    await this.page.click("#new button[type=submit]");
    await this.page.waitForURL(`${this.issuer}/account**`);
    await this.keeps();
    return this.page.evaluate(async () => (await (await fetch("/v1/session")).json()).user.id);
  }

  /** Writes the passkey to the file. */
  async keeps() {
    const { credentials } = await this.devtools.send("WebAuthn.getCredentials", { authenticatorId: this.authenticator });
    writeFileSync(this.file, JSON.stringify(credentials[0]), { mode: 0o600 });
  }

  /** Closes the browser; the cookies are lost. */
  async goes() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }

  /** Opens an address the way the suite asks for it, and does what the pages require until nothing more follows. */
  async visits({ url, method }, { looks, refuses, asksAbout, picture, over }) {
    if (refuses) await this.takesBackWhatWasAllowed();
    // A person who is signed in would be redirected at once.
    if (looks) await this.context.clearCookies();
    if (method === "POST") await this.posts(url);
    else await this.page.goto(url, { waitUntil: "domcontentloaded" }).catch(() => {});
    if (looks) return;
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      if (await over()) return;
      if (!this.page.url().startsWith(this.issuer)) {
        if (await this.sees("#submission_complete, #complete")) return;
      } else if (await this.sees("#pk button[type=submit]")) {
        if (!asksAbout) await picture(ON_THE_WAY, () => this.looks());
        await this.presses("#pk button[type=submit]");
        continue;
      } else if (await this.sees("button[name=decision]")) {
        await picture(ON_THE_WAY, () => this.looks());
        if (asksAbout) return;
        await this.presses(`button[name=decision]${refuses ? "[value=deny]" : ":not([value=deny], [value=stay], [value=another])"}`);
        continue;
      } else if (await this.sees(".request-id, [data-signed-out]") && !(await this.sees("meta[http-equiv=refresh]"))) {
        await picture(AT_THE_END, () => this.looks());
        return;
      }
      await this.page.waitForTimeout(100);
    }
    throw new Error(`nothing more happened at ${this.page.url().split("?")[0]}`);
  }

  /** Posts the parameters as a form of another site. */
  async posts(address) {
    const { origin, pathname, searchParams } = new URL(address);
    await this.page.goto("about:blank");
    await this.page.evaluate(([action, fields]) => {
      const form = Object.assign(document.createElement("form"), { method: "post", action });
      for (const [name, value] of fields) form.append(Object.assign(document.createElement("input"), { name, value }));
      document.body.append(form);
      form.submit();
    }, [origin + pathname, [...searchParams]]);
    await this.page.waitForURL(`${this.issuer}/**`).catch(() => {});
  }

  async takesBackWhatWasAllowed() {
    await this.page.goto(`${this.issuer}/account/apps`);
    if (await this.sees("#pk button[type=submit]")) await this.presses("#pk button[type=submit]");
    await this.page.waitForURL(`${this.issuer}/account/apps`);
    while (await this.sees(".btn-remove")) await this.presses(".btn-remove");
  }

  /** Takes a screenshot of the whole page; repeats it if the browser is busy. */
  async looks(tries = 3) {
    try {
      return await this.page.screenshot({ fullPage: true, timeout: 5000 });
    } catch (error) {
      if (tries <= 1) throw error;
      return this.looks(tries - 1);
    }
  }

  async sees(selector) {
    return (await this.page.$$(selector).catch(() => [])).length > 0;
  }

  /** Presses a button and waits for the page that follows. */
  async presses(selector) {
    const button = await this.page.$(selector).catch(() => undefined);
    if (!button) return;
    // The click is not awaited: if the page is left before the mouse button is up, the browser never reports the click
    // as done.
    button.click({ timeout: PATIENCE }).catch(() => {});
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      const gone = await button.evaluate(() => false).catch(() => true);
      if (gone) return;
      await this.page.waitForTimeout(50);
    }
  }
}
