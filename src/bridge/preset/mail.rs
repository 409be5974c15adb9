//! Mail and chat servers that accept a JWT in place of a password: Dovecot and ejabberd.
//!
//! Source: the documentation and source of Dovecot and ejabberd, and how both treat our tokens in `make test-live`
//! (`tests/live/targets/dovecot.mjs`, `tests/live/targets/ejabberd.mjs`).

use super::about::{About, Snippet, Verified};
use super::jwt::PLAIN;
use super::shape::Shape;
use super::target::{Audience, Kid, Lifetime, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// Dovecot.
pub static DOVECOT: Target = Target {
    about: About {
        title: "Dovecot",
        page: "dovecot",
        summary: "The bearer of IMAP and POP3 (OAUTHBEARER, XOAUTH2), checked without asking us.",
        verified: Verified::Live("Dovecot 2.3.19.1 and 2.4.1 (IMAP)"),
        key_lag: 60,
        example: r#"[bridges.dovecot]
preset = "dovecot"
audience = "mail"
subject = "{{ link('mail') }}"
"#,
        other_side: &[
            Snippet {
                place: "Dovecot 2.4, at the end of dovecot.conf",
                language: "text",
                text: "auth_mechanisms {
  oauthbearer = yes
  xoauth2 = yes
}
oauth2 {
  introspection_mode = local
  issuers = {issuer}
  client_id = {audience}
  client_secret = unused
  username_attribute = sub
  oauth2_local_validation {
    dict fs {
      fs posix {
        prefix = /etc/dovecot/keys/
      }
    }
  }
}",
            },
            Snippet {
                place: "Dovecot 2.3, in conf.d/10-auth.conf",
                language: "text",
                text: "auth_mechanisms = $auth_mechanisms oauthbearer xoauth2
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = /etc/dovecot/dovecot-oauth2.conf.ext
}",
            },
            Snippet {
                place: "Dovecot 2.3, in dovecot-oauth2.conf.ext",
                language: "ini",
                text: "introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/dovecot/keys/
issuers = {issuer}
client_id = {audience}
username_attribute = sub",
            },
            Snippet {
                place: "The keys, each in a file of the name default/ALGORITHM/KID: now, and every half hour for those to come",
                language: "sh",
                text: r#"keys=/etc/dovecot/keys/default
curl -sf {jwks_url} | jq -r '.keys[] | "\(.alg)/\(.kid)"' | while read -r key; do
  mkdir -p "$keys/${key%/*}"
  curl -sf "{server}/v1/bridges/{name}/keys/${key#*/}.pem" -o "$keys/$key"
done"#,
            },
        ],
        notes: &[
            "A client sends the `sub` as user name, with OAUTHBEARER too; another name, or none, is refused. Dovecot's \
             userdb decides whose mailbox that is.",
            "Without the line `mechanisms`, Dovecot 2.3 also accepts the token as a password.",
            "Dovecot refuses a token without `kid`, and one whose `iat` is in its future (before 2.4.2: even by a \
             second): keep the clocks synchronized. A token with `azp` needs its key in a directory of that name. Dovecot 2.3 refuses \
             `typ: at+jwt`, 2.4 accepts it.",
            "Dovecot 2.4 does not start with only a `client_id`; the `client_secret` is never sent.",
            "Dovecot compares `aud` with `client_id` since 2.3.21, and so does Debian's 2.3.19.1-2.1+deb12u7. Older \
             versions accept any token for this issuer that was signed by a key in the directory: use the key for this \
             bridge alone.",
            "A new key is published an hour before it signs, and its file must exist by then. Dovecot keeps a key it \
             has read until `doveadm reload`: after `passmint keys revoke`, delete the file first.",
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
        verified: Verified::Live("ejabberd 23.01 and 24.12"),
        key_lag: 60,
        example: r#"[bridges.ejabberd]
preset = "ejabberd"
audience = "chat.example.com"
subject = "{{ tmpl('{}@chat.example.com', user.id) }}"
key_file = "/run/secrets/ejabberd.pem"     # of your own (`openssl genrsa 2048`): nothing rotates it
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
                place: "The key, again whenever you change it",
                language: "sh",
                text: "key=/etc/ejabberd/passmint.jwk
curl -sf {jwks_url} | jq -e '.keys[0]' > $key.new && mv $key.new $key && ejabberdctl reload_config",
            },
        ],
        notes: &[
            "ejabberd wants the full JID and refuses a token without `exp`. It looks at nothing else: not at `iss`, `aud`, `nbf` or `kid`. So \
             the key has to be this bridge's alone, and no second bridge may sign with it.",
            "It knows one key, and keeps it until it loads its configuration again. Without `key_file` the bridge has keys that are rotated: \
             around a rotation its set holds two, in no order, and ejabberd refuses what the other one signed.",
            "With HS256 (`secret_file`) the file is `{\"kty\": \"oct\", \"k\": \"…\"}`, with the secret in base64url.",
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
