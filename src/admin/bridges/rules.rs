//! The check that every bridge passes before it is stored, wherever it comes from.

use std::sync::Arc;

use chrono::Duration;
use diesel::PgConnection;
use serde_json::Value;

use crate::admin::guard::Actor;
use crate::bridge::stored::{self, Home};
use crate::bridge::{Bridge, BridgeDefinition, Key, KeySource, KeyUpload, Material};
use crate::clock::Time;
use crate::storage::bridges::{KeyChange, StoredBridge};
use crate::storage::{bridges, client_records, resources};
use crate::tokens::seal::MasterKey;
use crate::web::error::{Failure, Kind};
use crate::web::refusal::Refusal;
use crate::web::wrong_field::{WrongField, wrong_field, wrong_fields};

/// What the check depends on.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What the server knows apart from the database.
    pub home: Home,
    /// The key that encrypts imported keys.
    pub master: Arc<MasterKey>,
    /// How recent a sign-in must be for dangerous changes.
    pub fresh_within: Duration,
}

/// A requested bridge, not checked yet.
#[derive(Debug)]
pub struct Draft {
    /// The settings.
    pub definition: BridgeDefinition,
    /// A key to import, which replaces any stored one.
    pub key: Option<KeyUpload>,
}

/// A checked bridge, ready to be stored.
#[derive(Debug)]
#[must_use = "what was checked is to be stored"]
pub struct Checked {
    /// The settings as they are stored.
    pub definition: Value,
    /// What happens to the imported key.
    pub key: KeyChange,
}

impl Draft {
    /// Reads the settings of a bridge. The refusal names a member that is unknown or has the wrong type.
    pub fn read(name: &str, definition: Value, key: Option<KeyUpload>) -> Result<Self, Failure> {
        let read = BridgeDefinition::read(definition).map_err(|mistake| {
            let what = format!("does not read ({mistake})");
            wrong_field("definition", what, "see the settings of bridges in the reference")
        })?;
        Ok(Self { definition: BridgeDefinition { name: name.to_owned(), ..read }, key })
    }
}

impl Rules {
    /// Checks a draft completely, including a trial rendering for the sample users. `old` is the row that it replaces,
    /// locked.
    pub fn check(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        draft: &Draft,
        old: Option<&StoredBridge>,
        now: Time,
    ) -> Result<Checked, Refusal> {
        let definition = BridgeDefinition { our_issuer: Some(self.home.issuer.clone()), ..draft.definition.clone() };
        let name = definition.name.clone();
        let (material, key) = self.key(&definition, draft.key.as_ref(), old)?;
        let uploaded = material.as_ref().filter(|_| draft.key.is_some());
        if definition.dangerous || takes_trust_over(conn, (&definition, uploaded), old)? {
            actor.require_fresh(self.fresh_within, now)?;
        }
        let document = serde_json::to_value(&definition)
            .map_err(|error| wrong_field("definition", format!("cannot be written ({error})"), "mend it"))?;
        let bridge = Bridge::new(BridgeDefinition { material, ..definition }).map_err(|problems| {
            let wrong = problems.into_iter().map(|problem| WrongField {
                field: if problem.place == "name" { problem.place } else { format!("definition.{}", problem.place) },
                what: format!("is not accepted: {}", problem.problem),
                cure: format!("see the page of the preset of bridge `{name}`"),
            });
            wrong_fields(&wrong.collect::<Vec<_>>())
        })?;
        self.require_foreign_audience(conn, &bridge)?;
        Ok(Checked { definition: document, key })
    }

    /// A token signed with the keys of our own tokens must be for exactly one target, and never for one of our own
    /// audiences. Two bridges that are created at the same moment are checked again when they mint.
    fn require_foreign_audience(&self, conn: &mut PgConnection, bridge: &Bridge) -> Result<(), Refusal> {
        if !matches!(bridge.key(), Key::Provider(_)) {
            return Ok(());
        }
        let audience = bridge.audience();
        let is_ours = client_records::find(conn, audience)?.is_some() || resources::find(conn, audience)?.is_some();
        let others = bridges::all(conn)?;
        if is_ours || stored::same_audience(&others, bridge, &self.home.issuer).is_some() {
            let cure = "choose another audience, or a key of the bridge's own";
            return Err(wrong_field("definition.audience", crate::assembly::OWN_AUDIENCE, cure).into());
        }
        Ok(())
    }

    /// The imported key that the bridge will have, and the change to store.
    fn key(
        &self,
        definition: &BridgeDefinition,
        upload: Option<&KeyUpload>,
        old: Option<&StoredBridge>,
    ) -> Result<(Option<Material>, KeyChange), Refusal> {
        if let Some(upload) = upload {
            let material = upload.read().map_err(|error| {
                wrong_field(
                    "key",
                    format!("cannot be used: {error}"),
                    "send the key exactly as it was created, complete and unencrypted",
                )
            })?;
            let sealed = stored::seal(&definition.name, upload, &material, &self.master);
            return Ok((Some(material), KeyChange::Set(Some(sealed))));
        }
        let Some(sealed) = old.filter(|old| old.sealed_key.is_some()) else { return Ok((None, KeyChange::Keep)) };
        if matches!(definition.key, Some(KeySource::Own | KeySource::Provider)) {
            return Ok((None, KeyChange::Set(None)));
        }
        require_same_target(definition, sealed)?;
        let material =
            stored::open(sealed, &self.master).map_err(|fault| Failure::unavailable(fault.reasons().join("; ")))?;
        Ok((material, KeyChange::Keep))
    }
}

/// The definition in a row; `None` if a newer server version wrote it in a form that this one cannot read.
fn definition_of(stored: &StoredBridge) -> Option<BridgeDefinition> {
    BridgeDefinition::read(stored.definition.clone()).ok()
}

/// An imported key was given for one target. With another preset it could sign what that target's rules forbid. With
/// another address a shared secret would be sent there, although it is never shown.
fn require_same_target(definition: &BridgeDefinition, old: &StoredBridge) -> Result<(), Failure> {
    let is_same = definition_of(old).is_some_and(|old| old.preset == definition.preset && old.url == definition.url);
    if is_same {
        return Ok(());
    }
    let what = "must be given again: the stored one was given for another preset or address";
    Err(wrong_field("key", what, "send the key with the new settings, or make another bridge"))
}

/// Whether a target that trusts this bridge's name would start to trust something else. A target follows the key set,
/// whose address contains the name, regardless of the preset and the keys behind it. This applies also to the name of a
/// deleted bridge.
fn takes_trust_over(
    conn: &mut PgConnection,
    (new, uploaded): (&BridgeDefinition, Option<&Material>),
    old: Option<&StoredBridge>,
) -> Result<bool, Refusal> {
    let Some(stored) = old else { return Ok(bridges::was_deleted(conn, &new.name)?) };
    let Some(old) = definition_of(stored) else { return Ok(true) };
    let usual = |is_imported| if is_imported { KeySource::Imported } else { KeySource::Own };
    let before = old.key.unwrap_or_else(|| usual(stored.sealed_key.is_some()));
    let after = new.key.unwrap_or_else(|| usual(uploaded.is_some() || stored.sealed_key.is_some()));
    Ok(old.preset != new.preset || before != after || uploaded.is_some_and(Material::is_published))
}

impl Actor {
    /// Requires a user who signed in recently. The operator at the command line always passes.
    ///
    /// # Errors
    /// [`Kind::ReauthenticationRequired`] for a user, [`Kind::Forbidden`] for a program.
    pub fn require_fresh(&self, within: Duration, now: Time) -> Result<(), Failure> {
        match (self.is_command_line(), self.signed_in) {
            (true, _) => Ok(()),
            (false, Some(at)) if now - at <= within => Ok(()),
            (false, Some(_)) => {
                let detail = "A dangerous bridge, and another preset or key under a name that may be trusted, want a fresh sign-in. Sign in again, \
                              then repeat the request.";
                Err(Failure::new(Kind::ReauthenticationRequired, detail).fresh_within(within))
            }
            (false, None) => {
                let detail = "A dangerous bridge, and another preset or key under a name that may be trusted, are for the configuration, the \
                              command line, or a person who signed in just now; not for a program.";
                Err(Failure::new(Kind::Forbidden, detail))
            }
        }
    }
}
