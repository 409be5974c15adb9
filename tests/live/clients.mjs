// Prints the TOML of the clients that openid.mjs and recipe.mjs drive, and writes their secrets: clients.mjs <secrets
// file>
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

import { CALLBACK, GONE, makeClients } from "./openid.mjs";

const clients = await makeClients();
writeFileSync(process.argv[2], JSON.stringify(clients), { mode: 0o600 });
const digest = (secret) => createHash("sha256").update(secret).digest("hex");
const jwks = ({ d, ...publicKey }) => {
  const members = Object.entries(publicKey).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join(", ");
  return `{ keys = [ { ${members} } ] }`;
};

console.log(`
[registration]
mode = "open"

[dpop]
require_nonce = true

[clients.${clients.web.id}]
name = "Live web app"
kind = "confidential"
auth_method = "client_secret_basic"
secret_digest = "${digest(clients.web.secret)}"
jwks = ${jwks(clients.web.key)}
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
redirect_uris = ["${CALLBACK}"]
post_logout_redirect_uris = ["${GONE}"]

[clients.${clients.fapi.id}]
name = "Live bank"
kind = "confidential"
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
redirect_uris = ["${CALLBACK}"]
id_token_algorithm = "ES256"
security_profile = "fapi2"
jwks = ${jwks(clients.fapi.key)}

[clients.${clients.signing.id}]
name = "Live notary"
kind = "confidential"
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
redirect_uris = ["${CALLBACK}"]
id_token_algorithm = "ES256"
userinfo_algorithm = "ES256"
introspection_algorithm = "ES256"
security_profile = "fapi2_message_signing"
jwks = ${jwks(clients.signing.key)}

[clients.${clients.device.id}]
name = "Live television"
grants = ["device_code"]
scopes = ["openid", "profile"]

[clients.${clients.service.id}]
name = "Live service"
kind = "confidential"
auth_method = "client_secret_post"
secret_digest = "${digest(clients.service.secret)}"
grants = ["client_credentials"]
scopes = ["${clients.service.scope}"]

[clients.${clients.functions.id}]
name = "Live functions"
kind = "confidential"
secret_digest = "${digest(clients.functions.secret)}"
grants = ["client_credentials"]
scopes = ["action_tokens"]
`);
