//! Exchange for a bridge's custom token: `audience=<bridge>`.

use serde_json::{Map, Value};

use super::presented::Whose;
use super::{Decided, ExchangeError, detail, witnessed};
use crate::bridge::MintRequest;
use crate::clock::Time;
use crate::oidc::Oidc;
use crate::oidc::wire::{ExchangeResponse, token_type};
use crate::storage::{audit, credentials};
use crate::tokens::mint::NOT_APPLICABLE;

/// Mints the token, with a lifetime no longer than that of the subject token. The bridge's own rule is evaluated as
/// everywhere, for the sign-in that the subject token describes, and its declared inputs are checked by the same code.
///
/// There is never a refresh token: inputs apply to one token, so that somebody who may no longer enter a room is not
/// let in by what was said an hour ago.
pub(super) async fn token(
    room: &Oidc,
    decided: &Decided<'_>,
    bridge: &str,
    inputs: Option<&Map<String, Value>>,
) -> Result<ExchangeResponse, ExchangeError> {
    let Decided { person, client, granted, now, .. } = *decided;
    let told = &decided.subject.authentication;
    let owner = person.user.id;
    // The audience that another issuer wrote is no grant of ours.
    let audience = match decided.subject.whose {
        Whose::Own(_) => decided.subject.policy.audience.as_slice(),
        Whose::Foreign(_) => &[],
    };
    room.limits.check_mint(owner, bridge).map_err(ExchangeError::TooMany)?;
    let passkeys = room.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
    let request = MintRequest {
        user: &person.user,
        session: person.session,
        acr: told.acr.as_deref().unwrap_or("0"),
        amr: &told.amr,
        auth_time: told.auth_time.and_then(|seconds| Time::from_timestamp(seconds, 0)).unwrap_or(Time::UNIX_EPOCH),
        passkey: passkeys.iter().find(|passkey| Some(passkey.id) == person.passkey),
        client,
        scopes: &granted.scopes,
        audience,
        act: granted.act.as_ref(),
        inputs,
        longest: Some(granted.life),
    };
    let minted = room.ceremonies.bridges.mint(bridge, &request, now).await?;
    let mut minting = minted.event(owner, person.session, Some(&client.id), now, decided.origin);
    if let (Value::Object(known), Value::Object(more)) = (&mut minting.detail, detail(decided)) {
        known.extend(more);
    }
    let exchange = witnessed(decided, minted.id.to_string(), None);
    room.db.tx(move |conn| audit::insert(conn, &minting).and_then(|()| audit::insert(conn, &exchange))).await?;
    Ok(ExchangeResponse {
        access_token: minted.token,
        issued_token_type: token_type::BRIDGE,
        token_type: NOT_APPLICABLE,
        expires_in: minted.expires_in,
        refresh_token: None,
        scope: None,
    })
}
