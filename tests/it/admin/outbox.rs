//! Undelivered messages, over HTTP.

use serde_json::{Value, json};

use super::Ops;

fn row(kind: &str, state: &str) -> String {
    let given_up = if state == "given up" { "now()" } else { "NULL" };
    let delivered = if state == "delivered" { "now()" } else { "NULL" };
    format!(
        "INSERT INTO outbox (kind, lane, payload, attempts, next_try_at, last_error, created_at, given_up_at, delivered_at) \
         VALUES ('{kind}', '{kind}/crm', '{{\"secret\": \"of the message\"}}', 3, now() + interval '1 h', 'status 500', now(), {given_up}, {delivered})"
    )
}

fn listed(ops: &Ops, query: &str) -> Vec<(i64, String)> {
    let page = ops.get(&format!("/v1/admin/outbox{query}")).expect(200).json();
    let one = |item: &Value| (item["id"].as_i64().unwrap(), item["kind"].as_str().unwrap().to_owned());
    page["items"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn what_did_not_arrive_is_seen_and_tried_again() {
    let ops = Ops::new();
    for (kind, state) in [
        ("other", "given up"),
        ("webhook", "given up"),
        ("webhook", "waits"),
        ("other", "given up"),
        ("webhook", "delivered"),
    ] {
        ops.app.sql(&row(kind, state));
    }
    let all = listed(&ops, "");
    assert_eq!(all.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), ["other", "webhook", "webhook", "other"]);
    assert_eq!(listed(&ops, "?kind=webhook&state=given_up"), [all[2].clone()]);
    assert_eq!(listed(&ops, "?state=waiting"), [all[1].clone()]);
    let page = ops.get("/v1/admin/outbox?limit=2").expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = ops.get(page["next"].as_str().unwrap()).expect(200);
    assert_eq!(next.json()["items"][0]["id"], all[2].0);
    assert!(!next.body.contains("of the message"), "what it says is not told: {}", next.body);
    assert_eq!(
        (&next.json()["items"][0]["lastError"], &next.json()["items"][0]["nextTryAt"]),
        (&json!("status 500"), &Value::Null)
    );

    let first = ops.post(&format!("/v1/admin/outbox/{}/retry", all[2].0), &json!({})).expect(200);
    assert_eq!(first.json(), json!({ "retried": 1 }));
    assert_eq!(
        ops.post("/v1/admin/outbox/retry", &json!({})).expect(200).json(),
        json!({ "retried": 2 }),
        "the others"
    );
    assert_eq!(ops.post("/v1/admin/outbox/retry", &json!({})).expect(200).json(), json!({ "retried": 0 }));
    assert!(listed(&ops, "?state=given_up").is_empty());
    let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'delivery.retried' AND detail->>'messages' =";
    let (one, two) = (format!("{told} '1' AND subject = '{}'", all[2].0), format!("{told} '2' AND subject IS NULL"));
    assert_eq!((ops.app.count(&one), ops.app.count(&two), ops.app.events("delivery.retried")), (1, 1, 2));
    for unknown in ["999999", "x", "99999999999999999999"] {
        ops.post(&format!("/v1/admin/outbox/{unknown}/retry"), &json!({})).expect_problem(404, "not_found");
    }
    for bad in ["?state=lost", "?status=given_up", "?limit=0"] {
        ops.get(&format!("/v1/admin/outbox{bad}")).expect_problem(400, "invalid_field");
    }
    let as_reader = |method: &str, path: &str| ops.request_as("admin:outbox:read", method, path).send().status;
    assert_eq!((as_reader("GET", "/v1/admin/outbox"), as_reader("POST", "/v1/admin/outbox/retry")), (200, 403));
}
