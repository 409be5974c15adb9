// A private Dovecot, and an IMAP client that can only sign in.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { pasted } from "../pasted.mjs";
import { find, freePort, run, start, work } from "../program.mjs";
import { talk } from "../talk.mjs";

export const directory = join(work, "dovecot");
const base64 = (text) => Buffer.from(text).toString("base64");
const SASL = {
  OAUTHBEARER: (name, token) => base64(`n,a=${name},\x01host=localhost\x01auth=Bearer ${token}\x01\x01`),
  XOAUTH2: (name, token) => base64(`user=${name}\x01auth=Bearer ${token}\x01\x01`),
  PLAIN: (name, password) => base64(`\0${name}\0${password}`),
};

/** Signs in to IMAP; returns the connection, or throws the answer. */
export async function signIn(port, mechanism, name, secret) {
  const line = talk(port);
  await line.hear(/^\* OK .*\r\n/);
  line.say(`a AUTHENTICATE ${mechanism} ${SASL[mechanism](name, secret)}\r\n`);
  let [answer] = await line.hear(/^(a|\+) .*\r\n/m);
  if (answer.startsWith("+")) {
    // The server sends the error in JSON; the client acknowledges it and is then refused (RFC 7628 §3.2.3).
    line.say("\r\n");
    [answer] = await line.hear(/^a .*\r\n/m);
  }
  if (answer.startsWith("a OK")) return line;
  line.end();
  throw new Error(answer);
}

/** Runs the page's command that fetches the keys, for a bridge. */
export async function fetchKeys(origin, bridge) {
  const command = pasted("dovecot", "The keys", [
    ["/etc/dovecot", directory], ["https://id.example.com", origin], ["/v1/bridges/dovecot/", `/v1/bridges/${bridge}/`],
  ]);
  await run(["sh", "-c", `umask 022\n${command}`], { env: { PATH: process.env.PATH } });
}

/**
 * Whether this Dovecot checks `aud`: the page says which versions do; a library that does contains the text of the
 * refusal.
 */
export function looksAtAudience() {
  const library = find("libdovecot.so.0", "install the package dovecot-imapd", "/usr/lib/dovecot/libdovecot.so.0");
  return readFileSync(library).includes("client_id not found in aud");
}

/** Whether this is Dovecot 2.3. Otherwise it is 2.4, whose settings have other names. */
export const is23 = async () => (await run([program(), "--version"])).startsWith("2.3.");

const program = () => find("dovecot", "install the package dovecot-imapd");

/** Starts a Dovecot that is configured as the page says for its version; returns its port. */
export async function boot(origin) {
  const port = await freePort();
  mkdirSync(join(directory, "mail"), { recursive: true });
  const [place, issuer] = [["/etc/dovecot", directory], ["https://id.example.com", origin]];
  const [file, page] = ["dovecot.conf", "dovecot-oauth2.conf.ext"].map((name) => join(directory, name));
  const mail = await owner();
  if (await is23()) {
    writeFileSync(file, `${common(port, mail)}${settings23(mail)}${pasted("dovecot", "Dovecot 2.3, in conf.d/10-auth.conf", [place])}`);
    writeFileSync(page, pasted("dovecot", "Dovecot 2.3, in dovecot-oauth2.conf.ext", [issuer, place]));
    chmodSync(page, 0o644);
  } else {
    writeFileSync(file, `${settings24(mail)}${common(port, mail)}${pasted("dovecot", "Dovecot 2.4, at the end of dovecot.conf", [issuer, place])}`);
  }
  // If the parent runs as root, its child processes run as other users.
  for (const [path, mode] of [[directory, 0o755], [join(directory, "mail"), 0o777]]) chmodSync(path, mode);
  await start("dovecot", [program(), "-F", "-c", file], {}, port);
  return port;
}

// The settings that are not on the page: paths, a password for PLAIN, and no delay after a failure.

/** The settings that both versions share. */
const common = (port, mail) => `
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = /dev/stderr
auth_verbose = yes
auth_failure_delay = 0
listen = 127.0.0.1
protocols = imap
ssl = no
auth_mechanisms = plain
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
${process.getuid() === 0 ? "" : asAnybody(mail)}`;

const asAnybody = ({ user, group }) => `
default_internal_user = ${user}
default_login_user = ${user}
default_internal_group = ${group}
first_valid_uid = 1
service imap-login {
  chroot =
}
service anvil {
  chroot =
}
`;

/** The owner of the mail, which must not be root. */
async function owner() {
  const user = process.getuid() === 0 ? "nobody" : (await run(["id", "-un"])).trim();
  return { user, group: (await run(["id", "-gn", user])).trim() };
}

const settings23 = ({ user, group }) => `
disable_plaintext_auth = no
mail_location = maildir:${directory}/mail/%u
passdb {
  driver = static
  mechanisms = plain
  args = password=live-password
}
userdb {
  driver = static
  args = uid=${user} gid=${group} home=${directory}/mail/%u
}
`;

const settings24 = ({ user, group }) => `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ${directory}/mail/%{user}
passdb static {
  mechanisms_filter = plain
  password = live-password
}
userdb static {
  fields {
    uid = ${user}
    gid = ${group}
    home = ${directory}/mail/%{user}
  }
}
`;
