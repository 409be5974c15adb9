//! The documentation that is built into the server and works offline: the reference from the code itself, the guides
//! from `docs/`.
//!
//! To add a guide: its Markdown in `docs/`, a line in [`GUIDES`], and a link to it from `docs/README.md`.

mod api;
pub mod bridges;
mod generated;
mod markup;
#[cfg(test)]
mod tests;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::api::api;
pub use self::generated::{errors, events};
use self::markup::Rendered;
use super::Site;
use crate::config;
use crate::web::error::{Failure, Kind};
use crate::web::pages::Boot;
use crate::web::pages::docs::{DocLink, DocPage, OwnMarkup};

/// A documentation page.
struct Guide {
    /// The name in the URL, `/docs/{name}`.
    name: &'static str,
    /// The title, also in the navigation.
    title: &'static str,
    /// The file in the repository, to which other files link.
    path: &'static str,
    /// The source of the text.
    source: Source,
}

/// The source of a page's Markdown.
enum Source {
    /// A file that is compiled in.
    File(&'static str),
    /// A function that renders the text, given the origin for examples. The file has the same text, which a test
    /// checks.
    Code(fn(&str) -> String),
}

impl Guide {
    fn markdown(&self, origin: &str) -> String {
        match self.source {
            Source::File(text) if self.path.ends_with(".toml") => example(text),
            Source::File(text) => text.to_owned(),
            Source::Code(render) => render(origin),
        }
    }
}

/// The origin in the examples of the files, which are not about a particular server.
pub const EXAMPLE_ORIGIN: &str = "http://localhost:8080";

/// A configuration file as a page.
fn example(file: &str) -> String {
    format!(
        "# Example\n\nA whole `passmint.toml`; every setting is explained under \
         [configuration](../reference/configuration.md).\n\n```toml\n{file}```\n"
    )
}

macro_rules! guides {
    ($($name:literal $title:literal $path:literal $(=> $code:expr)?;)*) => {
        /// All pages, in the order of the navigation. The first is shown at `/docs`.
        const GUIDES: &[Guide] = &[$(
            Guide { name: $name, title: $title, path: $path, source: guides!(@source $path $(=> $code)?) },
        )*];
    };
    (@source $path:literal) => { Source::File(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path))) };
    (@source $path:literal => $code:expr) => { Source::Code($code) };
}

guides! {
    "overview"            "Documentation"                "docs/README.md";
    "quickstart"          "Quick start"                  "docs/quickstart.md";
    "architecture"        "Architecture"                 "docs/architecture.md";
    "sign-up"             "Flow: sign up"                "docs/flows/sign-up.md";
    "sign-in"             "Flow: sign in"                "docs/flows/sign-in.md";
    "add-a-passkey"       "Flow: add a passkey"          "docs/flows/add-a-passkey.md";
    "step-up"             "Flow: step up"                "docs/flows/step-up.md";
    "authorization-code"  "Flow: authorization code"     "docs/flows/authorization-code.md";
    "pushed-requests"     "Flow: pushed and signed"      "docs/flows/pushed-and-signed-requests.md";
    "device"              "Flow: device"                 "docs/flows/device.md";
    "client-credentials"  "Flow: client credentials"     "docs/flows/client-credentials.md";
    "client-authentication" "Flow: client authentication" "docs/flows/client-authentication.md";
    "registration"        "Flow: registration"           "docs/flows/registration.md";
    "resources"           "Flow: resources and claims"   "docs/flows/resources.md";
    "dpop"                "Flow: DPoP"                   "docs/flows/dpop.md";
    "refresh"             "Flow: refresh"                "docs/flows/refresh.md";
    "custom-token"        "Flow: custom token"           "docs/flows/custom-token.md";
    "token-exchange"      "Flow: token exchange"         "docs/flows/token-exchange.md";
    "transaction-tokens"  "Flow: transaction tokens"     "docs/flows/transaction-tokens.md";
    "trusted-issuers"     "Flow: trusted issuers"        "docs/flows/trusted-issuers.md";
    "jwt-bearer"          "Flow: tokens of others"       "docs/flows/jwt-bearer.md";
    "id-jag"              "Flow: identity assertions"    "docs/flows/id-jag.md";
    "action-tokens"       "Flow: action tokens"          "docs/flows/action-tokens.md";
    "signed-transactions" "Flow: signed transactions"    "docs/flows/signed-transactions.md";
    "logout"              "Flow: sign out"               "docs/flows/logout.md";
    "hooks"               "Flow: hooks"                  "docs/flows/hooks.md";
    "recipes"             "Set-ups to copy"              "docs/recipes/README.md";
    "oauth2-proxy"        "Set-up: oauth2-proxy"         "docs/recipes/oauth2-proxy.md";
    "grafana"             "Set-up: Grafana"              "docs/recipes/grafana.md";
    "authjs"              "Set-up: Auth.js"              "docs/recipes/authjs.md";
    "spring-security"     "Set-up: Spring Security"      "docs/recipes/spring-security.md";
    "gitea"               "Set-up: Gitea"                "docs/recipes/gitea.md";
    "openid-client"       "Set-up: openid-client"        "docs/recipes/openid-client.md";
    "single-page-app"     "Set-up: single-page app"      "docs/recipes/single-page-app.md";
    "native-apps"         "Set-up: native app"           "docs/recipes/native-apps.md";
    "mcp"                 "Set-up: MCP"                  "docs/recipes/mcp.md";
    "firebase-and-supabase" "Set-up: Firebase, Supabase" "docs/recipes/firebase-and-supabase.md";
    "your-own-backend" "Set-up: your own backend" "docs/recipes/your-own-backend.md";
    "bridges"             "Bridges"                      "docs/bridges/README.md" => |_| bridges::index();
    "firebase"            "Bridge: Firebase"             "docs/bridges/firebase.md";
    "jwt"                 "Bridge: any JWT verifier"     "docs/bridges/jwt.md";
    "supabase" "Bridge: Supabase" "docs/bridges/supabase.md" => |_| bridges::page("supabase");
    "appwrite" "Bridge: Appwrite" "docs/bridges/appwrite.md" => |_| bridges::page("appwrite");
    "instantdb" "Bridge: InstantDB" "docs/bridges/instantdb.md" => |_| bridges::page("instantdb");
    "postgrest" "Bridge: PostgREST, Neon" "docs/bridges/postgrest.md" => |_| bridges::page("postgrest");
    "hasura" "Bridge: Hasura, Nhost" "docs/bridges/hasura.md" => |_| bridges::page("hasura");
    "rabbitmq" "Bridge: RabbitMQ" "docs/bridges/rabbitmq.md" => |_| bridges::page("rabbitmq");
    "nats" "Bridge: NATS" "docs/bridges/nats.md" => |_| bridges::page("nats");
    "convex" "Bridge: Convex" "docs/bridges/convex.md" => |_| bridges::page("convex");
    "surrealdb" "Bridge: SurrealDB" "docs/bridges/surrealdb.md" => |_| bridges::page("surrealdb");
    "livekit" "Bridge: LiveKit" "docs/bridges/livekit.md" => |_| bridges::page("livekit");
    "stream" "Bridge: Stream" "docs/bridges/stream.md" => |_| bridges::page("stream");
    "ably" "Bridge: Ably" "docs/bridges/ably.md" => |_| bridges::page("ably");
    "pusher" "Bridge: Pusher Channels" "docs/bridges/pusher.md" => |_| bridges::page("pusher");
    "centrifugo" "Bridge: Centrifugo" "docs/bridges/centrifugo.md" => |_| bridges::page("centrifugo");
    "mercure" "Bridge: Mercure" "docs/bridges/mercure.md" => |_| bridges::page("mercure");
    "aws" "Bridge: AWS" "docs/bridges/aws.md" => |_| bridges::page("aws");
    "gcp" "Bridge: Google Cloud" "docs/bridges/gcp.md" => |_| bridges::page("gcp");
    "azure" "Bridge: Azure" "docs/bridges/azure.md" => |_| bridges::page("azure");
    "kubernetes" "Bridge: Kubernetes" "docs/bridges/kubernetes.md" => |_| bridges::page("kubernetes");
    "vault" "Bridge: Vault" "docs/bridges/vault.md" => |_| bridges::page("vault");
    "minio" "Bridge: MinIO" "docs/bridges/minio.md" => |_| bridges::page("minio");
    "bridge-grafana" "Bridge: Grafana" "docs/bridges/grafana.md" => |_| bridges::page("grafana");
    "trino" "Bridge: Trino" "docs/bridges/trino.md" => |_| bridges::page("trino");
    "clickhouse" "Bridge: ClickHouse" "docs/bridges/clickhouse.md" => |_| bridges::page("clickhouse");
    "kafka" "Bridge: Kafka" "docs/bridges/kafka.md" => |_| bridges::page("kafka");
    "dovecot" "Bridge: Dovecot" "docs/bridges/dovecot.md" => |_| bridges::page("dovecot");
    "ejabberd" "Bridge: ejabberd" "docs/bridges/ejabberd.md" => |_| bridges::page("ejabberd");
    "forward-auth"        "Bridge: nginx, Caddy, Traefik" "docs/bridges/forward-auth.md";
    "deploy"              "Operations: deploy"           "docs/operations/deploy.md";
    "administration"      "Operations: administration"   "docs/operations/administration.md";
    "network"             "Operations: TLS and network"  "docs/operations/network.md";
    "database"            "Operations: database"         "docs/operations/database.md";
    "webhooks"            "Operations: webhooks"         "docs/operations/webhooks.md";
    "import-export"       "Operations: import, export"   "docs/operations/import-export.md";
    "key-rotation"        "Operations: key rotation"     "docs/operations/key-rotation.md";
    "backup"              "Operations: backup"           "docs/operations/backup.md";
    "replicas"            "Operations: replicas"         "docs/operations/replicas.md";
    "api"                 "REST API"                     "docs/reference/endpoints.md" => api;
    "errors"              "Errors"                       "docs/reference/errors.md" => |_| errors();
    "configuration"       "Configuration"                "docs/reference/configuration.md" => |_| config::docs::render();
    "passmint"            "Configuration: an example"    "docs/examples/passmint.toml";
    "commands"            "Commands"                     "docs/reference/commands.md";
    "audit-events"        "Audit events"                 "docs/reference/audit-events.md" => |_| events();
    "import-format"       "Import and export format"     "docs/reference/import-format.md";
    "benchmarks"          "Benchmarks"                   "docs/reference/benchmarks.md";
    "specs"               "Specifications"               "docs/reference/specs.md";
    "conformance"         "Conformance"                  "docs/reference/conformance.md";
    "seed-table"          "Requested behaviours"         "docs/reference/seed-table.md";
    "threat-model"        "Threat model"                 "docs/threat-model.md";
}

/// The first page.
pub async fn index(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let result = render(&request, &site, GUIDES[0].name);
    site.answer(&request, result)
}

/// A documentation page.
pub async fn page(request: HttpRequest, site: web::Data<Site>, name: web::Path<String>) -> HttpResponse {
    let result = render(&request, &site, &name);
    site.answer(&request, result)
}

fn render(request: &HttpRequest, site: &Site, name: &str) -> Result<HttpResponse, Failure> {
    let guide = GUIDES
        .iter()
        .find(|guide| guide.name == name)
        .ok_or_else(|| Failure::new(Kind::NotFound, "There is no such page."))?;
    let nav = GUIDES.iter().map(|other| DocLink {
        href: address(other),
        title: other.title.to_owned(),
        current: other.name == name,
    });
    let rendered = rendered(guide, site.public_url.as_str());
    let view = DocPage {
        frame: site.frame(request, None, Boot::default()),
        title: guide.title.to_owned(),
        body: OwnMarkup::new(rendered.body),
        contents: rendered.contents,
        nav: nav.collect(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

/// Whether a path belongs to the documentation, the only pages on the administration listener.
pub fn is_page(path: &str) -> bool {
    path.strip_prefix("/docs").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn address(guide: &Guide) -> String {
    format!("/docs/{}", guide.name)
}

/// A page's text as markup. Links to other pages lead to where they are served. Links to files that are not served
/// (sources, tests) become plain text, because they have no target offline.
fn rendered(guide: &Guide, origin: &str) -> Rendered {
    markup::render(&guide.markdown(origin), guide.path, &|target| {
        GUIDES.iter().find(|other| other.path == target).map(address)
    })
}
