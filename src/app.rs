//! The running server: listeners, rooms, routes, background work, and an orderly shutdown.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App as ActixApp, HttpServer};
use aws_lc_rs::hmac;
use metrics_exporter_prometheus::PrometheusHandle;
use uuid::Uuid;

use crate::account::Accounts;
use crate::account::guards::Guard;
use crate::account::page_tokens::PageTokens;
use crate::admin::Administration;
use crate::assembly::{self, Rooms, StartError};
use crate::background::Background;
use crate::bridge::callout;
use crate::bridge::handlers::BridgeDesk;
use crate::bridge::trusted::TrustedIssuers;
use crate::clients::rules::Rules;
use crate::clock::Clock;
use crate::config::{ChallengeStore, Config, RegistrationMode};
use crate::domain::client::{Client, ClientDefinition, ClientKind};
use crate::domain::exchange::Issues;
use crate::domain::scope::Scopes;
use crate::dpop::Dpop;
use crate::forward_auth::ForwardAuth;
use crate::hooks::webhooks::Sender;
use crate::hooks::{AfterSignIn, Webhooks};
use crate::logout::backchannel::Backchannel;
use crate::logout::session_state::BrowserStates;
use crate::oidc::Oidc;
use crate::oidc::client_keys::ClientKeys;
use crate::oidc::discovery::{Capabilities, Published};
use crate::oidc::registration::{Policy, Registration};
use crate::outbound::logos::Logos;
use crate::outbox::{Handlers, Outbox};
use crate::routes;
use crate::routes::fallback;
use crate::site::Site;
use crate::site::admin;
use crate::site::well_known::pointer;
use crate::storage::Db;
use crate::storage::cluster::Cluster;
use crate::web::body::{BODY_LIMIT, BodyLimits};
use crate::web::caller::TrustedProxies;
use crate::web::connections::Connections;
use crate::web::cookies::Cookies;
use crate::web::cors::SelfRegistration;
use crate::web::headers::{Https, ResourcePointer};
use crate::web::health::Health;
use crate::web::limits::Limits;
use crate::web::tls::Certificate;
use crate::web::{cors, head_limits, headers, listener, nul, unread};
use crate::{process, telemetry};

/// A server whose rooms are ready and whose ports are bound.
pub struct App {
    config: Arc<Config>,
    public: Vec<TcpListener>,
    admin: Option<TcpListener>,
    shared: Shared,
    background: Background,
    callout: callout::service::Service,
    certificate: Option<Arc<Certificate>>,
    metrics: Option<PrometheusHandle>,
    cluster: Option<Cluster>,
    db: Db,
}

/// The data for handlers; each worker has a clone.
#[derive(Clone)]
struct Shared {
    ceremonies: Data<Arc<crate::ceremony::Ceremonies>>,
    accounts: Data<Arc<Accounts>>,
    oidc: Data<Arc<Oidc>>,
    trusted_issuers: Data<TrustedIssuers>,
    desk: Data<BridgeDesk>,
    forward_auth: Data<Arc<ForwardAuth>>,
    keys: Data<Arc<crate::tokens::Keys>>,
    clients: Data<Arc<crate::clients::Clients>>,
    guard: Data<Guard>,
    site: Data<Site>,
    administration: Data<Arc<Administration>>,
    registration: Data<Arc<Registration>>,
    self_registration: SelfRegistration,
    pointer: Data<ResourcePointer>,
    limits: Data<Limits>,
    health: Data<Health>,
    proxies: Data<TrustedProxies>,
    https: Data<Https>,
    body_limits: Data<BodyLimits>,
}

impl Shared {
    fn register(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(self.ceremonies.clone())
            .app_data(self.accounts.clone())
            .app_data(self.oidc.clone())
            .app_data(self.trusted_issuers.clone())
            .app_data(self.desk.clone())
            .app_data(self.forward_auth.clone())
            .app_data(self.keys.clone())
            .app_data(self.clients.clone())
            .app_data(self.guard.clone())
            .app_data(self.site.clone())
            .app_data(self.administration.clone())
            .app_data(self.registration.clone())
            .app_data(self.self_registration)
            .app_data(self.pointer.clone())
            .app_data(self.limits.clone())
            .app_data(self.health.clone())
            .app_data(self.proxies.clone())
            .app_data(self.https.clone())
            .app_data(self.body_limits.clone());
    }
}

impl App {
    /// Binds the ports and builds the rooms. `source` names the configuration file. Call it from a thread that lives as
    /// long as the server: the private cluster stops with the thread that started it.
    pub fn build(config: Config, clock: &Clock, source: &str) -> Result<Self, StartError> {
        let config = Arc::new(config);
        // Before anything slow: a port in use is the most common mistake.
        let public = listener::bind_all(&config.server.listen, "listen").map_err(StartError::Listen)?;
        let admin = config.server.admin_listen.map(|address| listener::bind(address, "admin_listen"));
        let admin = admin.transpose().map_err(StartError::Listen)?;
        let certificate = certificate(&config, clock)?;
        let rooms = assembly::assemble(&config, clock, source)?;
        let metrics = telemetry::start_metrics();
        let (shared, mut background) = furnish(&config, clock, &rooms);
        let callout = answering_nats(&shared, clock, &rooms);
        background.certificate.clone_from(&certificate);
        let Rooms { db, cluster, .. } = rooms;
        Ok(Self { config, public, admin, shared, background, callout, certificate, metrics, cluster, db })
    }

    /// The addresses of the public listener.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.public.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The address of the administration listener.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The database, for programs that embed the server: the tests.
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// Serves until `stop` resolves, then lets requests in flight finish.
    ///
    /// # Errors
    /// When the listeners fail.
    pub async fn run(self, stop: impl Future<Output = ()> + 'static) -> std::io::Result<()> {
        let Self { config, public, admin, shared, background, callout, certificate, metrics, cluster, db } = self;
        let health = shared.health.clone();
        let server_id = background.server;
        let mut server = public_server(&config, public, &shared, certificate.as_ref())?;
        let handle = server.handle();
        let admin = admin.map(|listener| admin_server(listener, &shared, metrics)).transpose()?;
        let outbox = Arc::clone(&background.outbox);
        let courier = actix_web::rt::spawn(Arc::clone(&outbox).run());
        let keeper = actix_web::rt::spawn(background.run());
        let answering = actix_web::rt::spawn(callout.run());
        actix_web::rt::spawn(stop_when(stop, handle.clone(), health));
        if let Some(admin) = admin {
            actix_web::rt::spawn(admin);
        }
        let result = tokio::select! {
            result = &mut server => result,
            fault = ended(cluster.as_ref()) => {
                actix_web::rt::spawn(handle.stop(true));
                server.await.and(Err(fault))
            }
        };
        answering.abort();
        outbox.stop();
        // Deliveries in flight may finish; another server, or the next start, delivers the rest.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(6), courier).await;
        keeper.abort();
        Background::leave(&db, server_id).await;
        drop(db);
        drop(cluster);
        result
    }
}

/// Resolves when the private PostgreSQL has stopped. It does not restart by itself, and only the thread that started
/// the server could start another one, so the server ends and leaves that to its supervisor.
async fn ended(cluster: Option<&Cluster>) -> std::io::Error {
    let Some(cluster) = cluster else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        ticks.tick().await;
        if !cluster.is_running() {
            let log = cluster.log().display();
            return std::io::Error::other(format!(
                "its private PostgreSQL has ended (its last words are in {log}); start passmint again: what was confirmed is kept"
            ));
        }
    }
}

async fn stop_when(stop: impl Future<Output = ()>, server: ServerHandle, health: Data<Health>) {
    stop.await;
    tracing::info!("stopping: no new work, requests in flight may end");
    health.stop();
    server.stop(true).await;
}

fn public_server(
    config: &Config,
    listeners: Vec<TcpListener>,
    shared: &Shared,
    certificate: Option<&Arc<Certificate>>,
) -> std::io::Result<actix_web::dev::Server> {
    let standard = |duration: chrono::Duration| duration.to_std().unwrap_or_default();
    let proxies = TrustedProxies(config.server.trusted_proxies.clone());
    let per_caller = Connections::new(config.limits.connections_per_caller, proxies);
    let shared = shared.clone();
    let mut server = HttpServer::new(move || {
        ActixApp::new()
            .configure(|config| shared.register(config))
            .configure(routes::register)
            .default_service(web::to(fallback::nothing_here))
            .wrap(from_fn(nul::refuse))
            .wrap(from_fn(head_limits::refuse))
            .wrap(from_fn(unread::close))
            .wrap(from_fn(cors::allow_clients))
            // Outside CORS, so that preflights carry the policy too, and it does not forbid what CORS allows.
            .wrap(from_fn(headers::secure))
            .wrap(from_fn(telemetry::observe))
    })
    .on_connect(move |stream, of_connection| per_caller.welcome(stream, of_connection))
    .client_request_timeout(standard(config.limits.header_timeout))
    .client_disconnect_timeout(std::time::Duration::from_secs(2))
    .keep_alive(standard(config.limits.keep_alive))
    .shutdown_timeout(10)
    .disable_signals();
    let workers = if config.server.workers == 0 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        config.server.workers
    };
    let connections = config.limits.connections.min(process::connections_at_most());
    let connections = usize::try_from(connections).unwrap_or(10_000);
    server = server
        .workers(workers)
        .max_connections((connections / workers).max(1))
        // As many blocking threads as there are connections to wait for, divided among the workers.
        .worker_max_blocking_threads((config.database.pool as usize / workers).max(2));
    for listener in listeners {
        server = match certificate {
            Some(certificate) => {
                let tls = certificate.server_config().map_err(std::io::Error::other)?;
                server.listen_rustls_0_23(listener, tls)?
            }
            None => server.listen(listener)?,
        };
    }
    Ok(server.run())
}

fn admin_server(
    listener: TcpListener,
    shared: &Shared,
    metrics: Option<PrometheusHandle>,
) -> std::io::Result<actix_web::dev::Server> {
    let shared = shared.clone();
    let metrics = Data::new(metrics);
    Ok(HttpServer::new(move || {
        ActixApp::new()
            .configure(|config| shared.register(config))
            .app_data(metrics.clone())
            .configure(admin::register)
            .default_service(web::to(fallback::nothing_to_administer))
            .wrap(from_fn(head_limits::refuse))
            .wrap(from_fn(headers::secure))
            .wrap(from_fn(telemetry::observe))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?
    .run())
}

/// The server's own certificate, if it terminates TLS itself.
fn certificate(config: &Config, clock: &Clock) -> Result<Option<Arc<Certificate>>, StartError> {
    let Some(files) = &config.tls else { return Ok(None) };
    // A missing file is reported together with all other mistakes.
    assembly::Declarations::read(config)?;
    let (certificate, warnings) =
        Certificate::open(files, config.server.public_url.host(), clock.now()).map_err(StartError::Tls)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(Some(certificate))
}

fn furnish(config: &Arc<Config>, clock: &Clock, rooms: &Rooms) -> (Shared, Background) {
    let url = url::Url::parse(config.issuer()).ok();
    let https = url.as_ref().is_some_and(|url| url.scheme() == "https");
    let port = url.as_ref().and_then(url::Url::port_or_known_default).unwrap_or(0);
    let background = background(config, clock, rooms);
    let guard = guard(config, clock, (rooms, &background.outbox), Cookies::new(https, port));
    let registration = Arc::new(registration(config, clock, rooms));
    let oidc = oidc(config, clock, rooms, (&guard.dpop, &registration));
    let proxies = TrustedProxies(config.server.trusted_proxies.clone());
    let forward_auth = ForwardAuth::new(&config.forward_auth, proxies.clone(), guard.clone());
    let shared = Shared {
        ceremonies: Data::new(Arc::clone(&rooms.ceremonies)),
        accounts: Data::new(Arc::clone(&guard.accounts)),
        desk: Data::new(desk(rooms, clock, oidc.published.keys_max_age)),
        oidc: Data::new(Arc::new(oidc)),
        trusted_issuers: Data::from(Arc::clone(&rooms.trusted_issuers)),
        forward_auth: Data::new(Arc::new(forward_auth)),
        keys: Data::new(Arc::clone(&rooms.keys)),
        clients: Data::new(Arc::clone(&rooms.clients)),
        site: Data::new(Site::new(config, clock, &rooms.keys, guard.page_tokens.clone(), routes::is_page)),
        guard: Data::new(guard),
        administration: Data::new(Arc::new(administration(config, clock, rooms))),
        registration: Data::new(registration),
        self_registration: SelfRegistration(config.registration.mode != RegistrationMode::Off),
        pointer: Data::new(ResourcePointer(pointer(config.issuer()))),
        limits: Data::from(Arc::clone(&rooms.limits)),
        health: Data::from(Arc::clone(&background.health)),
        proxies: Data::new(proxies),
        https: Data::new(Https(https)),
        body_limits: Data::new(BodyLimits {
            most: usize::try_from(config.limits.body).unwrap_or(BODY_LIMIT).min(BODY_LIMIT),
            within: config.limits.body_timeout.to_std().unwrap_or_default(),
        }),
    };
    (shared, background)
}

/// Determines who is signed in, and how.
fn guard(config: &Config, clock: &Clock, (rooms, outbox): (&Rooms, &Arc<Outbox>), cookies: Cookies) -> Guard {
    let keys = &rooms.keys;
    let browser_states = || Arc::new(BrowserStates::new(&keys.derive("browser-state")));
    Guard {
        accounts: Arc::new(Accounts {
            db: rooms.db.clone(),
            outbox: Arc::clone(outbox),
            clock: clock.clone(),
            lifetimes: assembly::session_lifetimes(config),
        }),
        mint: Arc::clone(&rooms.mint),
        clients: Arc::clone(&rooms.clients),
        cookies,
        page_tokens: PageTokens::new(&keys.derive("csrf")),
        browser_states: config.session.check_iframe.then(browser_states),
        dpop: Arc::new(Dpop::new(
            rooms.db.clone(),
            clock.clone(),
            config.server.public_url.url().clone(),
            &keys.derive("dpop-nonce"),
            config.dpop.require_nonce,
        )),
        public_origin: config.issuer().to_owned(),
    }
}

/// The endpoints of OAuth and OpenID Connect.
fn oidc(config: &Config, clock: &Clock, rooms: &Rooms, (dpop, registration): (&Arc<Dpop>, &Arc<Registration>)) -> Oidc {
    Oidc {
        db: rooms.db.clone(),
        clock: clock.clone(),
        clients: Arc::clone(&rooms.clients),
        mint: Arc::clone(&rooms.mint),
        ceremonies: Arc::clone(&rooms.ceremonies),
        registration: Arc::clone(registration),
        client_keys: ClientKeys::new(&rooms.outbound, clock.clone()),
        logos: Logos::new(&rooms.outbound, clock.clone()),
        dpop: Arc::clone(dpop),
        trusted_issuers: Arc::clone(&rooms.trusted_issuers),
        authorization_servers: config.authorization_servers.clone(),
        exchange_rules: config.exchange_rules.clone(),
        limits: Arc::clone(&rooms.limits),
        retry_window: config.tokens.refresh_retry_window,
        published: published(config, rooms),
    }
}

/// The work besides requests.
fn background(config: &Arc<Config>, clock: &Clock, rooms: &Rooms) -> Background {
    Background {
        server: Uuid::from_bytes(crate::random::bytes()),
        db: rooms.db.clone(),
        clock: clock.clone(),
        keys: Arc::clone(&rooms.keys),
        clients: Arc::clone(&rooms.clients),
        resources: Arc::clone(&rooms.resources),
        bridges: Arc::clone(&rooms.bridges),
        health: Arc::new(Health::new(Arc::clone(&rooms.keys), rooms.key_plan.vital())),
        limits: Arc::clone(&rooms.limits),
        key_plan: rooms.key_plan.clone(),
        outbox: Arc::new(outbox(config, clock, rooms)),
        certificate: None,
        unused_clients: config.registration.unused_lifetime,
        keep_events: config.audit.keep,
        challenge_store: match config.challenges.store {
            ChallengeStore::Memory => "memory",
            ChallengeStore::Database => "database",
        },
    }
}

fn answering_nats(shared: &Shared, clock: &Clock, rooms: &Rooms) -> callout::service::Service {
    let desk = callout::answer::Desk {
        guard: shared.guard.get_ref().clone(),
        bridges: Arc::clone(&rooms.bridges),
        limits: Arc::clone(&shared.limits),
        db: rooms.db.clone(),
        clock: clock.clone(),
    };
    callout::service::Service::new(desk, &rooms.outbound)
}

fn outbox(config: &Config, clock: &Clock, rooms: &Rooms) -> Outbox {
    let backchannel = Backchannel {
        mint: Arc::clone(&rooms.mint),
        clients: Arc::clone(&rooms.clients),
        outbound: rooms.outbound.apart(),
    };
    let sender = Sender { outbound: rooms.outbound.clone(), issuer: config.issuer().to_owned() };
    let webhooks = Webhooks { all: sender.apart_for(&rooms.webhooks), db: rooms.db.clone() };
    let after_sign_in = AfterSignIn { all: sender.apart_for(&rooms.hooks_after), db: rooms.db.clone() };
    Outbox::new(rooms.db.clone(), clock.clone(), Handlers { backchannel, webhooks, after_sign_in })
}

fn published(config: &Config, rooms: &Rooms) -> Published {
    let capabilities = Capabilities {
        issuer: config.issuer().to_owned(),
        algorithms: rooms.key_plan.token_algorithms(),
        registration: config.registration.mode != RegistrationMode::Off,
        metadata_documents: config.registration.metadata_documents,
        sign_up: config.server.allow_sign_up,
        check_iframe: config.session.check_iframe,
        token_exchange: !config.exchange_rules.is_empty(),
        jwt_bearer: rooms.trusted_issuers.grant_tokens(),
        gives_assertions: !config.authorization_servers.is_empty()
            && config.exchange_rules.iter().any(|rule| rule.issues.contains(&Issues::IdJag)),
        takes_assertions: rooms.trusted_issuers.grant_assertions(),
    };
    Published::new(&capabilities, config.keys.publish_before_signing)
}

fn administration(config: &Config, clock: &Clock, rooms: &Rooms) -> Administration {
    Administration {
        db: rooms.db.clone(),
        clock: clock.clone(),
        clients: Arc::clone(&rooms.clients),
        resources: Arc::clone(&rooms.resources),
        bridges: Arc::clone(&rooms.bridges),
        key_plan: rooms.key_plan.clone(),
        fresh_within: config.session.fresh_verification,
        client_rules: Rules::of(config),
        one_time: hmac::Key::new(hmac::HMAC_SHA256, &rooms.keys.derive("one-time-secrets")),
    }
}

fn registration(config: &Config, clock: &Clock, rooms: &Rooms) -> Registration {
    Registration {
        db: rooms.db.clone(),
        clock: clock.clone(),
        clients: Arc::clone(&rooms.clients),
        rules: Rules::of(config),
        issuer: config.issuer().to_owned(),
        policy: Policy::of(&config.registration, &rooms.key_plan.token_algorithms()),
        outbound: rooms.outbound.clone(),
        documents: crate::outbound::lru(1000),
    }
}

fn desk(rooms: &Rooms, clock: &Clock, keys_max_age: i64) -> BridgeDesk {
    BridgeDesk {
        keys_max_age,
        bridges: Arc::clone(&rooms.bridges),
        clients: Arc::clone(&rooms.clients),
        db: rooms.db.clone(),
        clock: clock.clone(),
        own_client: Arc::new(Client {
            id: "passmint".to_owned(),
            definition: ClientDefinition {
                name: "Passmint's own pages".to_owned(),
                kind: ClientKind::Public,
                first_party: true,
                scopes: ["openid", "bridge:*"].into_iter().collect::<Scopes>(),
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        }),
    }
}
