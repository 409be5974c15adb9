// A private ejabberd, and an XMPP client that can only sign in.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { pasted } from "../pasted.mjs";
import { find, freePort, run, start, work } from "../program.mjs";
import { talk } from "../talk.mjs";

export const HOST = "chat.example.com";
/** A second host, whose key is a secret shared with the bridge. */
export const SHARED = "shared.example.com";
const directory = join(work, "ejabberd");
const file = join(directory, "ejabberd.yml");
const place = [["/etc/ejabberd", directory]];

/** Signs in with SASL PLAIN and binds a resource; returns the JID, or throws the failure. */
export async function signIn(port, { host, as, name, token }) {
  const line = talk(port);
  const open = `<?xml version="1.0"?><stream:stream to="${host}" version="1.0" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`;
  try {
    line.say(open);
    await line.hear(/<mechanism>PLAIN<\/mechanism>.*<\/stream:features>/s);
    const sasl = Buffer.from(`${as}\0${name}\0${token}`).toString("base64");
    line.say(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">${sasl}</auth>`);
    const [answer] = await line.hear(/<success[^>]*>|<failure.*<\/failure>/s);
    if (answer.startsWith("<failure")) throw new Error(answer);
    line.say(open);
    await line.hear(/<\/stream:features>/);
    line.say('<iq type="set" id="1"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>live</resource></bind></iq>');
    return (await line.hear(/<jid>(.*?)<\/jid>/))[1];
  } finally {
    line.end();
  }
}

/** Appends the page's settings to the configuration. */
export const configure = () => appendFileSync(file, pasted("ejabberd", "ejabberd.yml", place));

/**
 * Runs the page's command that fetches the key, for a bridge. HTTP replaces `ejabberdctl`, which uses Erlang's own
 * protocol.
 */
export async function fetchKey({ api }, origin, bridge) {
  const command = pasted("ejabberd", "The key", [
    ...place, ["https://id.example.com", origin], ["/v1/bridges/ejabberd/", `/v1/bridges/${bridge}/`],
    ["ejabberdctl reload_config", `curl -sf -d {} http://127.0.0.1:${api}/api/reload_config`],
  ]);
  await run(["sh", "-c", command], { env: { PATH: process.env.PATH } });
}

/** Starts it without the page's settings; returns its ports. */
export async function boot(secret) {
  // `ejabberdctl` starts it as another user in another folder; its script says where the libraries are.
  const script = readFileSync(find("ejabberdctl", "install the package ejabberd"), "utf8");
  const libraries = script.match(/^ERL_LIBS='(.+)'$/m)[1];
  const [xmpp, api] = [await freePort(), await freePort()];
  mkdirSync(directory);
  const key = join(directory, "shared.jwk");
  writeFileSync(key, JSON.stringify({ kty: "oct", k: Buffer.from(secret).toString("base64url") }), { mode: 0o600 });
  writeFileSync(file, `
hosts: [${HOST}, ${SHARED}]
host_config: { ${SHARED}: { jwt_key: ${key} } }
listen:
  - { port: ${xmpp}, ip: 127.0.0.1, module: ejabberd_c2s }
  - { port: ${api}, ip: 127.0.0.1, module: ejabberd_http, request_handlers: { /api: mod_http_api } }
api_permissions: { here: { from: mod_http_api, who: all, what: reload_config } }
`);
  const env = {
    ...process.env, HOME: directory, ERL_LIBS: libraries, EJABBERD_CONFIG_PATH: file, EJABBERD_LOG_PATH: join(directory, "ejabberd.log"),
    ERL_CRASH_DUMP: join(directory, "crash"),
  };
  // Without a node name it listens for no other node, and needs no port mapper.
  const words = ["+S", "1:1", "-noinput", "-mnesia", "dir", `"${directory}/database"`, "-s", "ejabberd"];
  await start("ejabberd", [find("erl", "install the package erlang-base"), ...words], { env, cwd: directory }, xmpp, 120);
  return { xmpp, api };
}
