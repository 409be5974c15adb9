//! One structured log line per request, and the metrics.
//!
//! Invariants: no secret, token, cookie, e-mail or query string appears in a log line; metric labels come from a closed
//! list. To log something: `tracing` with dotted field names; the request's span adds its id and trace.

mod lines;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Instrument as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::lines::{LastLines, Lines};
use crate::config::{Log, LogFormat, LogLevel};
use crate::random;
use crate::web::caller::RequestId;

/// Libraries whose debug lines show credentials, or are too many, with the most detailed level allowed for each.
const QUIET: [(&str, LevelFilter); 6] = [
    ("webauthn_rs", LevelFilter::INFO),
    ("webauthn_rs_core", LevelFilter::INFO),
    ("webauthn_rs_proto", LevelFilter::INFO),
    ("actix_server", LevelFilter::WARN),
    ("actix_http", LevelFilter::INFO),
    ("mio", LevelFilter::INFO),
];

/// Starts logging to standard error. Only the first call in a process counts. The last lines are written when the
/// returned value is dropped.
pub fn start_logging(log: &Log, terminal: bool) -> LastLines {
    // Without a thread to write them, lines are written by those who log them.
    let gathered = Lines::start(std::io::stderr()).ok();
    let writer = gathered.clone().map_or_else(|| BoxMakeWriter::new(std::io::stderr), BoxMakeWriter::new);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_span_events(FmtSpan::NONE)
        // If the reader is gone, logging must not panic: the server could not even shut down.
        .log_internal_errors(false);
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.with_target(false).with_ansi(terminal).boxed()
    };
    // A second start (in tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(filter(log.level)).with(lines).try_init();
    LastLines(gathered)
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(level).with_targets(QUIET.map(|(target, most)| (target, most.min(level))))
}

/// Installs the metrics recorder; the handle renders the metrics. `None` if another recorder was installed before.
pub fn start_metrics() -> Option<PrometheusHandle> {
    const SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("passmint_request_seconds".to_owned()), &SECONDS)
        .ok()?
        .install_recorder()
        .ok()
}

/// The caller's position in a distributed trace (W3C Trace Context, `traceparent`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    id: String,
    parent: String,
}

impl Trace {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>`; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
        let good =
            version == "00" && parts.next().is_none() && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        (good && !is_zero(id) && !is_zero(parent)).then(|| Self { id: id.to_owned(), parent: parent.to_owned() })
    }
}

/// Gives every request an id, a span and a log line.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = random::uuid().simple().to_string();
    let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).and_then(Trace::parse);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        trace.id = trace.as_ref().map_or("", |trace| &trace.id),
        trace.parent = trace.as_ref().map_or("", |trace| &trace.parent),
    );
    let began = std::time::Instant::now();
    let mut result = next.call(request).instrument(span.clone()).await;
    let seconds = began.elapsed().as_secs_f64();
    if let Ok(response) = &mut result {
        let _in_span = span.enter();
        let status = response.status().as_u16();
        // The route's pattern, not the path: ids must not appear in lines and labels.
        let route = response.request().match_pattern().unwrap_or_else(|| "(none)".to_owned());
        tracing::info!(http.method = %method, http.route = route, http.status = status, seconds, "answered");
        metrics::histogram!("passmint_request_seconds").record(seconds);
        metrics::counter!("passmint_requests_total", "status" => class_of(status)).increment(1);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
    }
    result
}

const fn class_of(status: u16) -> &'static str {
    match status {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_that_tell_too_much_are_quiet_at_every_level() {
        let most_of = |asked| {
            let filter = filter(asked);
            let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
            let most = |target| levels.into_iter().find(|level| filter.would_enable(target, level)).unwrap();
            ["passmint::app", "webauthn_rs_core::core", "actix_http::h1", "actix_server::worker"].map(most)
        };
        for (asked, most) in [
            (LogLevel::Trace, [Level::TRACE, Level::INFO, Level::INFO, Level::WARN]),
            (LogLevel::Debug, [Level::DEBUG, Level::INFO, Level::INFO, Level::WARN]),
            (LogLevel::Info, [Level::INFO, Level::INFO, Level::INFO, Level::WARN]),
            (LogLevel::Warn, [Level::WARN; 4]),
            (LogLevel::Error, [Level::ERROR; 4]),
        ] {
            assert_eq!(most_of(asked), most, "{asked:?}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_counts() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Trace::parse(good).unwrap().id, "0af7651916cd43dd8448eb211c80319c");
        for (name, text) in [
            ("upper case", good.to_uppercase()),
            ("another version", good.replacen("00", "ff", 1)),
            ("zero id", "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned()),
            ("zero parent", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned()),
            ("short", good[..54].to_owned()),
            ("long", format!("{good}-x")),
            ("a newline", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\n".to_owned()),
            ("empty", String::new()),
        ] {
            assert_eq!(Trace::parse(&text), None, "{name}");
        }
    }
}
