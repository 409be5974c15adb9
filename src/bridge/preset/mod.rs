//! Presets: the requirements of one kind of target, most of them as data.
//!
//! To add a preset: a [`target::Target`] in a file of its family (or, for a token that is not a plain JWT, a struct
//! that implements [`Preset`]), a row in [`kind`], an arm in [`PresetKind::rules`] (and in [`PresetKind::call`], if the
//! target issues its own tokens), and rows in the tests' tables of refusals; then `passmint docs bridges DIRECTORY`
//! writes its page.

pub mod about;
mod backends;
pub mod call;
mod claim;
mod cloud;
pub mod example;
pub mod firebase;
mod hasura;
pub mod jwt;
pub mod kind;
mod mail;
mod mercure;
mod nats;
mod nats_callout;
mod postgres;
pub mod pusher;
mod rabbitmq;
mod realtime;
pub mod rules;
mod services;
mod shape;
mod supabase;
mod surrealdb;
pub mod target;
mod told;
pub mod way;

use self::about::About;
pub use self::kind::PresetKind;
use self::rules::Preset;
pub use self::way::Way;

impl PresetKind {
    /// The description of the preset.
    pub fn about(self) -> &'static About {
        self.rules().about()
    }

    /// How to request a token from the target, if it issues its own tokens.
    pub fn call(self) -> Option<&'static call::CallTarget> {
        match self {
            Self::Appwrite => Some(&backends::APPWRITE),
            Self::Instantdb => Some(&backends::INSTANTDB),
            _ => None,
        }
    }

    /// The preset's rules.
    pub fn rules(self) -> &'static dyn Preset {
        match self {
            Self::Firebase => &firebase::Firebase { tenant: false },
            Self::FirebaseTenant => &firebase::Firebase { tenant: true },
            Self::SupabaseSecret => &supabase::SECRET,
            Self::SupabaseKey => &supabase::KEY,
            Self::SupabaseThirdParty => &supabase::THIRD_PARTY,
            Self::Postgrest => &postgres::POSTGREST,
            Self::Neon => &postgres::NEON,
            Self::Hasura => &hasura::HASURA,
            Self::Nhost => &hasura::NHOST,
            Self::Rabbitmq => &rabbitmq::RABBITMQ,
            Self::RabbitmqMqtt => &rabbitmq::RABBITMQ_MQTT,
            Self::NatsUser => &nats::NatsUser,
            Self::NatsCallout => &nats_callout::NatsCallout,
            Self::Convex => &services::CONVEX,
            Self::SurrealdbRecord => &surrealdb::RECORD,
            Self::SurrealdbSystem => &surrealdb::SYSTEM,
            Self::Livekit => &realtime::LIVEKIT,
            Self::Stream => &realtime::STREAM,
            Self::Ably => &realtime::ABLY,
            Self::Pusher => &pusher::Pusher,
            Self::Centrifugo => &realtime::CENTRIFUGO,
            Self::Mercure0 => &mercure::V0,
            Self::Mercure1 => &mercure::V1,
            Self::AwsSts => &cloud::AWS,
            Self::GcpWif => &cloud::GCP,
            Self::AzureFic => &cloud::AZURE,
            Self::Kubernetes => &cloud::KUBERNETES,
            Self::Vault => &cloud::VAULT,
            Self::Minio => &services::MINIO,
            Self::Grafana => &services::GRAFANA,
            Self::Trino => &services::TRINO,
            Self::Clickhouse => &services::CLICKHOUSE,
            Self::Kafka => &services::KAFKA,
            Self::Dovecot => &mail::DOVECOT,
            Self::Ejabberd => &mail::EJABBERD,
            Self::Appwrite => &backends::APPWRITE,
            Self::Instantdb => &backends::INSTANTDB,
            Self::Jwt => &jwt::JWT,
        }
    }
}

#[cfg(test)]
mod tests;
