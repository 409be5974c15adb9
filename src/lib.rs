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
//! | [`bridge`] | custom tokens for other systems |
//! | [`forward_auth`] | access control for apps behind a proxy |
//! | [`site`] | the pages' handlers, documentation, well-known documents |
//! | [`web`] | shared HTTP code: errors, cookies, limits, headers, and the pages' views |
//! | [`logout`] | signing out, and notifying the apps concerned |
//! | [`hooks`] | signed messages to external servers, about events or before a sign-in |
//! | [`outbox`] | at-least-once delivery of messages to other systems |
//! | [`import`] | import of people and passkeys from other systems, and export |
//! | [`outbound`] | requests to other servers |
//! | [`dpop`] | DPoP proofs, each accepted once |
//! | [`clients`], [`resources`] | the directories of OAuth clients and of the APIs that tokens are for |
//! | [`assembly`], [`key_plan`] | building the rooms from the configuration; which signing keys must exist |
//! | [`app`], [`routes`] | the running server; every path in one list |
//! | [`background`] | work between requests: follows changes, rotates keys, sweeps |
//! | [`openapi`] | the API description, collected from the handlers |
//! | [`clock`], [`random`] | the only sources of time and randomness |
//! | [`telemetry`] | log lines and metrics, without secrets |
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
