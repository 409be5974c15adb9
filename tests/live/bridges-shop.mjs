// The bridge for the backend of docs/recipes/your-own-backend.md, which may request LiveKit tokens, and the environment
// of its script.
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";

/** Returns its TOML, and the key and the secret that the script is started with. */
export function shop() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const secret = randomBytes(32).toString("hex");
  const toml = `
[trusted_issuers.shop]
issuer = "https://shop.example.com"
algorithms = ["ES256"]
pem = """
${publicKey.export({ type: "spki", format: "pem" })}"""
max_life = "60s"
max_age = "60s"
subject = "create"
source = "shop"

[clients.shop]
kind = "confidential"
secret_digest = "${createHash("sha256").update(secret).digest("hex")}"
grants = ["token_exchange"]
scopes = ["bridge:livekit"]

[exchange_rules.shop]
clients = ["shop"]
issuers = ["shop"]
subject_types = ["jwt"]
bridges = ["livekit"]
impersonation = true
`;
  return { toml, given: { SHOP_KEY: privateKey.export({ type: "pkcs8", format: "pem" }), SHOP_SECRET: secret } };
}
