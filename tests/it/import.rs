//! `passmint import` and `export`, run as an operator runs them; and sign-ins with what was imported.
//!
//! The files in `tests/it/import/` are in the form that each system exports; [`person`] writes a line for a software
//! passkey, as a server built on SimpleWebAuthn would store it.

mod broken;
mod portable;
mod removed;
mod sign_in;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::authenticator::{Authenticator, encode};
use crate::cli::{Operator, Ran};
use crate::support::TestApp;

/// The absolute path of a file in this folder.
fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import").join(name).display().to_string()
}

/// A line in the format `simplewebauthn` with this passkey.
fn person(id: &str, passkey: &Authenticator) -> Value {
    json!({ "id": id, "passkeys": [row(passkey)] })
}

/// The row of a passkey whose backup flags and user handle were not kept.
fn row(passkey: &Authenticator) -> Value {
    json!({
        "credentialID": encode(&passkey.credential_id),
        "publicKey": encode(&passkey.key.cose()),
        "counter": 0,
        "transports": "internal,hybrid",
        "rpId": "localhost",
    })
}

/// The lines of a file.
fn lines(values: &[Value]) -> String {
    values.iter().flat_map(|value| [value.to_string(), "\n".to_owned()]).collect()
}

/// Imports these lines. Returns the totals.
#[track_caller]
fn import(operator: &Operator, format: &str, values: &[Value], more: &[&str]) -> Value {
    operator.write("people.ndjson", &lines(values));
    let arguments = [&["import", "people.ndjson", "--format", format, "--source", "old"], more].concat();
    operator.json(&arguments)
}

/// Runs a command that refuses lines. Returns the totals and the messages.
#[track_caller]
fn import_with_refusals(operator: &Operator, arguments: &[&str]) -> (Value, String) {
    let Ran { code, out, err } = operator.run(&[&["import"], arguments, &["--json"]].concat());
    assert_eq!(code, Some(1), "{out}{err}");
    (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")), err)
}

#[test]
fn every_fixture_is_taken_over_once_and_the_second_run_changes_nothing() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let parameters = fixture("firebase-hash-config.txt");
    let with_parameters = ["--hash-parameters", parameters.as_str()];
    let mut people = 0;
    for (format, file, more, passkeys, passwords, unusable) in [
        ("firebase", "firebase.json", &with_parameters[..], 1, 1, 0),
        ("auth0", "auth0.ndjson", &[], 0, 0, 0),
        ("keycloak", "keycloak.json", &[], 1, 2, 0),
        ("hanko", "hanko.json", &[], 1, 1, 0),
        ("better-auth", "better-auth.ndjson", &[], 2, 1, 0),
        ("simplewebauthn", "simplewebauthn.ndjson", &[], 3, 0, 1),
        ("ndjson", "own.ndjson", &[], 1, 1, 0),
    ] {
        let file = fixture(file);
        let arguments =
            [&["import", &file, "--format", format, "--source", format, "--rp-id", "localhost"], more].concat();
        let rehearsed = operator.json(&[&arguments[..], &["--dry-run"]].concat());
        assert_eq!(app.count("SELECT count(*) AS n FROM users"), people, "a dry run writes nothing");
        people += 2;

        let told = operator.json(&arguments);
        assert_eq!((&told["read"], &told["created"]), (&json!(2), &json!(2)), "{format}");
        assert_eq!((&told["passkeys"], &told["passwords"]), (&json!(passkeys), &json!(passwords)), "{format}");
        for sum in ["read", "created", "passkeys", "passwords", "notes", "refused"] {
            assert_eq!(rehearsed[sum], told[sum], "{format}: a dry run tells the truth about {sum}");
        }
        let of_source = |table: &str| {
            app.count(&format!(
                "SELECT count(*) AS n FROM {table} JOIN external_ids USING (user_id) WHERE source = '{format}'"
            ))
        };
        assert_eq!(of_source("credentials"), passkeys - unusable, "{format}");
        assert_eq!((of_source("unusable_passkeys"), of_source("password_hashes")), (unusable, passwords), "{format}");

        let again = operator.json(&arguments);
        assert_eq!((&again["unchanged"], &again["created"]), (&json!(2), &json!(0)), "{format}");
        let words = operator.ok(&arguments);
        assert!(words.ends_with("nothing was changed\n"), "{words}");
        assert_eq!(app.count("SELECT count(*) AS n FROM users"), people, "{format}");
    }
    assert_eq!(app.events("user.imported"), 7, "one event for each run that changed something");
    let index = "SELECT count(*) AS n FROM credential_index JOIN credentials ON credentials.id = credential \
                 WHERE credentials.rp_id = credential_index.rp_id AND credentials.user_id = credential_index.user_id";
    assert_eq!(app.count(index), app.count("SELECT count(*) AS n FROM credentials"), "every passkey is found");
    assert_eq!(app.count("SELECT count(*) AS n FROM group_members"), 0, "a file alone puts nobody into a group");
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE status = 'disabled'"), 5);
}

#[test]
fn memberships_are_taken_over_when_asked_for() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let file = fixture("own.ndjson");
    let told = operator.json(&["import", &file, "--source", "old"]);
    assert_eq!(told["notes"]["groups left out"], 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM groups"), 0);
    operator.write(
        "b.ndjson",
        &lines(&[json!({"id": "3", "groups": ["staff", "new"]}), json!({"id": "4", "groups": ["new"]})]),
    );
    operator.json(&["import", "b.ndjson", "--source", "old", "--groups"]);
    assert_eq!(app.count("SELECT count(*) AS n FROM groups"), 2);
    assert_eq!(app.count("SELECT count(*) AS n FROM group_members"), 3);
}

/// The note of a first run without them says how; the second run does it.
#[test]
fn memberships_that_were_left_out_are_taken_over_later() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let file = fixture("own.ndjson");
    let begin = ["import", file.as_str(), "--source", "old"];
    let run = |more: &[&str]| operator.json(&[&begin[..], more].concat());
    let sums = |told: &Value| ["unchanged", "differ", "updated"].map(|sum| told[sum].as_u64().unwrap());
    assert_eq!(run(&["--report", "report"])["notes"]["groups left out"], 1);
    let report = fs::read_to_string(operator.path("report")).unwrap();
    assert!(report.contains("--groups takes them over, for people who are known already with --update"), "{report}");
    assert_eq!(sums(&run(&[])), [2, 0, 0]);
    assert_eq!(sums(&run(&["--update"])), [2, 0, 0], "nothing more is asked for");
    assert_eq!(sums(&run(&["--groups"])), [1, 1, 0]);
    assert_eq!(sums(&run(&["--groups", "--update", "--dry-run"])), [1, 0, 1]);
    assert_eq!(app.count("SELECT count(*) AS n FROM group_members"), 0);
    assert_eq!(sums(&run(&["--groups", "--update"])), [1, 0, 1]);
    let staff = "SELECT count(*) AS n FROM group_members JOIN groups ON groups.id = group_id WHERE name = 'staff'";
    assert_eq!(app.count(staff), 1);
    for more in [&["--groups", "--update"][..], &["--update"], &[]] {
        assert_eq!(sums(&run(more)), [2, 0, 0], "{more:?}: and that once");
    }
    assert_eq!(app.count(staff), 1);
}

/// Attributes keep their names, and a line is never imported in part; an update adds and replaces.
#[test]
fn attributes_are_taken_over() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let kept = |id: &str| {
        let all: Vec<Value> =
            operator.run(&["export"]).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let theirs = all.into_iter().find(|line| line["externalIds"]["old"] == *id);
        theirs.map(|line| line["attributes"].clone())
    };
    let given = json!({ "tenant": "acme", "seats": 3, "trial": false, "roles": ["editor", "viewer"] });
    let told = import(&operator, "ndjson", &[json!({ "id": "1", "attributes": given })], &[]);
    assert_eq!((&told["created"], kept("1")), (&json!(1), Some(given.clone())));

    operator.write(
        "bad.ndjson",
        &lines(&[
            json!({ "id": "2", "attributes": { "plan": "pro" } }),
            json!({ "id": "3", "claims": { "name": "Ann" }, "attributes": { "plan": "pro", "limits": { "seats": 3 } } }),
            json!({ "id": "4", "attributes": { "tenant.id": "x" } }),
        ]),
    );
    let (told, words) = import_with_refusals(&operator, &["bad.ndjson", "--source", "old"]);
    assert_eq!((&told["created"], &told["refused"]), (&json!(1), &json!(2)), "{told}");
    assert!(words.contains("line 2: attributes.limits must be a text, a whole number"), "{words}");
    assert!(words.contains("line 3: attributes.tenant.id has a name that is not 1 to 64 of A-Z"), "{words}");
    assert_eq!((kept("2"), kept("3"), kept("4")), (Some(json!({ "plan": "pro" })), None, None));

    let newer = [json!({ "id": "1", "attributes": { "seats": 5, "plan": "pro", "tenant": null } })];
    let differ = import(&operator, "ndjson", &newer, &[]);
    assert_eq!((&differ["differ"], kept("1")), (&json!(1), Some(given)));
    let told = import(&operator, "ndjson", &newer, &["--update"]);
    let whole = json!({ "tenant": "acme", "seats": 5, "trial": false, "roles": ["editor", "viewer"], "plan": "pro" });
    assert_eq!((&told["updated"], kept("1")), (&json!(1), Some(whole.clone())));
    assert_eq!(import(&operator, "ndjson", &newer, &["--update"])["unchanged"], 1);

    let many: Value = (0..60).map(|at| (format!("a{at:02}"), json!(at))).collect();
    operator.write("many.ndjson", &lines(&[json!({ "id": "1", "claims": { "name": "Ann" }, "attributes": many })]));
    let (_, words) = import_with_refusals(&operator, &["many.ndjson", "--source", "old", "--update"]);
    assert!(words.contains("attributes.a59 would be one of more than 64, with those that are there"), "{words}");
    assert_eq!(kept("1"), Some(whole));
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE name = 'Ann'"), 0);
}

/// People in one file, their passkeys or password hashes in a second one under the same source.
#[test]
fn two_files_of_one_source_do_not_make_each_other_look_changed() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("passkeys", &lines(&[person("fb-ada", &app.passkey()), person("fb-bob", &app.passkey())]));
    let [people, parameters, users, hashes] =
        ["firebase.json", "firebase-hash-config.txt", "auth0.ndjson", "auth0-hashes.ndjson"].map(fixture);
    let firebase = format!(
        "import {people} --format firebase --source fb --rp-id localhost --hash-parameters {parameters} --update"
    );
    let passkeys = "import passkeys --format simplewebauthn --source fb --update".to_owned();
    let auth0 = |file: &str| format!("import {file} --format auth0 --source auth0 --update");
    for (first, second, count) in [(firebase, passkeys, 2), (auth0(&users), auth0(&hashes), 1)] {
        let run = |command: &str| operator.json(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(run(&first)["created"], 2, "{first}");
        assert_eq!(run(&second)["updated"], count, "{second}");
        for again in 0..2 {
            assert_eq!(run(&first)["unchanged"], 2, "{first}: {again}");
            assert_eq!(run(&second)["unchanged"], count, "{second}: {again}");
        }
    }
    assert_eq!(app.events("user.imported"), 4, "the runs again changed nothing");
}

#[test]
fn changes_wait_for_update_and_never_take_away() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (first, second) = (app.passkey(), app.passkey());
    let mut ada = person("ada", &first);
    ada["email"] = json!("ada@a.example");
    ada["emailVerified"] = json!(true);
    assert_eq!(import(&operator, "simplewebauthn", &[ada.clone()], &[])["created"], 1);

    // The same person with one more passkey and a name, and without the address.
    let changed = json!({"id": "ada", "name": "Ada", "passkeys": [row(&first), row(&second)]});
    let told = import(&operator, "simplewebauthn", std::slice::from_ref(&changed), &[]);
    assert_eq!((&told["differ"], &told["updated"]), (&json!(1), &json!(0)));
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);

    let told = import(&operator, "simplewebauthn", std::slice::from_ref(&changed), &["--update"]);
    assert_eq!(told["updated"], 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 2);
    assert_eq!(
        app.count("SELECT count(*) AS n FROM users WHERE name = 'Ada' AND email = 'ada@a.example' AND email_verified_at IS NOT NULL"),
        1
    );
    assert_eq!(import(&operator, "simplewebauthn", &[changed], &["--update"])["unchanged"], 1, "and that once");

    // Password hashes from a second file, under the same source.
    for file in ["auth0.ndjson", "auth0-hashes.ndjson"] {
        let file = fixture(file);
        operator.json(&["import", &file, "--format", "auth0", "--source", "auth0", "--update"]);
    }
    assert_eq!(
        app.count(
            "SELECT count(*) AS n FROM password_hashes JOIN users ON id = user_id WHERE name = 'ada@auth0.example'"
        ),
        1
    );
    assert_eq!(app.events("user.imported"), 4);
}

/// A second one would be shown nowhere, and could not be removed.
#[test]
fn a_system_knows_a_person_by_one_id() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let line = |id: &str, links: Value| json!({ "id": id, "externalIds": links });
    let ada = line("ada", json!({ "hr": "1", "old": "ada" }));
    assert_eq!(import(&operator, "ndjson", std::slice::from_ref(&ada), &[])["created"], 1);
    let bob = line("bob", json!({ "old": "robert", "crm": "7" }));
    let again = line("ada", json!({ "hr": "2", "erp": "3" }));
    for more in [&["--update", "--dry-run"][..], &["--update"]] {
        let told = import(&operator, "ndjson", &[again.clone(), bob.clone()], more);
        assert_eq!((&told["created"], &told["updated"], &told["refused"]), (&json!(1), &json!(1), &json!(0)), "{told}");
        assert_eq!(told["notes"]["second ids left out"], 2, "{told}");
    }
    assert_eq!(import(&operator, "ndjson", &[again, bob], &["--update"])["unchanged"], 2);
    let stored = |links: &str| {
        app.count(&format!("SELECT count(*) AS n FROM external_ids WHERE source || '=' || external_id IN ({links})"))
    };
    assert_eq!(stored("'old=ada', 'hr=1', 'erp=3', 'old=bob', 'crm=7'"), 5);
    assert_eq!(app.count("SELECT count(*) AS n FROM external_ids"), 5);

    app.sql(
        "INSERT INTO external_ids (source, external_id, user_id) SELECT 'hr', '9', user_id FROM external_ids \
         WHERE source = 'hr' ON CONFLICT (user_id, source) DO NOTHING",
    );
    assert_eq!(stored("'hr=9'"), 0, "the database sees to it, too");
}

/// A verified address belongs to one person, and a passkey always does.
#[test]
fn what_belongs_to_somebody_stays_theirs() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut browser, mut passkey) = app.person();
    app.sql("UPDATE users SET email = 'Taken@a.example', email_verified_at = now()");
    let other = app.passkey();

    let mut thief = person("thief", &passkey);
    thief["name"] = json!("Thief");
    let mut namesake = person("namesake", &other);
    namesake["email"] = json!("taken@A.example");
    namesake["emailVerified"] = json!(true);
    let twins =
        ["one", "two"].map(|id| json!({"id": id, "email": "twin@a.example", "emailVerified": true, "passkeys": []}));
    operator.write("people.ndjson", &lines(&[thief, namesake, twins[0].clone(), twins[1].clone()]));
    for (file, more) in [("rehearsed", &["--dry-run"][..]), ("report", &[])] {
        let arguments =
            [&["people.ndjson", "--format", "simplewebauthn", "--source", "old", "--report", file], more].concat();
        let (told, words) = import_with_refusals(&operator, &arguments);
        assert_eq!((&told["created"], &told["refused"]), (&json!(3), &json!(1)));
        assert_eq!(told["notes"]["e-mail conflicts"], 2);
        assert!(words.contains("line 1: passkeys[0].credentialId is another person's passkey already"), "{words}");
        let report = fs::read_to_string(operator.path(file)).unwrap();
        let report: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(report.len(), 3, "the refused one and the two conflicts: {report:?}");
        assert_eq!((&report[0]["line"], &report[0]["outcome"]), (&json!(1), &json!("refused")));
        assert_eq!(report[1]["notes"][0]["field"], "claims.email");
    }
    assert_eq!(
        app.count("SELECT count(*) AS n FROM users WHERE email_verified_at IS NOT NULL"),
        2,
        "the owner, the first twin"
    );
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE name = 'Thief'"), 0);
    browser.sign_in(&mut passkey).expect(200);
}

/// A `sub` is in every token that its owner's apps have, so the author of a line may know it.
#[test]
fn a_sub_in_the_file_of_another_system_opens_nobodys_account() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut browser, _) = app.person();
    let sub = browser.get("/v1/session").expect(200).json()["user"]["id"].clone();
    let claims = json!({ "email": "thief@evil.example", "email_verified": true });
    operator.write("people.ndjson", &lines(&[json!({ "id": "thief", "sub": sub, "claims": claims })]));
    for more in [&[][..], &["--update"]] {
        let arguments = [&["people.ndjson", "--source", "old"], more].concat();
        let (told, words) = import_with_refusals(&operator, &arguments);
        assert_eq!((&told["updated"], &told["refused"]), (&json!(0), &json!(1)), "{told}");
        assert!(words.contains("line 1: sub is somebody's whom this source does not know by this id"), "{words}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE email IS NOT NULL"), 0);
}

/// The database never holds Firebase's signer key in clear, and a change of the master key reseals it.
#[test]
fn project_wide_parameters_are_sealed() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (file, parameters) = (fixture("firebase.json"), fixture("firebase-hash-config.txt"));
    let arguments = [
        "import",
        &file,
        "--format",
        "firebase",
        "--source",
        "fb",
        "--rp-id",
        "localhost",
        "--hash-parameters",
        &parameters,
    ];
    operator.json(&arguments);
    assert_eq!(app.count("SELECT count(*) AS n FROM password_hashes JOIN password_parameters ON id = parameters"), 1);
    let clear =
        "SELECT count(*) AS n FROM password_parameters WHERE position('signerKey' IN encode(sealed, 'escape')) > 0";
    assert_eq!(app.count(clear), 0);
    app.sql("CREATE TABLE before AS SELECT sealed FROM password_parameters");
    let new_key = operator.path("new.key").display().to_string();
    operator.ok(&["keys", "rewrap", "--new-key-file", &new_key]);
    assert_eq!(app.count("SELECT count(*) AS n FROM before JOIN password_parameters USING (sealed)"), 0, "sealed anew");
    app.sql("DROP TABLE before");

    // A hash whose parameters are missing could never be used.
    operator.write("own", &lines(&[json!({"id": "1", "password": "$fbscrypt$ln=14,r=8,ks=other$c2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG4p9QzB8GAdk"})]));
    let (_, words) = import_with_refusals(&operator, &["own", "--source", "x"]);
    assert!(words.contains("line 1: password needs the parameters of its project: give them"), "{words}");
    let (_, words) =
        import_with_refusals(&operator, &["own", "--source", "x", "--hash-parameters", &parameters, "--dry-run"]);
    assert!(words.contains("line 1: password needs the parameters of its own project, which are others"), "{words}");
}

#[test]
fn what_is_asked_wrongly_is_refused_in_one_line() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("people", "{\"id\":\"1\"}\n");
    let parameters = fixture("firebase-hash-config.txt");
    for (arguments, expected) in [
        (&["nowhere"][..], "nowhere cannot be read"),
        (&["."], ". is a folder"),
        (&["people", "--format", "hanko"], "--source firebase"),
        (&["people", "--source", ""], "--source must be 1 to 256 bytes"),
        (&["people", "--source", "x", "--rp-id", "https://a.example"], "is no domain"),
        (
            &["people", "--source", "x", "--format", "hanko", "--hash-parameters", &parameters],
            "only of use with --format firebase, or with a file that `passmint export` wrote",
        ),
        (&["people", "--source", "x", "--format", "firebase", "--hash-parameters", "people"], "algorithm is missing"),
        (&["people", "--source", "x", "--report", "no/where"], "no/where cannot be written"),
        (
            &["people", "--source", "x", "--report", "people"],
            "people exists already: name another file, each run has a report of its own",
        ),
    ] {
        let refusal = operator.refused(&[&["import"], arguments].concat());
        assert!(refusal.contains(expected), "{arguments:?}: {refusal}");
    }
    assert_eq!(fs::read_to_string(operator.path("people")).unwrap(), "{\"id\":\"1\"}\n", "no file is written over");
    let (_, words) = import_with_refusals(&operator, &["people"]);
    assert!(words.contains("line 1: id is of another system: name that with --source"), "{words}");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 0);
}
