//! Who acts for a person (`act`), and who may (`may_act`): RFC 8693 §4.1, §4.4.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An actor with the previous actor nested inside. Only the outermost one counts for decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who acts: a person's `sub` for the client, or the client itself.
    pub sub: String,
    /// The issuer of that name; `None` if it is this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The client that the actor uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The previous actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Self>>,
}

/// A malformed `act` or `may_act` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor claim is malformed")]
pub struct ActorFault;

impl Actor {
    /// A client of ours that acts on its own.
    pub fn client(id: &str) -> Self {
        Self { sub: id.to_owned(), iss: None, client_id: Some(id.to_owned()), act: None }
    }

    /// Reads the `act` claim of a token.
    ///
    /// # Errors
    /// [`ActorFault`] for anything but objects with a textual `sub`.
    pub fn read(claim: &Value) -> Result<Self, ActorFault> {
        let actor: Self = serde_json::from_value(claim.clone()).map_err(|_| ActorFault)?;
        let mut one = Some(&actor);
        while let Some(current) = one {
            if current.sub.is_empty() {
                return Err(ActorFault);
            }
            one = current.act.as_deref();
        }
        Ok(actor)
    }

    /// Our clients named in the chain, the latest first.
    pub fn clients(&self) -> impl Iterator<Item = &str> {
        let chain = std::iter::successors(Some(self), |actor| actor.act.as_deref());
        chain.filter(|actor| actor.iss.is_none()).filter_map(|actor| actor.client_id.as_deref())
    }

    /// How many actors the chain names.
    pub fn depth(&self) -> usize {
        std::iter::successors(Some(self), |actor| actor.act.as_deref()).count()
    }

    /// The chain in a token of another issuer: actors without an issuer are attributed to `issuer`.
    #[must_use]
    pub fn named_by(mut self, issuer: &str) -> Self {
        let mut one = Some(&mut self);
        while let Some(actor) = one {
            actor.iss.get_or_insert_with(|| issuer.to_owned());
            one = actor.act.as_deref_mut();
        }
        self
    }

    /// This actor, followed by an earlier chain.
    #[must_use]
    pub fn after(mut self, before: Option<&Self>) -> Self {
        self.act = before.cloned().map(Box::new);
        self
    }
}

/// Who may act in a token's name. Every member that is present must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayAct {
    /// The actor's `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The issuer of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The actor's client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl MayAct {
    /// Reads the `may_act` claim of a token.
    ///
    /// # Errors
    /// [`ActorFault`] for anything but an object that names an actor.
    pub fn read(claim: &Value) -> Result<Self, ActorFault> {
        let may: Self = serde_json::from_value(claim.clone()).map_err(|_| ActorFault)?;
        if may.sub.is_none() && may.client_id.is_none() { Err(ActorFault) } else { Ok(may) }
    }

    /// The claim in a token of another issuer: an actor without an issuer is attributed to `issuer`.
    #[must_use]
    pub fn named_by(self, issuer: &str) -> Self {
        Self { iss: Some(self.iss.unwrap_or_else(|| issuer.to_owned())), ..self }
    }

    /// Whether it permits an actor of ours; `issuer` is our own.
    pub fn permits(&self, actor: &Actor, issuer: &str) -> bool {
        let of_issuer = self.iss.as_deref().is_none_or(|named| named == actor.iss.as_deref().unwrap_or(issuer));
        let is_subject = self.sub.as_deref().is_none_or(|named| named == actor.sub);
        let is_client = self.client_id.as_deref().is_none_or(|named| actor.client_id.as_deref() == Some(named));
        of_issuer && is_subject && is_client
    }
}
