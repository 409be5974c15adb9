//! Passmint: passkeys in, tokens out.
//!
//! The rooms, and who may import whom (`domain ← storage ← rooms ← routes`, with `web` beside the rooms):
//!
//! | room | job |
//! |---|---|
//! | [`domain`] | pure decisions, without HTTP, SQL or clock |
//! | [`config`] | typed settings, all mistakes reported at once |
//! | [`storage`] | all SQL, and the private PostgreSQL cluster |
//! | [`tokens`] | keys, JWKS, sealing, claims, the one signer, the one verifier |
//! | [`ceremony`] | passkeys: registration, authentication, management |
//! | [`account`] | sessions, and what people see of their own account |
//! | [`admin`] | administration over HTTP: clients, resources, bridges, people, messages, the audit trail |
//! | [`oidc`] | the OpenID provider: authorization, tokens, userinfo, introspection, revocation, registration, discovery |
//! | [`bridge`] | custom tokens for systems that are not ours |
//! | [`forward_auth`] | who may reach the apps behind a proxy, and who is asking |
//! | [`site`] | the pages' handlers, documentation, well-known documents |
//! | [`web`] | HTTP furniture: errors, cookies, limits, headers, and the pages' views |
//! | [`logout`] | signing out, and telling every app that must know |
//! | [`hooks`] | others' servers that are told what happens, or asked before a sign-in, by signed messages |
//! | [`outbox`] | delivers messages to other systems, at least once |
//! | [`import`] | people and passkeys from other systems, and out to them |
//! | [`outbound`] | everything that is fetched from others or sent to them |
//! | [`dpop`] | DPoP proofs, each accepted once |
//! | [`clients`], [`resources`] | the directories of OAuth clients and of the APIs that tokens are for |
//! | [`assembly`], [`key_plan`] | from the configuration to the rooms; which signing keys there must be |
//! | [`app`], [`routes`] | the running server; every path in one list |
//! | [`background`] | what a server does between requests: follows changes, rotates keys, sweeps |
//! | [`openapi`] | the description of the API, from its handlers |
//! | [`clock`], [`random`] | time and chance, the only sources of both |
//! | [`telemetry`] | log lines, without secrets |
//! | [`process`] | limits of the process itself |
//! | [`cli`] | the commands |

pub mod account;
pub mod admin;
pub mod app;
pub mod assembly;
pub mod background;
pub mod bridge;
pub mod ceremony;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod domain;
pub mod dpop;
pub mod forward_auth;
pub mod hooks;
pub mod import;
pub mod key_plan;
pub mod logout;
pub mod oidc;
pub mod openapi;
pub mod outbound;
pub mod outbox;
pub mod process;
pub mod random;
pub mod resources;
pub mod routes;
pub mod site;
#[cfg(test)]
mod sources;
pub mod storage;
pub mod telemetry;
pub mod tokens;
pub mod web;
