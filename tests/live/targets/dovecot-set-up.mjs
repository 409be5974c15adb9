// A Dovecot of this run's own, and a client of IMAP as far as signing in goes.
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

/** Signs in to IMAP; gives the connection, or throws the answer. */
export async function signIn(port, mechanism, name, secret) {
  const line = talk(port);
  await line.hear(/^\* OK .*\r\n/);
  line.say(`a AUTHENTICATE ${mechanism} ${SASL[mechanism](name, secret)}\r\n`);
  let [answer] = await line.hear(/^(a|\+) .*\r\n/m);
  if (answer.startsWith("+")) {
    // What was wrong, in JSON: the client takes note, and then it is refused (RFC 7628 §3.2.3).
    line.say("\r\n");
    [answer] = await line.hear(/^a .*\r\n/m);
  }
  if (answer.startsWith("a OK")) return line;
  line.end();
  throw new Error(answer);
}

/** The page's command, for a bridge. */
export function fetchKeys(origin, bridge) {
  const command = pasted("dovecot", "The keys", [
    ["/etc/dovecot", directory], ["https://id.example.com", origin], ["/v1/bridges/dovecot/", `/v1/bridges/${bridge}/`],
  ]);
  run(["sh", "-c", `umask 022\n${command}`], { env: { PATH: process.env.PATH } });
}

/** Whether this Dovecot looks at `aud`: which do, the page says, and its library has the words for a refusal. */
export function looksAtAudience() {
  const library = find("libdovecot.so.0", "install the package dovecot-imapd", "/usr/lib/dovecot/libdovecot.so.0");
  return readFileSync(library).includes("client_id not found in aud");
}

export async function boot(origin) {
  const program = find("dovecot", "install the package dovecot-imapd");
  const port = await freePort();
  mkdirSync(join(directory, "mail"), { recursive: true });
  const place = [["/etc/dovecot", directory]];
  const [file, page] = ["dovecot.conf", "dovecot-oauth2.conf.ext"].map((name) => join(directory, name));
  writeFileSync(file, `${settings(port)}\n${pasted("dovecot", "conf.d/10-auth.conf", place)}`);
  writeFileSync(page, pasted("dovecot", "dovecot-oauth2.conf.ext", [["https://id.example.com", origin], ...place]));
  // Where the parent is root, its parts run as others.
  for (const [path, mode] of [[directory, 0o755], [page, 0o644], [join(directory, "mail"), 0o777]]) chmodSync(path, mode);
  await start("dovecot", [program, "-F", "-c", file], {}, port);
  return port;
}

/** What is not on the page: where things are, a password for PLAIN, and that no failure slows down the next try. */
const settings = (port) => `
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = /dev/stderr
auth_verbose = yes
auth_failure_delay = 0
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:${directory}/mail/%u
passdb {
  driver = static
  mechanisms = plain
  args = password=live-password
}
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
${process.getuid() === 0 ? asRoot() : asAnybody()}`;

// No mail belongs to root.
const asRoot = () => userdb("nobody", group("nobody"));

const asAnybody = () => {
  const user = run(["id", "-un"]).trim();
  return `
default_internal_user = ${user}
default_login_user = ${user}
default_internal_group = ${group(user)}
first_valid_uid = 1
service imap-login {
  chroot =
}
service anvil {
  chroot =
}
${userdb(user, group(user))}`;
};

const group = (user) => run(["id", "-gn", user]).trim();

const userdb = (user, group) => `userdb {
  driver = static
  args = uid=${user} gid=${group} home=${directory}/mail/%u
}
`;
