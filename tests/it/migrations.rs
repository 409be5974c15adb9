//! The schema: up, down and up again give the same; the code's definition of it is correct; it documents itself.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use passmint::storage::migrations;

use crate::support::{Database, TestApp};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(conn: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows: Vec<Line> = diesel::sql_query(sql).load(conn).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.line).collect()
}

fn connect(database: &Database) -> PgConnection {
    PgConnection::establish(database.url()).expect("a connection")
}

/// Everything the migrations create, as text: columns, constraints, indexes, comments.
fn picture(conn: &mut PgConnection) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT format('%s.%s %s %s %s %s', table_name, column_name, ordinal_position, udt_name, is_nullable, \
         coalesce(column_default, '')) AS line FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
        "SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS line FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT format('%s %s %s', c.relname, d.objsubid, d.description) AS line FROM pg_description d \
         JOIN pg_class c ON c.oid = d.objoid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT format('%s %s', relname, relpersistence) AS line FROM pg_class WHERE relkind = 'r' \
         AND relnamespace = 'public'::regnamespace ORDER BY 1",
    ] {
        all.extend(lines(conn, sql));
    }
    all
}

#[test]
fn up_down_and_up_again_is_the_same() {
    let database = Database::create();
    let mut conn = connect(&database);
    assert_eq!(migrations::pending(&mut conn).unwrap(), Vec::<String>::new(), "the template is up to date");
    let before = picture(&mut conn);
    assert!(before.len() > 100, "the picture shows something: {}", before.len());

    migrations::revert_all(&mut conn).expect("down");
    let left = lines(
        &mut conn,
        "SELECT relname::text AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    );
    assert!(left.iter().all(|name| name.starts_with("__diesel")), "nothing is left behind: {left:?}");
    let pending = migrations::pending(&mut conn).unwrap();
    assert!(!pending.is_empty());

    assert_eq!(migrations::migrate(&mut conn).expect("up again").len(), pending.len());
    assert_eq!(picture(&mut conn), before);
    assert!(migrations::migrate(&mut conn).expect("a second time").is_empty(), "nothing is applied twice");
}

/// A server that starts while another migrates waits for it, and finds nothing left to do.
#[test]
fn servers_that_start_together_migrate_once() {
    let database = Database::create();
    migrations::revert_all(&mut connect(&database)).expect("down");
    let url = database.url();
    let applied: Vec<usize> = std::thread::scope(|scope| {
        let start = || {
            let mut conn = PgConnection::establish(url).expect("a connection");
            migrations::locked(&mut conn, migrations::migrate).expect("migrated").len()
        };
        let servers: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        servers.into_iter().map(|server| server.join().expect("no panic")).collect()
    });
    assert_eq!(applied.iter().filter(|count| **count > 0).count(), 1, "{applied:?}");
}

/// A migration that fails leaves nothing of itself behind, and the ones before it stay. Once the obstacle is removed,
/// the next start continues.
#[test]
fn a_migration_that_fails_leaves_what_can_be_gone_on_with() {
    let database = Database::create();
    let mut conn = connect(&database);
    let whole = picture(&mut conn);
    migrations::revert_all(&mut conn).expect("down");
    let all = migrations::pending(&mut conn).unwrap();
    // One of the last tables of a migration that creates a dozen.
    conn.batch_execute("CREATE TABLE outbox (n int)").expect("something in its way");
    for _ in 0..2 {
        migrations::locked(&mut conn, migrations::migrate).expect_err("it fails");
        let left = migrations::pending(&mut conn).unwrap();
        assert!((1..all.len()).contains(&left.len()), "{left:?}");
        assert_eq!(left, all[all.len() - left.len()..], "those before it stay");
    }
    conn.batch_execute("DROP TABLE outbox").expect("cleared");
    migrations::migrate(&mut conn).expect("up");
    assert_eq!(picture(&mut conn), whole);
}

/// Of two ids in one system, the one that an import recognises stays, otherwise the newest.
#[test]
fn one_id_of_each_system_stays() {
    let app = TestApp::spawn();
    app.person();
    app.person();
    app.sql(include_str!("../../migrations/2026-11-22-000950_one_id_of_each_source/down.sql"));
    for (source, id, mark, who) in [
        ("hr", "older", "NULL", "min"),
        ("hr", "newer", "NULL", "min"),
        ("hr", "marked", "decode(repeat('00', 17), 'hex')", "max"),
        ("hr", "unmarked", "NULL", "max"),
        ("crm", "only", "NULL", "max"),
    ] {
        app.sql(&format!(
            "INSERT INTO external_ids (source, external_id, user_id, imported_as) \
             SELECT '{source}', '{id}', {who}(id::text)::uuid, {mark} FROM users"
        ));
    }
    app.sql(include_str!("../../migrations/2026-11-22-000950_one_id_of_each_source/up.sql"));
    assert_eq!(app.count("SELECT count(*) AS n FROM external_ids"), 3);
    let kept = "SELECT count(*) AS n FROM external_ids WHERE external_id IN ('newer', 'marked', 'only')";
    assert_eq!(app.count(kept), 3);
}

/// Every sign-in runs this query. It must not scan all passkeys of the RP id, not even before the first statistics.
#[test]
fn a_persons_passkeys_are_found_by_person() {
    let database = Database::create();
    let mut conn = connect(&database);
    conn.batch_execute(
        "INSERT INTO users (id, user_handle, created_at, updated_at) \
         SELECT gen_random_uuid(), uuid_send(gen_random_uuid()), now(), now() FROM generate_series(1, 800); \
         INSERT INTO credentials (id, user_id, rp_id, credential_id, user_handle, passkey, algorithm, \
         user_verified, backup_eligible, backup_state, name, created_at) \
         SELECT gen_random_uuid(), id, 'localhost', uuid_send(id), user_handle, '{}', -7, true, true, true, \
         'a passkey', now() FROM users",
    )
    .expect("people");
    let asked = "EXPLAIN SELECT credential_id FROM credentials \
         WHERE user_id = (SELECT id FROM users LIMIT 1) AND rp_id = 'localhost' ORDER BY created_at";
    let plan = plan_of(&mut conn, asked);
    assert!(plan.iter().any(|line| line.contains("credentials_user_rp_id")), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains("credentials_rp_id")), "{plan:#?}");
}

/// Clients that registered themselves can also delete themselves: their grants must not be searched for among those of
/// all others.
#[test]
fn what_a_client_was_given_is_found_by_an_index() {
    let database = Database::create();
    let mut conn = connect(&database);
    conn.batch_execute("SET enable_seqscan = off").expect("a setting");
    for table in [
        "refresh_tokens",
        "authorization_codes",
        "device_codes",
        "consents",
        "session_clients",
        "sessions",
        "action_tokens",
    ] {
        let plan = plan_of(&mut conn, &format!("EXPLAIN SELECT 1 FROM {table} WHERE client_id = 'x'"));
        assert!(plan.iter().any(|line| line.contains(&format!("{table}_client"))), "{plan:#?}");
        assert!(plan.iter().any(|line| line.contains("Index Cond: (client_id = ")), "{plan:#?}");
    }
}

fn plan_of(conn: &mut PgConnection, asked: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }
    let steps: Vec<Step> = diesel::sql_query(asked).load(conn).expect("a plan");
    steps.into_iter().map(|step| step.line).collect()
}

/// A table as diesel's `table!` names it: each column with PostgreSQL's name of its type, and whether it may be null.
type Tables = BTreeMap<String, Vec<(String, String, bool)>>;

/// Reads `schema.rs` as text: its tables are private to the crate, and a copy here would have to be maintained.
fn in_the_code() -> Tables {
    let source = include_str!("../../src/storage/schema.rs");
    let mut tables = Tables::new();
    for block in source.split("diesel::table! {").skip(1) {
        let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
        let name = lines.next().and_then(|line| line.split(' ').next()).expect("a table").to_owned();
        let columns = lines.map_while(|line| line.trim_end_matches(',').split_once(" -> ")).map(|(column, of_type)| {
            let bare = of_type.strip_prefix("Nullable<").and_then(|rest| rest.strip_suffix('>'));
            (column.to_owned(), postgres_name(bare.unwrap_or(of_type)).to_owned(), bare.is_some())
        });
        tables.insert(name, columns.collect());
    }
    tables
}

fn postgres_name(diesel: &str) -> &'static str {
    match diesel {
        "Bool" => "bool",
        "Text" => "text",
        "Binary" => "bytea",
        "Timestamptz" => "timestamptz",
        "Uuid" => "uuid",
        "BigInt" => "int8",
        "Integer" => "int4",
        "SmallInt" => "int2",
        "Json" => "json",
        "Jsonb" => "jsonb",
        "Array<Text>" => "_text",
        "Array<Uuid>" => "_uuid",
        other => panic!("name the PostgreSQL type of {other} here"),
    }
}

#[test]
fn the_code_knows_every_column_as_it_is() {
    let database = Database::create();
    let mut conn = connect(&database);
    let rows = lines(
        &mut conn,
        "SELECT format('%s %s %s %s', table_name, column_name, udt_name, is_nullable) AS line \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%' \
         ORDER BY table_name, ordinal_position",
    );
    let mut stored = Tables::new();
    for row in &rows {
        let parts: Vec<&str> = row.split(' ').collect();
        let [table, column, of_type, nullable] = parts[..] else { panic!("{row}") };
        let column = (column.to_owned(), of_type.to_owned(), nullable == "YES");
        stored.entry(table.to_owned()).or_default().push(column);
    }
    let code = in_the_code();
    assert_eq!(code.keys().collect::<Vec<_>>(), stored.keys().collect::<Vec<_>>(), "the same tables");
    for (table, columns) in &stored {
        assert_eq!(&code[table], columns, "{table}");
    }
}

#[test]
fn every_table_says_what_it_is_for() {
    let database = Database::create();
    let silent = lines(
        &mut connect(&database),
        "SELECT relname::text AS line FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
         AND relname NOT LIKE '\\_\\_diesel%' AND obj_description(oid, 'pg_class') IS NULL ORDER BY 1",
    );
    assert!(silent.is_empty(), "COMMENT ON TABLE is missing: {silent:?}");
}

/// The database too refuses states that the code never writes.
#[test]
fn impossible_rows_are_refused_by_the_database() {
    let app = TestApp::spawn();
    app.person();
    let mut conn = PgConnection::establish(app.database_url()).expect("a connection");
    for (name, sql) in [
        ("a verified address that is none", "UPDATE users SET email_verified_at = now()"),
        ("a status nobody knows", "UPDATE users SET status = 'maybe'"),
        ("a counter below zero", "UPDATE credentials SET sign_count = -1"),
        ("a counter past 32 bits", "UPDATE credentials SET sign_count = 4294967296"),
        ("backed up though not eligible", "UPDATE credentials SET backup_eligible = false, backup_state = true"),
        ("a short digest", "UPDATE sessions SET token_digest = '\\x00'"),
        ("a passkey's index pointing nowhere", "UPDATE credential_index SET credential = gen_random_uuid()"),
        (
            "two installations",
            "INSERT INTO installation SELECT false, master_key_id, master_key_check, now() FROM installation",
        ),
        ("a second passkey of one id", "INSERT INTO credential_index SELECT * FROM credential_index"),
    ] {
        assert!(conn.batch_execute(sql).is_err(), "{name}");
    }
}
