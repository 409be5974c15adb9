//! Bridges: custom tokens for external systems, minted after a passkey sign-in.
//!
//! Pure except for [`directory`] and [`minting`], which load facts, sign, and are called by other rooms, and for
//! [`callout`], which answers NATS. A [`BridgeDefinition`] (what the operator wrote) becomes a [`Bridge`] or a list of
//! problems. A bridge decides whether a request may mint ([`Bridge::permits`]) and renders ([`Bridge::render`]) the
//! header and claims, which the tokens room then signs with the key that [`Bridge::key`] names.
//!
//! What must always hold:
//! - a template decides only the values of leaves; names, structure and fixed claims are determined when it is saved;
//! - every check at save time runs again at minting, on the finished token, and any doubt means that no token is
//!   issued;
//! - this server never accepts a custom token: it has a single audience, which is not this server.
//!
//! To add a target: see [`preset`]. To extend the template language: see [`facts`], [`filter`], [`input`] and
//! [`expression`].

mod call;
pub mod callout;
pub mod channel;
mod charset;
mod checks;
mod composition;
pub mod declared;
pub mod directory;
pub mod expression;
pub mod facts;
pub mod filter;
pub mod handlers;
pub mod input;
pub mod key;
mod minting;
pub mod nkey;
pub mod preset;
pub mod published;
mod rule;
mod sample;
pub mod service_account;
mod spec;
pub mod stored;
pub mod template;
#[cfg(test)]
mod testing;
pub mod trial;
pub mod trusted;

use serde_json::{Value, json};
use uuid::Uuid;

pub use self::call::CallError;
use self::checks::{check_definition, is_subject, parse_inputs, parse_subject, parse_template};
pub use self::directory::Bridges;
pub use self::expression::{EvaluationError, Expression, ExpressionProblem};
pub use self::facts::{ClientFacts, Facts, GrantFacts, PasskeyFacts, SessionFacts, UserFacts};
use self::facts::{Context, Datum, Fact};
pub use self::input::{InputRefusal, Inputs};
pub use self::key::{KeyUpload, Material, MaterialError};
pub use self::minting::{BridgeError, BridgeToken, Known, MintRequest, facts as facts_of};
pub use self::preset::PresetKind;
use self::preset::about::Values;
pub use self::preset::rules::Violation;
use self::preset::rules::{Parts, Plan, Problems};
pub use self::preset::way::Way;
pub use self::rule::{Allow, Denied, MinAcr, Person, Request, Require};
pub use self::sample::moment as sample_moment;
pub use self::service_account::{ServiceAccount, ServiceAccountError};
pub use self::spec::{
    Algorithm, AudienceForm, BridgeDefinition, KeySource, KidPolicy, Problem, RenderError, SpecProblem, Typ,
};
use self::template::Template;
use crate::clock::Time;
use crate::domain::exchange::Actor;

/// A bridge that was checked and can mint.
#[derive(Clone, Debug)]
pub struct Bridge {
    name: String,
    preset: PresetKind,
    plan: Plan,
    inputs: Inputs,
    subject: Expression,
    template: Template,
    allow: Allow,
    key: KeySource,
    material: Option<Material>,
    url: Option<String>,
    bearer_audience: Option<String>,
}

/// The key that signs a bridge's tokens.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// A key that this server creates and rotates for this bridge alone.
    Own(Algorithm),
    /// A key that also signs this server's own tokens.
    Provider(Algorithm),
    /// A key that was created elsewhere.
    Imported(&'a Material),
}

/// What must be read from the database for a bridge's token: only what its rule or its template uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The person's external IDs.
    pub links: bool,
    /// Their groups.
    pub groups: bool,
    /// Their attributes.
    pub attributes: bool,
    /// The passkey they used.
    pub passkey: bool,
}

impl Needs {
    /// Everything, if the bridge is not known yet.
    pub const ALL: Self = Self { links: true, groups: true, attributes: true, passkey: true };
}

/// The header of a token before the key is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `typ`; [`Typ::None`] omits it.
    pub typ: Typ,
    /// `kid`.
    pub kid: KidPolicy,
}

impl Header {
    /// The header as JSON, with `key_id` if the policy is [`KidPolicy::Auto`].
    pub fn to_json(&self, key_id: Option<&str>) -> Value {
        let mut header = json!({ "alg": self.algorithm.as_str() });
        if self.typ != Typ::None {
            header["typ"] = self.typ.as_str().into();
        }
        match (&self.kid, key_id) {
            (KidPolicy::Auto, Some(kid)) => header["kid"] = kid.into(),
            (KidPolicy::Fixed(kid), _) => header["kid"] = kid.clone().into(),
            (KidPolicy::Auto, None) | (KidPolicy::Omit, _) => {}
        }
        header
    }
}

/// A token that is ready to be signed.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rendered token is worth nothing until it is signed"]
pub struct Rendered {
    /// Its header.
    pub header: Header,
    /// Its claims, an object.
    pub claims: Value,
    /// The same, as signed.
    pub text: String,
    /// The algorithm to sign with, also in the header.
    pub algorithm: Algorithm,
    /// Seconds from now to `exp`.
    pub expires_in: i64,
}

impl Bridge {
    /// Checks a definition completely, including rendering it for three sample users.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn new(spec: BridgeDefinition) -> Result<Self, Vec<SpecProblem>> {
        let mut problems = Problems::default();
        if !is_bridge_name(&spec.name) {
            problems.add("name", Problem::Name);
        }
        let rules = spec.preset.rules();
        let plan = rules.settle(&spec, &mut problems);
        key::check(&spec, &plan, &mut problems);
        check_definition(&spec, &mut problems);
        let inputs = parse_inputs(&spec.inputs, &mut problems);
        let subject = parse_subject(spec.subject.as_deref().or(rules.subject()), &mut problems);
        let template = parse_template(&spec, &inputs, &mut problems);
        let key = spec.key_source();
        let name = spec.name;
        let named = |problems: Problems| {
            let of = |(place, problem)| SpecProblem { bridge: name.clone(), place, problem };
            problems.into_inner().into_iter().map(of).collect::<Vec<_>>()
        };
        let (Some(subject), Some(template), true) = (subject, template, problems.is_empty()) else {
            return Err(named(problems));
        };
        let bridge = Self {
            name: name.clone(),
            preset: spec.preset,
            plan,
            inputs,
            subject,
            template,
            allow: spec.allow,
            key,
            material: spec.material,
            url: spec.url,
            bearer_audience: spec.bearer_audience,
        };
        bridge.render_samples(&mut problems);
        if problems.is_empty() { Ok(bridge) } else { Err(named(problems)) }
    }

    /// Its name, which clients use in requests.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its preset.
    pub const fn preset(&self) -> PresetKind {
        self.preset
    }

    /// How its result reaches the target.
    pub fn way(&self) -> Way {
        self.preset.rules().way()
    }

    /// Refuses to issue a token if the bridge issues none.
    ///
    /// # Errors
    /// [`BridgeError::OtherWay`].
    pub fn require_tokens(&self) -> Result<(), BridgeError> {
        let own = self.way();
        if own.gives_tokens() { Ok(()) } else { Err(BridgeError::OtherWay(own)) }
    }

    /// Refuses any way but its own.
    ///
    /// # Errors
    /// [`BridgeError::OtherWay`].
    pub fn require_way(&self, way: Way) -> Result<(), BridgeError> {
        let own = self.way();
        if own == way { Ok(()) } else { Err(BridgeError::OtherWay(own)) }
    }

    /// The secret that it shares with its target; `None` if it has another kind of key.
    pub(self) fn shared_secret(&self) -> Option<&[u8]> {
        self.material.as_ref()?.shared_secret()
    }

    /// The URL of its target, for the ways that need one.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The required audience of the access token that the target passes on; `None` means this server.
    pub fn bearer_audience(&self) -> Option<&str> {
        self.bearer_audience.as_deref()
    }

    /// The plan that its preset made from its settings.
    pub(self) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The key that signs its tokens.
    pub fn key(&self) -> Key<'_> {
        match (self.key, &self.material) {
            (_, Some(material)) => Key::Imported(material),
            (KeySource::Provider, None) => Key::Provider(self.plan.algorithm),
            (_, None) => Key::Own(self.plan.algorithm),
        }
    }

    /// Whether another bridge's target could accept a token of this one: same issuer, same keys, same audience.
    pub fn is_taken_for(&self, other: &Self) -> bool {
        let provider = |bridge: &Self| matches!(bridge.key(), Key::Provider(_));
        provider(self) && provider(other) && self.audience() == other.audience()
    }

    /// What to paste into the target's configuration, with this bridge's values: a place, a language, a text. `server`
    /// is our address.
    pub fn other_side(&self, server: &str) -> Vec<(&'static str, &'static str, String)> {
        let plan = &self.plan;
        let (issuer, audience, algorithm) = (plan.issuer.as_str(), plan.audience.as_str(), plan.algorithm.as_str());
        let nats_user =
            plan.nats.as_ref().and_then(callout::Identity::of).map(|one| one.public().to_owned()).unwrap_or_default();
        let values = Values { name: &self.name, server, issuer, audience, algorithm, nats_user: &nats_user };
        let snippets = self.preset.about().other_side;
        snippets.iter().map(|snippet| (snippet.place, snippet.language, snippet.render(&values))).collect()
    }

    /// The inputs that a caller may give.
    pub const fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The sources of external IDs that its templates use, so that the caller loads only those.
    pub fn link_sources(&self) -> Vec<&str> {
        self.subject.links().chain(self.template.links()).collect()
    }

    /// What must be read from the database for its tokens.
    pub fn needs(&self) -> Needs {
        let asks_for = |wanted| self.subject.asks_for(wanted) || self.template.asks_for(wanted);
        Needs {
            links: !self.link_sources().is_empty(),
            groups: !self.allow.groups_any.is_empty() || asks_for(|fact| fact == Fact::UserGroups),
            attributes: !self.template.attributes().is_empty(),
            passkey: asks_for(|fact| fact.name().starts_with("passkey.")),
        }
    }

    /// Its only audience.
    pub fn audience(&self) -> &str {
        &self.plan.audience
    }

    /// Who may mint.
    pub const fn allow(&self) -> &Allow {
        &self.allow
    }

    /// Whether the request may mint. [`Bridge::permits_person`] decides whether it may for this person.
    ///
    /// # Errors
    /// The first condition of the bridge's rule that is not met.
    pub fn permits(&self, request: &Request<'_>) -> Result<(), Denied> {
        self.allow.permits(&self.name, request)
    }

    /// Whether tokens may be minted for this person.
    ///
    /// # Errors
    /// The first condition of the bridge's rule that is not met.
    pub fn permits_person(&self, person: &Person<'_>) -> Result<(), Denied> {
        self.allow.permits_person(person)
    }

    /// Whether tokens may be minted if somebody acts for the person: only if the token names the actor, or the rule
    /// allows otherwise.
    ///
    /// # Errors
    /// [`Denied::Actor`] if the target's tokens cannot name the actor.
    pub fn permits_actor(&self, act: Option<&Actor>) -> Result<(), Denied> {
        let is_said = act.is_none() || self.preset.rules().names_actor();
        if is_said || self.allow.unnamed_actors { Ok(()) } else { Err(Denied::Actor) }
    }

    /// Renders the token for one sign-in. Call [`Bridge::permits`] first. `jti` is the token's ID if the target
    /// supports one, and its ID in the audit trail in any case.
    ///
    /// # Errors
    /// Any missing, malformed or oversized value, and any rule of the target that the finished token violates.
    pub fn render(&self, facts: &Facts, now: Time, jti: Uuid) -> Result<Rendered, RenderError> {
        let (rules, plan) = (self.preset.rules(), &self.plan);
        let iat = now.timestamp();
        let lifetime = self.lifetime(facts.longest)?;
        let context = Context { facts, now: iat, exp: iat + lifetime };
        let claims =
            self.template.render(&context).map_err(|(place, error)| RenderError::Evaluation { place, error })?;
        let parts = Parts {
            subject: self.render_subject(&context)?,
            claims,
            iat,
            exp: context.exp,
            jti,
            bound_key: facts.bound_key.clone(),
            act: facts.act.clone(),
        };
        let claims = Value::Object(rules.assemble(plan, parts));
        let header = Header { algorithm: plan.algorithm, typ: plan.typ, kid: plan.kid.clone() };
        let text = claims.to_string();
        let bytes = compact_bytes(&header, &text);
        if bytes > plan.max_bytes {
            return Err(RenderError::TooLarge { bytes, max: plan.max_bytes });
        }
        let violations = rules.check(plan, &header.to_json(None), &claims);
        if !violations.is_empty() {
            return Err(RenderError::Violations(violations));
        }
        Ok(Rendered { header, claims, text, algorithm: plan.algorithm, expires_in: lifetime })
    }

    /// The sample sign-ins for which every bridge is rendered when it is saved, by name; all are at [`sample_moment`].
    pub fn samples(&self) -> [(&'static str, Facts); 3] {
        let sources = self.link_sources();
        let asking = |facts, all| sample::asking(facts, self.inputs.samples(all));
        let attributes = self.template.attributes();
        let keeping = |facts| sample::keeping(facts, &attributes);
        [
            ("full", asking(keeping(sample::full(&sources)), true)),
            ("bare", asking(sample::bare(), false)),
            ("awkward", asking(keeping(sample::awkward(&sources)), true)),
        ]
    }

    /// Seconds from now to `exp`: the bridge's lifetime, limited to what remains of the token's source. A target that
    /// issues its own tokens is not asked for a lifetime that it does not support.
    fn lifetime(&self, longest: Option<i64>) -> Result<i64, RenderError> {
        let Some(longest) = longest else { return Ok(self.plan.lifetime) };
        let lifetime = self.plan.lifetime.min(longest);
        match self.preset.call().map(|target| target.lifetime) {
            Some(None) => Err(RenderError::Endless),
            Some(Some(bounds)) if lifetime < bounds.least => Err(RenderError::TooBrief { least: bounds.least }),
            _ => Ok(lifetime),
        }
    }

    fn render_subject(&self, context: &Context<'_>) -> Result<String, RenderError> {
        let place = || "subject".to_owned();
        match self.subject.evaluate(context) {
            Err(error) => Err(RenderError::Evaluation { place: place(), error }),
            Ok(Some(Datum::Text(subject))) if is_subject(&subject, self.plan.subject_max) => Ok(subject),
            Ok(_) => Err(RenderError::Subject { max: self.plan.subject_max }),
        }
    }

    /// Renders the samples. A value that only some users have, or that only some have in a form that can be inserted
    /// into a text, is the template's choice (other users get no token); everything else is a mistake.
    fn render_samples(&self, problems: &mut Problems) {
        for (sample, facts) in self.samples() {
            match self.render(&facts, sample::moment(), Uuid::nil()) {
                Ok(_) => {}
                Err(error) if sample != "full" && error.is_choice() => {}
                Err(error @ RenderError::Subject { .. }) => problems.add("subject", Problem::Sample { sample, error }),
                Err(error) => problems.add("claims", Problem::Sample { sample, error }),
            }
        }
    }
}

/// The length of the signed token in compact form (RFC 7515 §3.1), or slightly more: the key is not known here, so its
/// ID is assumed to have 64 characters, and an RSA key 4096 bits.
fn compact_bytes(header: &Header, claims: &str) -> usize {
    const LONGEST_KEY_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let base64 = |bytes: usize| (bytes * 4).div_ceil(3);
    let signature = match header.algorithm {
        Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Ed25519Nkey => 64,
        Algorithm::Rs256 => 512,
        Algorithm::Hs256 => 32,
    };
    let header = header.to_json(Some(LONGEST_KEY_ID)).to_string().len();
    base64(header) + 1 + base64(claims.len()) + 1 + base64(signature)
}

/// Whether this is a valid name for a bridge.
pub fn is_bridge_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63 && name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '_' || c == '-')
}

#[cfg(test)]
mod tests;
