// Somebody with a passkey in front of a browser, who goes where the suite sends them and does what the pages ask for.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

/** How long a page may take to lead on, in milliseconds. */
const PATIENCE = 60_000;

/** Where a picture is taken: of a page that asks something, or of one that leads nowhere, an error or "you are signed out". */
export const ON_THE_WAY = "on the way";
export const AT_THE_END = "at the end";

export class Person {
  /** At the browser, with the passkey of the file; without one they sign up first, and `whoever` is told their id. */
  static async sit(issuer, file, whoever) {
    const person = new Person();
    const args = ["--ignore-certificate-errors", "--disable-dev-shm-usage", "--disable-gpu", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])];
    // A fresh profile that sends cookies to frames of other sites, which session management needs.
    person.profile = mkdtempSync(join(tmpdir(), "passmint-person-"));
    mkdirSync(join(person.profile, "Default"));
    const settings = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } };
    writeFileSync(join(person.profile, "Default", "Preferences"), JSON.stringify(settings));
    const options = { executablePath: process.env.CHROMIUM, headless: true, args, ignoreHTTPSErrors: true, locale: "en-GB" };
    person.context = await chromium.launchPersistentContext(person.profile, options);
    // A prompt is opened by the button alone, so that pages can be looked at before they lead on.
    await person.context.addInitScript(() => {
      if (globalThis.PublicKeyCredential) PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: false });
      // Nobody gives a prompt up in less than a second: what fails at once is taken for a view that has no prompts.
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
      // It counts on from the clock, so that no use is lost between two browsers.
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

  /** Writes the passkey down. */
  async keeps() {
    const { credentials } = await this.devtools.send("WebAuthn.getCredentials", { authenticatorId: this.authenticator });
    writeFileSync(this.file, JSON.stringify(credentials[0]), { mode: 0o600 });
  }

  /** Leaves; cookies are forgotten. */
  async goes() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }

  /** Opens an address as the suite asks for it, and does what the pages want until they lead to nothing more. */
  async visits({ url, method }, { looks, refuses, asksAbout, picture, over }) {
    if (refuses) await this.takesBackWhatWasAllowed();
    // Who is signed in would be sent on at once.
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

  /** As a form of another site does it. */
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

  /** A picture of the whole page; a browser that is busy elsewhere is asked again. */
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

  /** Presses a button and waits for the page that it leads to. */
  async presses(selector) {
    const button = await this.page.$(selector).catch(() => undefined);
    if (!button) return;
    // Nobody waits for the click: where the page is left before the finger is up, the browser never says that it was.
    button.click({ timeout: PATIENCE }).catch(() => {});
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      const gone = await button.evaluate(() => false).catch(() => true);
      if (gone) return;
      await this.page.waitForTimeout(50);
    }
  }
}
