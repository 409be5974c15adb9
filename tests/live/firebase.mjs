// The Firebase side: the real JavaScript SDK, connected to the emulator, as an app has it.
import assert from "node:assert/strict";
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, getAuth, signInWithCustomToken } from "firebase/auth";
import { decodeJwt } from "jose";

let count = 0;

/** Signs in with a custom token; gives the claims of the resulting Firebase ID token. */
export async function signIn(token) {
  const app = initializeApp({ apiKey: "fake", projectId: "demo-passmint" }, `live-${(count += 1)}`);
  try {
    const auth = getAuth(app);
    connectAuthEmulator(auth, `http://127.0.0.1:${process.env.FIREBASE_AUTH_PORT}`, { disableWarnings: true });
    const { user } = await signInWithCustomToken(auth, token);
    const claims = decodeJwt(await user.getIdToken());
    assert.equal(claims.sub, user.uid);
    assert.equal(claims.user_id, user.uid);
    return claims;
  } finally {
    await deleteApp(app);
  }
}

/** Asserts what every ID token of the emulator's project has. */
export function assertIdToken(claims, uid) {
  assert.equal(claims.iss, "https://securetoken.google.com/demo-passmint");
  assert.equal(claims.aud, "demo-passmint");
  assert.equal(claims.sub, uid);
  assert.equal(claims.firebase.sign_in_provider, "custom");
}
