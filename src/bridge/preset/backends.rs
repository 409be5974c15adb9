//! Services that issue their own tokens at an administrator's request: Appwrite, InstantDB.
//!
//! Source: appwrite.io/docs/references, Users, "Create token"; instantdb.com/docs/http-api, "Custom auth".

use serde_json::{Map, Value, json};

use super::about::{About, Snippet, Verified};
use super::call::{Call, CallTarget};
use super::claim::claim;
use super::shape::{self, Shape};
use super::target::Lifetime;

/// Appwrite's IDs: at most 36 characters, the first a letter or digit.
const APPWRITE_ID: Shape = Shape {
    words: "1 to 36 letters, digits and `_.-`, the first a letter or digit",
    holds: |value| {
        shape::word(value, 36, b"_.-")
            && value.as_str().is_some_and(|text| text.starts_with(|first: char| first.is_ascii_alphanumeric()))
    },
};
/// The length of the token. By default it would be six characters, which can be guessed.
const LENGTH: Shape = Shape {
    words: "a whole number from 32 to 128",
    holds: |value| value.as_i64().is_some_and(|length| (32..=128).contains(&length)),
};

/// Appwrite.
pub static APPWRITE: CallTarget = CallTarget {
    about: About {
        title: "Appwrite",
        page: "appwrite",
        summary: "A token of Appwrite's own, which the app makes a session of: Passmint asks Appwrite for it with an API key.",
        verified: Verified::Source("Appwrite's reference; the same request as node-appwrite 27.1"),
        key_lag: 0,
        example: r#"[bridges.appwrite]
preset = "appwrite"
url = "https://fra.cloud.appwrite.io/v1"          # the API endpoint
audience = "my-project"                           # the project's id
secret_file = "/run/secrets/appwrite-key"         # an API key with the scope `users.write` and no other
subject = "{{ link('appwrite') ?? user.id }}"     # the user's id there
"#,
        other_side: &[Snippet {
            place: "The app",
            language: "js",
            text: "const { token, subject } = await post(\"{server}/v1/bridges/{name}/token\");
await account.createSession({ userId: subject, secret: token });",
        }],
        notes: &[
            "The user must already exist, under the ID in `subject`: store the IDs as external IDs, or create users \
             with Passmint's IDs, which are valid there.",
            "The secret has 64 characters by default, and never fewer than 32: without a request for more, Appwrite \
             makes six, which can be guessed.",
            "`lifetime` is how long the single-use secret is valid: 60 seconds to an hour. The session that it opens \
             is Appwrite's.",
            "The API key is stored encrypted, sent only to `url`, and never appears in an answer, error or log.",
        ],
    },
    usual_url: None,
    audience: ("the project's id", APPWRITE_ID),
    subject: APPWRITE_ID,
    subject_max: 36,
    lifetime: Some(Lifetime { least: 60, usual: 300, most: 3600, words: "between 60 seconds and 1 hour" }),
    defaults: r#"{ "length": 64 }"#,
    claims: &[claim(&["length"], LENGTH).needed()],
    document: |mut document, user, life| {
        document.insert("userId".to_owned(), user.into());
        document.insert("expire".to_owned(), life.into());
        document
    },
    request: |project, document| {
        let user = text(&document["userId"]);
        Call {
            path: format!("/users/{user}/tokens"),
            credential: ("X-Appwrite-Key", ""),
            headers: vec![("X-Appwrite-Project", project.to_owned())],
            body: json!({ "length": document["length"], "expire": document["expire"] }),
            user,
        }
    },
    // `user_not_found`. A 400 concerns our own request: the user ID was checked before.
    person_statuses: &[404],
    given: |document, answer| {
        let secret = answer.get("secret")?.as_str()?;
        let length = usize::try_from(document["length"].as_i64()?).ok()?;
        (answer.get("userId") == document.get("userId") && secret.len() >= length).then(|| secret.to_owned())
    },
};

/// A user of InstantDB, by ID or by e-mail address.
const INSTANT_USER: Shape = Shape {
    words: "a UUID in lower case, or a verified e-mail address (`{{ user.email }}`)",
    holds: |value| (shape::UUID.holds)(value) || value.as_str().is_some_and(is_address),
};

/// InstantDB.
pub static INSTANTDB: CallTarget = CallTarget {
    about: About {
        title: "InstantDB",
        page: "instantdb",
        summary: "A refresh token of InstantDB's own, which the app signs in with: Passmint asks InstantDB for it with the app's admin token.",
        verified: Verified::Source("InstantDB's HTTP API; the same request as @instantdb/admin 1.0.67"),
        key_lag: 0,
        example: r#"[bridges.instantdb]
preset = "instantdb"
audience = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40"  # the app's id
secret_file = "/run/secrets/instantdb-admin-token"
"#,
        other_side: &[Snippet {
            place: "The app",
            language: "js",
            text: "const { token } = await post(\"{server}/v1/bridges/{name}/token\");
await db.auth.signInWithToken(token);",
        }],
        notes: &[
            "By default users have Passmint's IDs; a new one is created if missing. With `subject = \"{{ user.email \
             }}\"` they are identified by their address, which must be verified.",
            "The admin token can do everything in the app. It is stored encrypted, sent only to `url` (by default \
             `https://api.instantdb.com`), and never appears in an answer, error or log.",
            "A refresh token of InstantDB does not expire; `expiresIn` is 0. To lock a person out, sign them out there \
             (`POST /admin/sign_out`). Token exchange issues none, because nothing may outlive the exchanged token.",
        ],
    },
    usual_url: Some("https://api.instantdb.com"),
    audience: ("the app's id", shape::UUID),
    subject: INSTANT_USER,
    subject_max: 255,
    lifetime: None,
    defaults: "{}",
    claims: &[],
    document: |_, user, _| {
        let name = if is_address(&user) { "email" } else { "id" };
        Map::from_iter([(name.to_owned(), user.into())])
    },
    request: |app, document| Call {
        path: "/admin/refresh_tokens".to_owned(),
        credential: ("Authorization", "Bearer "),
        headers: vec![("App-Id", app.to_owned())],
        body: document.clone(),
        user: text(document.get("id").unwrap_or(&document["email"])),
    },
    // It creates users that do not exist yet; what it refuses is the app, the credential or the request.
    person_statuses: &[],
    given: |document, answer| {
        let user = answer.get("user")?;
        let same = match (document.get("id"), document["email"].as_str()) {
            (Some(id), _) => user.get("id") == Some(id),
            (None, Some(email)) => user["email"].as_str().is_some_and(|told| told.eq_ignore_ascii_case(email)),
            (None, None) => false,
        };
        let token = user["refresh_token"].as_str()?;
        (same && token.len() >= 16).then(|| token.to_owned())
    },
};

/// Enough of an address to distinguish it from an ID: something, `@`, something.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
