//! Mail and chat servers that take a JWT in place of a password: Dovecot and ejabberd.
//!
//! Source: Dovecot's and ejabberd's documentation, and notes of what versions 2.3.19 and 23.01 did with hand-made tokens. No
//! test gives either a token of ours.

use super::about::{About, Snippet, Verified};
use super::shape::Shape;
use super::target::{Audience, Kid, Lifetime, PLAIN, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// Dovecot.
pub static DOVECOT: Target = Target {
    about: About {
        title: "Dovecot",
        page: "dovecot",
        summary: "The bearer of IMAP and POP3 (OAUTHBEARER, XOAUTH2), checked without asking us.",
        verified: Verified::Source("Dovecot's documentation of local validation, 2.3.19; no test runs it"),
        key_lag: 60,
        example: r#"[bridges.dovecot]
preset = "dovecot"
audience = "mail"
subject = "{{ link('mail') }}"
"#,
        other_side: &[
            Snippet {
                place: "dovecot-oauth2.conf.ext",
                language: "ini",
                text: "introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/dovecot/keys/
issuers = {issuer}
client_id = {audience}
username_attribute = sub",
            },
            Snippet {
                place: "The key, as a file of the name default/<algorithm>/<kid>",
                language: "sh",
                text: "mkdir -p /etc/dovecot/keys/default/{algorithm}
kid=$(curl -s {jwks_url} | jq -r '.keys[0].kid')
curl -s {server}/v1/bridges/{name}/keys/$kid.pem -o /etc/dovecot/keys/default/{algorithm}/$kid",
            },
        ],
        notes: &[
            "Dovecot 2.3 refuses `typ: at+jwt`, and a token without `kid`. A token with `azp` needs its key in a folder of that name.",
            "At each rotation the new key's file has to be there first.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt],
    audience: Audience::Said("Dovecot's `client_id`"),
    forms: &[AudienceForm::String],
    kid: Kid::Needed,
    lifetime: Lifetime::CONNECTION,
    ..PLAIN
};

const JID: Shape = Shape {
    words: "a full JID: `subject = \"{{ tmpl('{}@chat.example.com', user.id) }}\"`",
    holds: |value| {
        let parts = value.as_str().and_then(|text| text.split_once('@'));
        parts.is_some_and(|(user, host)| {
            !user.is_empty()
                && !host.is_empty()
                && !host.contains(['@', '/'])
                && !user.contains(['/', ':', '"', '\'', '<', '>', '&'])
        })
    },
};

/// ejabberd.
pub static EJABBERD: Target = Target {
    about: About {
        title: "ejabberd",
        page: "ejabberd",
        summary: "The password of an XMPP connection.",
        verified: Verified::Source("ejabberd's documentation of JWT authentication, 23.01; no test runs it"),
        key_lag: 60,
        example: r#"[bridges.ejabberd]
preset = "ejabberd"
audience = "chat.example.com"
subject = "{{ tmpl('{}@chat.example.com', user.id) }}"
"#,
        other_side: &[
            Snippet {
                place: "ejabberd.yml",
                language: "yaml",
                text: "auth_method: [jwt]
jwt_key: /etc/ejabberd/passmint.jwk
jwt_jid_field: sub
jwt_auth_only_rule: all",
            },
            Snippet {
                place: "The key",
                language: "sh",
                text: "curl -s {jwks_url} | jq '.keys[0]' > /etc/ejabberd/passmint.jwk    # again at each rotation",
            },
        ],
        notes: &[
            "ejabberd wants the full JID and refuses a token without `exp`. It reads one key from a file: fetch it again when it is rotated.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the host; ejabberd does not look at it"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::CONNECTION,
    subject: Subject { usual: None, shape: JID, ..Subject::USER },
    ..PLAIN
};
