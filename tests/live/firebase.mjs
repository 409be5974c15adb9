// The Firebase side: the real JavaScript SDK, connected to the emulator, as in an app, and the Admin SDK, as in its
// backend.
import assert from "node:assert/strict";
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, getAuth, signInWithCustomToken } from "firebase/auth";
import { cert, deleteApp as deleteAdmin, initializeApp as initializeAdmin } from "firebase-admin/app";
import { getAuth as getAdminAuth } from "firebase-admin/auth";
import { decodeJwt } from "jose";

const EMULATOR = `127.0.0.1:${process.env.FIREBASE_AUTH_PORT}`;
const PROJECT = "demo-passmint";

/** The tenant of the bridge `firebase-tenant`. The emulator accepts any tenant id. */
export const TENANT = "live-tenant";

let count = 0;

/**
 * Signs in with a custom token, at a tenant if one is named; returns the resulting Firebase ID token and its claims.
 */
export async function signIn(token, tenant) {
  const app = initializeApp({ apiKey: "fake", projectId: PROJECT }, `live-${(count += 1)}`);
  try {
    const auth = getAuth(app);
    connectAuthEmulator(auth, `http://${EMULATOR}`, { disableWarnings: true });
    if (tenant) auth.tenantId = tenant;
    const { user } = await signInWithCustomToken(auth, token);
    const idToken = await user.getIdToken();
    const claims = decodeJwt(idToken);
    assert.equal(claims.sub, user.uid);
    assert.equal(claims.user_id, user.uid);
    return { idToken, claims };
  } finally {
    await deleteApp(app);
  }
}

/** Asserts the claims that every ID token of the emulator's project has. */
export function assertIdToken(claims, uid) {
  assert.equal(claims.iss, `https://securetoken.google.com/${PROJECT}`);
  assert.equal(claims.aud, PROJECT);
  assert.equal(claims.sub, uid);
  assert.equal(claims.firebase.sign_in_provider, "custom");
}

/** Runs `work` with the Admin SDK, which reads the emulator's address from the environment each time. */
async function admin(settings, emulator, work) {
  const app = initializeAdmin(settings, `admin-${(count += 1)}`);
  if (emulator) process.env.FIREBASE_AUTH_EMULATOR_HOST = EMULATOR;
  try {
    return await work(getAdminAuth(app));
  } finally {
    delete process.env.FIREBASE_AUTH_EMULATOR_HOST;
    await deleteAdmin(app);
  }
}

/** Creates a user of the project, as if it had been there before. */
export const makeUser = (user) => admin({ projectId: PROJECT }, true, (auth) => auth.createUser(user));

/**
 * Returns the custom token that the Admin SDK makes with the same service account: signed locally, without the emulator
 * or a network.
 */
export const adminToken = (account, uid, claims, tenant) =>
  admin({ credential: cert(account) }, false, (auth) =>
    (tenant ? auth.tenantManager().authForTenant(tenant) : auth).createCustomToken(uid, claims));

/**
 * Verifies a Firebase ID token as a backend does, and returns its claims: `verifyIdToken` of the Admin SDK asks the
 * emulator for the user.
 */
export const verifyIdToken = (idToken, tenant) =>
  admin({ projectId: PROJECT }, true, (auth) =>
    (tenant ? auth.tenantManager().authForTenant(tenant) : auth).verifyIdToken(idToken));
