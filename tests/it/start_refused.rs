//! A refused start has changed nothing: the database may be somebody else's.

use std::fs;
use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use passmint::storage::relying_parties;
use passmint::tokens::seal::MasterKey;
use tempfile::TempDir;

use crate::authenticator::Authenticator;
use crate::support::program::{Program, refusal, serve, serve_on};
use crate::support::{Database, TestApp, free_port};

/// Declarations that another configuration would remove.
const LIVE: &str = r#"[clients.shop]
kind = "public"
first_party = true
grants = ["passkey"]

[resources."https://orders.example"]
name = "Orders"

[bridges.backend]
preset = "jwt"
audience = "https://backend.example"

[webhooks.hr]
url = "https://hr.example/"
secret_file = "hr.secret"
events = ["*"]
"#;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    row: String,
}

/// Every row that a start may rewrite, as text.
fn declared(database: &Database) -> Vec<String> {
    let mut conn = PgConnection::establish(database.url()).expect("a connection");
    let tables = [
        "clients",
        "resources",
        "bridges",
        "event_receivers",
        "outbox",
        "signing_keys",
        "installation",
        "changes",
        "audit_events",
        "retired_relying_parties",
    ];
    let mut all = Vec::new();
    for table in tables {
        let sql = format!("SELECT '{table} ' || t::text AS row FROM {table} AS t ORDER BY 1");
        all.extend(diesel::sql_query(sql).load::<Row>(&mut conn).expect(table).into_iter().map(|row| row.row));
    }
    all
}

fn execute(database: &Database, sql: &str) {
    PgConnection::establish(database.url()).expect("a connection").batch_execute(sql).expect(sql);
}

/// With a public URL, as in most starts.
fn at_localhost(mut command: Command) -> Command {
    command.args(["--public-url", &format!("http://localhost:{}", free_port())]);
    command
}

/// A database that a server has used, with a message waiting for its receiver, and a passkey.
fn left_behind(directory: &Path) -> Database {
    let database = Database::create();
    fs::write(directory.join("passmint.toml"), LIVE).unwrap();
    fs::write(directory.join("hr.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let program = Program::start(serve_on(directory, &database, &[]));
    program.browser().sign_up(&mut Authenticator::synchronised(&program.origin));
    program.kill();
    database
}

#[test]
fn a_start_that_is_refused_leaves_everything_as_it_was() {
    let (home, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let database = left_behind(home.path());
    let quiet = [("admin_listen", "off")];
    let before = declared(&database);
    for part in ["clients (shop,", "event_receivers (webhook,hr,", "bridges (backend,", "outbox ("] {
        assert!(before.iter().any(|row| row.starts_with(part)), "{part} in {before:#?}");
    }

    let mut keyless = serve(elsewhere.path(), &quiet);
    keyless.env("DATABASE_URL", database.url());
    let said = refusal(at_localhost(keyless));
    assert!(said.contains("is sealed with master key"), "{said}");
    assert_eq!(declared(&database), before, "without a key");

    MasterKey::create(&elsewhere.path().join("other.key")).expect("another key");
    let mut with_another = serve_on(elsewhere.path(), &database, &quiet);
    with_another.env("PASSMINT_MASTER_KEY_FILE", elsewhere.path().join("other.key"));
    let said = refusal(at_localhost(with_another));
    assert!(said.contains("but the database is sealed with"), "{said}");
    assert_eq!(declared(&database), before, "with another key");

    execute(
        &database,
        "UPDATE credential_index SET rp_id = 'old.example'; UPDATE credentials SET rp_id = 'old.example'",
    );
    let said = refusal(at_localhost(serve_on(elsewhere.path(), &database, &quiet)));
    assert!(said.contains("old.example (1)"), "{said}");
    assert_eq!(declared(&database), before, "where passkeys would be lost");

    // A key that cannot be unsealed is found last.
    execute(
        &database,
        "UPDATE signing_keys SET sealed = substr(sealed, 1, octet_length(sealed) / 2) WHERE algorithm = 'RS256'",
    );
    execute(&database, "UPDATE credential_index SET rp_id = 'localhost'; UPDATE credentials SET rp_id = 'localhost'");
    let damaged = declared(&database);
    let said = refusal(at_localhost(serve_on(elsewhere.path(), &database, &quiet)));
    assert!(said.contains("damaged or not in its place"), "{said}");
    assert_eq!(declared(&database), damaged, "with a key that does not open");
}

/// What the tests above would detect: another configuration removes what it does not declare, and the audit trail says
/// so.
#[test]
fn a_start_with_another_configuration_tells_what_it_took_away() {
    let (home, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let database = left_behind(home.path());
    let before = declared(&database);
    Program::start(serve_on(elsewhere.path(), &database, &[])).kill();
    let after = declared(&database);
    assert_ne!(after, before);
    for kind in ["client.changed", "resource.changed", "bridge.changed"] {
        let told = |row: &&String| row.starts_with("audit_events (") && row.contains(kind);
        let gone = after.iter().filter(told).filter(|row| row.contains("no longer declared")).count();
        assert_eq!(gone, 1, "{kind} in {after:#?}");
    }
}

#[derive(QueryableByName)]
struct Reads {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// There may be millions, and the start has no more time than any other statement.
#[test]
fn the_guard_does_not_read_every_passkey() {
    let app = TestApp::spawn();
    app.person();
    app.sql(
        "INSERT INTO credentials (id, user_id, rp_id, credential_id, passkey, algorithm, user_verified, backup_eligible,
             backup_state, name, created_at)
         SELECT gen_random_uuid(), users.id, rp_id, decode(md5(n::text), 'hex'), '{}', -7, true, true, true, 'n', now()
         FROM users, generate_series(1, 10000) AS n, unnest(ARRAY['given-up.example', 'old.example']) AS rp_id;
         INSERT INTO retired_relying_parties (rp_id, retired_at) VALUES ('given-up.example', now())",
    );
    let (in_use, counted, reads) = app
        .db
        .blocking_tx(|conn| {
            let in_use = relying_parties::in_use(conn)?;
            let counted = relying_parties::count(conn, "old.example", 100)?;
            // Reads of the table and its indexes.
            let reads = "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint AS n FROM (
                 SELECT 'credentials'::regclass AS oid UNION ALL
                 SELECT indexrelid FROM pg_index WHERE indrelid = 'credentials'::regclass) AS all_of_it";
            Ok((in_use, counted, diesel::sql_query(reads).get_result::<Reads>(conn)?.n))
        })
        .expect("the queries run");
    assert_eq!(in_use, ["localhost", "old.example"]);
    assert_eq!(counted, 100, "and no further");
    assert!((1..500).contains(&reads), "{reads} rows were read");
    let all = app.db.blocking(relying_parties::stored).expect("it is counted");
    assert_eq!(
        all,
        [("given-up.example", 10_000), ("localhost", 1), ("old.example", 10_000)].map(|(id, n)| (id.to_owned(), n))
    );
}
