// The bridges whose tokens Dovecot and ejabberd receive.

const jid = (host) => `subject = "{{ tmpl('{}@${host}', user.id) }}"`;

/**
 * Returns their TOML. `key` is the path of the RSA key that most of them sign with, `secret` the line that sets
 * ejabberd's shared secret.
 */
export function mailBridges({ key, secret }) {
  // Under its own name, by which Dovecot finds the downloaded key.
  const named = `key_file = "${key}"\nalgorithm = "RS256"`;
  return `[bridges.dovecot]
preset = "dovecot"
audience = "mail"
${named}

[bridges.dovecot-elsewhere]
preset = "dovecot"
audience = "other-mail"
${named}

[bridges.dovecot-stranger]
preset = "dovecot"
audience = "mail"
issuer = "https://elsewhere.example"
${named}

[bridges.dovecot-brief]
preset = "dovecot"
audience = "mail"
lifetime = "10s"
${named}

[bridges.dovecot-own]
preset = "dovecot"
audience = "mail"
algorithm = "ES256"

[bridges.ejabberd]
preset = "ejabberd"
audience = "chat.example.com"
${jid("chat.example.com")}
${named}

[bridges.ejabberd-elsewhere]
preset = "ejabberd"
audience = "chat.example.com"
${jid("elsewhere.example")}
${named}

[bridges.ejabberd-brief]
preset = "ejabberd"
audience = "chat.example.com"
lifetime = "10s"
${jid("chat.example.com")}
${named}

[bridges.ejabberd-own]
preset = "ejabberd"
audience = "chat.example.com"
${jid("chat.example.com")}

[bridges.ejabberd-shared]
preset = "ejabberd"
audience = "shared.example.com"
algorithm = "HS256"
${jid("shared.example.com")}
${secret}
`;
}
