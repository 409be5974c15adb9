//! People by administration.

use serde_json::{Value, json};

use super::Ops;

const USERS: &str = "/v1/admin/users";

/// A value for every standard claim (OpenID Connect Core §5.1).
pub fn every_claim() -> Value {
    json!({
        "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe", "middle_name": "M", "nickname": "JD",
        "preferred_username": "j.doe", "profile": "https://example.com/jd", "picture": "https://example.com/jd.png",
        "website": "https://jd.example", "email": "jane@example.com", "email_verified": true, "gender": "female",
        "birthdate": "1990-02-28", "zoneinfo": "Europe/Paris", "locale": "en-GB", "phone_number": "+1 555 0100",
        "phone_number_verified": true, "address": { "street_address": "1 High Street", "locality": "X", "country": "GB" },
    })
}

#[test]
fn from_first_to_last() {
    let ops = Ops::new();
    ops.post("/v1/admin/groups", &json!({ "name": "staff" })).expect(201);
    let body = json!({ "claims": every_claim(), "groups": ["staff"], "externalIds": { "hr": "4711" } });
    let made = ops.post(USERS, &body).expect(201);
    let path = made.header("location").unwrap().to_owned();
    let view = ops.get(&path).expect(200).json();
    assert_eq!(view["claims"], every_claim(), "every claim, as it was given");
    assert_eq!((&view["groups"], &view["externalIds"]), (&json!(["staff"]), &json!({ "hr": "4711" })));
    assert_eq!(ops.get("/v1/admin/groups").expect(200).json()["items"][0]["members"], 1);

    let changes = json!({ "claims": { "email": "new@example.com", "gender": null }, "groups": [], "externalIds": {} });
    let now = ops.patch(&path, &changes).expect(200).json();
    assert_eq!(now["claims"]["email_verified"], false, "a new address is not verified by the old one");
    assert!(now["claims"].get("gender").is_none());
    assert_eq!((&now["groups"], &now["externalIds"]), (&json!([]), &json!({})));
    assert_eq!(now["claims"]["birthdate"], "1990-02-28", "what is not named stays");

    assert_eq!(ops.post(&format!("{path}/disable"), &json!({})).expect(200).json()["enabled"], false);
    assert_eq!(ops.post(&format!("{path}/enable"), &json!({})).expect(200).json()["enabled"], true);
    ops.delete(&path).expect(204);
    ops.get(&path).expect_problem(404, "not_found");
    for kind in ["user.disabled", "user.enabled", "user.deleted"] {
        assert_eq!(ops.app.events(kind), 1, "{kind}");
    }
    assert_eq!((ops.app.events("user.created"), ops.app.events("user.changed")), (1, 1));
    let trail = ops.get("/v1/admin/audit-events").expect(200).body;
    assert!(!trail.contains("@example.com"), "no address in the audit trail");
}

/// RFC 7396: an address is changed member by member, and null never means the same as an omitted member.
#[test]
fn a_change_merges_addresses_and_refuses_null_lists() {
    let ops = Ops::new();
    let path = ops.make_person(&json!({ "claims": { "address": { "country": "GB", "locality": "Leeds" } } }));
    let change = |address: Value| {
        let changes = json!({ "claims": { "address": address } });
        ops.patch(&path, &changes).expect(200).json()["claims"].get("address").cloned()
    };
    assert_eq!(change(json!({ "country": "FR" })), Some(json!({ "country": "FR", "locality": "Leeds" })));
    assert_eq!(change(json!({ "locality": null })), Some(json!({ "country": "FR" })));
    assert_eq!(change(json!({ "country": null })), None);
    for changes in [json!({ "groups": null }), json!({ "externalIds": null })] {
        ops.patch(&path, &changes).expect_problem(400, "invalid_request");
    }
}

/// RFC 7396 again: only the named members change, and the audit trail says no more than that.
#[test]
fn attributes_are_set_changed_and_taken_away() {
    let ops = Ops::new();
    let attributes = json!({ "tenant": "acme-secret", "seats": 3, "trial": false, "roles": ["editor", "viewer"] });
    let path = ops.make_person(&json!({ "claims": { "name": "Ann" }, "attributes": attributes }));
    let shown = ops.get(&path).expect(200);
    assert_eq!(shown.json()["attributes"], attributes);
    assert_eq!(ops.get(USERS).expect(200).json()["items"][0]["attributes"], attributes, "in the list, too");
    let bare = ops.make_person(&json!({}));
    assert_eq!(ops.get(&bare).expect(200).json()["attributes"], json!({}));

    let old = shown.header("etag").unwrap().to_owned();
    let changed =
        ops.patch(&path, &json!({ "attributes": { "seats": null, "trial": true, "plan": "pro" } })).expect(200);
    let now = json!({ "tenant": "acme-secret", "trial": true, "roles": ["editor", "viewer"], "plan": "pro" });
    assert_eq!(changed.json()["attributes"], now);
    assert_eq!(changed.json()["claims"]["name"], "Ann");
    let late = ops.request("PATCH", &path).header("If-Match", &old).json(&json!({ "attributes": { "plan": "free" } }));
    late.send().expect_problem(412, "precondition_failed");
    ops.patch(&path, &json!({ "claims": { "name": "Bea" }, "attributes": {} })).expect(200);
    assert_eq!(ops.get(&path).expect(200).json()["attributes"], now, "what is not named stays");

    let told =
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'user.changed' AND detail::text LIKE '%attributes%'";
    assert_eq!((ops.app.count(told), ops.app.events("user.changed")), (1, 2), "only where they changed");
    let trail = ops.get("/v1/admin/audit-events").expect(200).body;
    assert!(!trail.contains("acme-secret") && !trail.contains("viewer"), "no value in the audit trail: {trail}");
}

#[test]
fn attributes_are_refused_by_name() {
    let ops = Ops::new();
    let path = ops.make_person(&json!({ "attributes": { "plan": "free" } }));
    for (name, value) in [
        ("plan", json!({ "name": "pro" })),
        ("plan", json!("a\nb")),
        ("plan", json!("a\u{0}")),
        ("plan", json!("x".repeat(1001))),
        ("seats", json!(1.5)),
        ("seats", json!(9_007_199_254_740_992_i64)),
        ("roles", json!(["editor", 1])),
        ("roles", json!(vec!["x"; 101])),
        ("tenant.id", json!("x")),
        ("-a", json!("x")),
    ] {
        let body = json!({ "attributes": { name: value } });
        for refused in [ops.post(USERS, &body), ops.patch(&path, &body)] {
            let refused = refused.expect_problem(400, "invalid_field").json();
            assert_eq!(refused["errors"][0]["field"], format!("attributes.{name}"), "{refused}");
        }
    }
    let many = |count: usize| -> Value { (0..count).map(|at| (format!("a{at:02}"), json!(at))).collect() };
    let refused = ops.post(USERS, &json!({ "attributes": many(65) })).expect_problem(400, "invalid_field").json();
    assert_eq!(refused["errors"][0]["field"], "attributes.a64", "{refused}");
    let refused = ops.patch(&path, &json!({ "attributes": many(64) })).expect_problem(400, "invalid_field").json();
    assert_eq!(refused["errors"][0]["what"], "would be one of more than 64", "with what is there: {refused}");
    let long = json!({ "a": vec!["x".repeat(1000); 5] });
    let refused = ops.patch(&path, &json!({ "attributes": long })).expect_problem(400, "invalid_field").json();
    assert_eq!(refused["errors"][0]["what"], "would make them longer than 4096 bytes of JSON", "{refused}");
    for body in [json!({ "attributes": ["x"] }), json!({ "attributes": null }), json!({ "attribute": {} })] {
        ops.post(USERS, &body).expect_problem(400, "invalid_request");
    }
    assert_eq!(ops.get(&path).expect(200).json()["attributes"], json!({ "plan": "free" }), "nothing was half written");
    assert_eq!(ops.app.count("SELECT count(*) AS n FROM users"), 1);
}

/// One row written by something other than this server keeps nobody from seeing the others, or from repairing it.
#[test]
fn attributes_that_do_not_read_hide_no_person() {
    let ops = Ops::new();
    let path = ops.make_person(&json!({ "claims": { "name": "Ann" }, "attributes": { "plan": "pro" } }));
    let stored = json!({ "plan": "pro", "a.b": "x", "limits": { "seats": 3 } });
    ops.app.sql(&format!("UPDATE users SET attributes = '{stored}'"));
    assert_eq!(ops.get(&path).expect(200).json()["attributes"], stored);
    assert_eq!(ops.get(USERS).expect(200).json()["items"][0]["attributes"], stored);
    for (change, whole) in [
        // It may be what keeps somebody out, so it is removed only when it is named.
        (json!({ "seats": 3 }), json!({ "plan": "pro", "a.b": "x", "limits": { "seats": 3 }, "seats": 3 })),
        (json!({ "a.b": null, "limits": null }), json!({ "plan": "pro", "seats": 3 })),
    ] {
        let changed = ops.patch(&path, &json!({ "attributes": change })).expect(200).json();
        assert_eq!(changed["attributes"], whole);
        assert_eq!(ops.app.count(&format!("SELECT count(*) AS n FROM users WHERE attributes = '{whole}'")), 1);
    }
}

/// People are found by a prefix of their address, in any case, and by nothing that only looks like a pattern.
#[test]
fn addresses_are_searched_by_their_beginning() {
    let ops = Ops::new();
    for email in ["ana@example.com", "Anabel@example.com", "bob@example.com", "a%b@example.com"] {
        ops.make_person(&json!({ "claims": { "email": email } }));
    }
    for (prefix, found) in [("ana", 2), ("ANA@example.com", 1), ("a%25", 1), ("a_", 0), ("b", 1), ("zoe", 0)] {
        let page = ops.get(&format!("{USERS}?email={prefix}")).expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), found, "{prefix}");
    }
}

/// An external id that stays keeps what an import recorded with it, so that the same file again changes nothing.
#[test]
fn names_of_other_systems_that_stay_are_not_touched() {
    let ops = Ops::new();
    let path = ops.make_person(&json!({ "externalIds": { "hr": "7", "crm": "1" } }));
    ops.app.sql("UPDATE external_ids SET imported_as = decode(repeat('00', 17), 'hex')");
    ops.patch(&path, &json!({ "externalIds": { "hr": "7", "crm": "2", "erp": "9" } })).expect(200);
    let kept = "SELECT count(*) AS n FROM external_ids WHERE imported_as IS NOT NULL";
    let all = "SELECT count(*) AS n FROM external_ids";
    assert_eq!((ops.app.count(kept), ops.app.count(all)), (1, 3));
    let shown = ops.get(&path).expect(200).json();
    assert_eq!(shown["externalIds"], json!({ "hr": "7", "crm": "2", "erp": "9" }));
}

#[test]
fn refusals_by_name() {
    let ops = Ops::new();
    for (claim, value) in [
        ("email", json!("nobody")),
        ("email_verified", json!("true")),
        ("birthdate", json!("yesterday")),
        ("address", json!("1 High Street")),
        ("picture", json!("javascript:alert(1)")),
        ("phone_number_verified", json!(1)),
        ("name", json!("")),
        ("sub", json!("me")),
        ("is_admin", json!(true)),
    ] {
        let refused = ops.post(USERS, &json!({ "claims": { claim: value } }));
        let refused = refused.expect_problem(400, "invalid_field").json();
        assert_eq!(refused["errors"][0]["field"], format!("claims.{claim}"), "{refused}");
    }
    let nothing = json!({ "claims": { "email_verified": true } });
    assert_eq!(
        ops.post(USERS, &nothing).expect_problem(400, "invalid_field").json()["errors"][0]["field"],
        "claims.email_verified"
    );
    ops.post(USERS, &json!({ "groups": ["nobody"] })).expect_problem(400, "invalid_field");
    ops.post(USERS, &json!({ "externalIds": { "hr": "" } })).expect_problem(400, "invalid_field");
    ops.post(USERS, &json!({ "id": "mine" })).expect_problem(400, "invalid_request");
    ops.get(&format!("{USERS}/nobody")).expect_problem(404, "not_found");
    assert_eq!(ops.app.count("SELECT count(*) AS n FROM users"), 0);

    let path = ops.make_person(
        &json!({ "claims": { "email": "a@example.com", "email_verified": true }, "externalIds": { "hr": "1" } }),
    );
    ops.patch(&path, &json!({ "externalIds": { "hr": "" } })).expect_problem(400, "invalid_field");
    let again = json!({ "claims": { "email": "A@Example.com", "email_verified": true } });
    ops.post(USERS, &again).expect_problem(409, "already_exists");
    ops.post(USERS, &json!({ "externalIds": { "hr": "1" } })).expect_problem(409, "already_exists");
    for name in ["", " ", " a", "a\nb", "a\0", "a\u{202e}b", &"x".repeat(101)] {
        ops.post("/v1/admin/groups", &json!({ "name": name })).expect_problem(400, "invalid_field");
    }
    // Other systems name groups by their path, and imported people keep those names.
    let made = ops.post("/v1/admin/groups", &json!({ "name": "staff/engines" })).expect(201);
    assert_eq!(made.header("location"), Some("/v1/admin/groups/staff%2Fengines"));
    ops.delete("/v1/admin/groups/staff%2Fengines").expect(204);
    ops.post("/v1/admin/groups", &json!({ "name": "staff" })).expect(201);
    ops.post("/v1/admin/groups", &json!({ "name": "staff" })).expect_problem(409, "already_exists");
    ops.delete("/v1/admin/groups/nobody").expect_problem(404, "not_found");
    ops.delete("/v1/admin/groups/staff").expect(204);
}

/// A verified address belongs to one person: others who merely claimed it lose it.
#[test]
fn a_verified_address_is_dropped_from_who_only_claimed_it() {
    let ops = Ops::new();
    let claimant = ops.make_person(&json!({ "claims": { "email": "a@example.com" } }));
    ops.make_person(&json!({ "claims": { "email": "A@example.com", "email_verified": true } }));
    assert!(ops.get(&claimant).expect(200).json()["claims"].get("email").is_none());
}

#[test]
fn a_change_names_the_version_it_changes() {
    let ops = Ops::new();
    let path = ops.make_person(&json!({ "claims": { "name": "Ann" } }));
    ops.request("PATCH", &path).json(&json!({})).send().expect_problem(428, "precondition_required");
    let old = ops.get(&path).expect(200).header("etag").unwrap().to_owned();
    ops.patch(&path, &json!({ "claims": { "name": "Bea" } })).expect(200);
    let late = ops.request("PATCH", &path).header("If-Match", &old).json(&json!({ "claims": { "name": "Eve" } }));
    late.send().expect_problem(412, "precondition_failed");
    ops.request("DELETE", &path).header("If-Match", &old).send().expect_problem(412, "precondition_failed");
    ops.app.sql("UPDATE users SET managed_by = 'people.toml'");
    for (method, path) in [("PATCH", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/disable"))] {
        let request = ops.request(method, &path).header("If-Match", "*");
        let request = if method == "PATCH" { request.json(&json!({})) } else { request };
        request.send().expect_problem(409, "managed_by_configuration");
    }
}

#[test]
fn people_are_found() {
    let ops = Ops::new();
    ops.post("/v1/admin/groups", &json!({ "name": "staff" })).expect(201);
    ops.make_person(&json!({ "claims": { "email": "Ann@example.com" }, "groups": ["staff"] }));
    ops.make_person(&json!({ "claims": { "email": "anton@example.org" }, "externalIds": { "hr": "7" } }));
    ops.make_person(&json!({ "claims": { "email": "bea@example.com" } }));
    ops.make_person(&json!({ "claims": { "email": "\u{130}lker@example.com" } }));
    for (query, expected) in [
        ("email=%C4%B0LK", 1),
        ("email=an", 2),
        ("email=ANN%40", 1),
        ("email=%25", 0),
        ("email=_nn", 0),
        ("group=staff", 1),
        ("group=nobody", 0),
        ("source=hr&externalId=7", 1),
        ("source=hr&externalId=8", 0),
        ("email=an&group=staff", 1),
        ("", 4),
    ] {
        let found = ops.get(&format!("{USERS}?{query}")).expect(200).json()["items"].as_array().unwrap().len();
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn sessions_and_passkeys_are_seen_and_ended() {
    let ops = Ops::new();
    let (mut person, _) = ops.app.person();
    let id = person.get("/v1/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let path = format!("{USERS}/{id}");
    let sessions = ops.get(&format!("{path}/sessions")).expect(200).json();
    let session = sessions["items"][0]["id"].as_str().unwrap();
    assert_eq!(sessions["items"][0]["acr"], "phr");
    ops.delete(&format!("{path}/sessions/{session}")).expect(204);
    ops.delete(&format!("{path}/sessions/{session}")).expect_problem(404, "not_found");
    person.get("/v1/me").expect_problem(401, "not_signed_in");
    assert_eq!(ops.app.events("session.revoked"), 1);

    let passkeys = ops.get(&format!("{path}/passkeys")).expect(200).json();
    let passkey = passkeys["items"][0]["id"].as_str().unwrap();
    let other = ops.make_person(&json!({}));
    ops.delete(&format!("{other}/passkeys/{passkey}")).expect_problem(404, "not_found");
    ops.delete(&format!("{path}/passkeys/{passkey}")).expect(204);
    assert_eq!(ops.get(&format!("{path}/passkeys")).expect(200).json()["items"], json!([]));
    assert_eq!(ops.app.events("passkey.removed"), 1);
    for missing in ["sessions", "passkeys"] {
        ops.get(&format!("{USERS}/{}/{missing}", passmint::random::uuid())).expect_problem(404, "not_found");
    }
}

/// The people of a large group are looked up differently from those of a small one, and it is deleted in portions.
#[test]
fn a_group_may_be_of_any_size() {
    let ops = Ops::new();
    ops.app.sql(
        "INSERT INTO groups (id, name, created_at) SELECT gen_random_uuid(), name, now() FROM unnest('{all,few}'::text[]) AS name; \
         WITH people AS ( \
             INSERT INTO users (id, user_handle, created_at, updated_at) \
             SELECT gen_random_uuid(), uuid_send(gen_random_uuid()), now() - make_interval(secs => n), now() \
             FROM generate_series(1, 6000) AS n RETURNING id, created_at) \
         INSERT INTO group_members (group_id, user_id) SELECT groups.id, people.id FROM groups, people \
         WHERE name = 'all' OR people.created_at > now() - interval '3.5 seconds'",
    );
    let outside = ops.make_person(&json!({}));
    let ids = |path: &str| -> Vec<String> {
        let page = ops.get(path).expect(200).json();
        page["items"].as_array().unwrap().iter().map(|person| person["id"].as_str().unwrap().to_owned()).collect()
    };
    let few = ids("/v1/admin/users?group=few");
    assert_eq!((few.len(), ids("/v1/admin/users?group=all&limit=3")), (3, few.clone()));
    assert!(!ids("/v1/admin/users?group=all").iter().any(|id| outside.ends_with(id.as_str())));
    ops.request("DELETE", "/v1/admin/groups/all").send().expect(204);
    ops.get("/v1/admin/users?group=all&limit=3").expect(200);
    let members = "SELECT count(*) AS n FROM group_members";
    assert_eq!((ops.app.count(members), ops.app.events("group.changed")), (3, 1));
    assert_eq!(ids("/v1/admin/users?group=few"), few);
}
