//! What happens to the result of an action when its person changes before the backend redeems it.

use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use serde_json::json;

use crate::actions::{backend, payment, prove, sign, spawn, with_token};
use crate::support::tokens::claims;

#[test]
fn a_result_is_worth_nothing_after_its_person_changed() {
    for change in ["nothing", "disabled", "deleted", "a passkey removed"] {
        let app = spawn();
        let shop = backend(&app, "shop");
        let (mut passkey, enrolled) = shop.enrol();
        let step = shop.make("step_up");
        let result = prove(&app, &mut passkey, &step["token"]).expect(200).json()["result"].clone();
        let person = json!({ "externalId": { "id": "4711" } });
        let asked =
            json!({ "action": "sign", "user": person, "operation": payment(), "mailed": true, "expiresIn": 86_400 });
        let signed = shop.ask(&asked).expect(201).json();
        sign(&app, &mut passkey, &signed["token"]).expect(200);

        let id: UserId = claims(result.as_str().unwrap())["sub"].as_str().unwrap().parse().unwrap();
        let now = app.clock.now();
        match change {
            "disabled" => {
                assert!(app.db.blocking(|conn| people::set_status(conn, id, UserStatus::Disabled, now)).unwrap());
            }
            "deleted" => assert!(app.db.blocking(|conn| people::delete(conn, id, now)).unwrap()),
            "a passkey removed" => {
                let path = format!("/v1/passkeys/{}", enrolled["passkey"]["id"].as_str().unwrap());
                with_token(app.request("DELETE", &path), &shop.make("delete")["token"]).send().expect(200);
            }
            _ => {
                shop.redeem(&step["id"], &result).expect(200);
                shop.fetch(&signed["id"]).expect(200);
                continue;
            }
        }
        shop.redeem(&step["id"], &result).expect_problem(400, "result_refused");
        let fetched = shop.fetch(&signed["id"]);
        // Nothing remains of a deleted person's token.
        let expected = if change == "deleted" { (404, "not_found") } else { (400, "result_refused") };
        assert_eq!((fetched.status, fetched.json()["code"].as_str()), (expected.0, Some(expected.1)), "{change}");
        assert_eq!(app.events("result.redeemed"), 0, "{change}");
    }
}
