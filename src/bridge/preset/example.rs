//! A preset's example as a bridge, so that its page shows what the code produces.

use serde_json::Value;
use uuid::Uuid;

use super::kind::PresetKind;
use crate::bridge::spec::{Algorithm, BridgeDefinition};
use crate::bridge::{Bridge, Material, Rendered, SpecProblem, sample};
use crate::tokens::keys::{Algorithm as KeyAlgorithm, KeyMaterial};

/// The server in all examples.
pub const SERVER: &str = "https://id.example.com";

/// The bridge of the example. Its imported key can be computed by anybody.
///
/// # Errors
/// What is wrong with it: a mistake in the preset's data.
pub fn bridge(kind: PresetKind) -> Result<Bridge, String> {
    let told = |problems: Vec<SpecProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Bridge::new(definition(kind)?).map_err(told)
}

/// The definition of the example.
///
/// # Errors
/// As [`bridge`].
pub fn definition(kind: PresetKind) -> Result<BridgeDefinition, String> {
    let text = kind.about().example;
    let file: Value = toml::from_str(text).map_err(|error| error.to_string())?;
    let (name, written) =
        file["bridges"].as_object().and_then(|all| all.iter().next()).ok_or("the example has no bridge")?;
    let mut written = written.clone();
    let members = written.as_object_mut().ok_or("the bridge is no table")?;
    let imported: Vec<bool> = ["secret_file", "key_file"].iter().map(|file| members.remove(*file).is_some()).collect();
    // The rule of who may mint is not part of the token, and is written in the configuration's form.
    members.remove("allow");
    let definition: BridgeDefinition = serde_json::from_value(written).map_err(|error| error.to_string())?;
    Ok(BridgeDefinition {
        name: name.clone(),
        material: if imported.contains(&true) { Some(material(kind, &definition)?) } else { None },
        our_issuer: Some(SERVER.to_owned()),
        ..definition
    })
}

fn material(kind: PresetKind, definition: &BridgeDefinition) -> Result<Material, String> {
    let key = match (kind, definition.algorithm) {
        (PresetKind::NatsUser | PresetKind::NatsCallout, _) => KeyMaterial::from_ed25519_seed(&[7; 32]),
        (PresetKind::SupabaseKey, _) | (_, Some(Algorithm::Es256)) => KeyMaterial::generate(KeyAlgorithm::ES256),
        (PresetKind::Ejabberd, _) => KeyMaterial::generate(KeyAlgorithm::RS256),
        _ => KeyMaterial::from_secret(vec![b'7'; 32]),
    };
    key.map(Material::Key).map_err(|error| error.to_string())
}

/// The example's token for the first sample user.
///
/// # Errors
/// As [`bridge`].
pub fn token(bridge: &Bridge) -> Result<Rendered, String> {
    let [(_, facts), ..] = bridge.samples();
    bridge.render(&facts, sample::moment(), Uuid::nil()).map_err(|error| error.to_string())
}
