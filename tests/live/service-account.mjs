// Prints a service account's key file, in the format of Google's console, for the PKCS#8 PEM named on the command line.
import { readFileSync } from "node:fs";

console.log(
  JSON.stringify({
    type: "service_account",
    project_id: "demo-passmint",
    private_key_id: "00112233445566778899aabbccddeeff00112233",
    private_key: readFileSync(process.argv[2], "utf8"),
    client_email: "firebase-adminsdk-live@demo-passmint.iam.gserviceaccount.com",
    client_id: "100000000000000000000",
    token_uri: "https://oauth2.googleapis.com/token",
  }, null, 2),
);
