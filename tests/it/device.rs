//! Devices over HTTP (RFC 8628): asking, entering the code, answering, polling.

use chrono::Duration;
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::{people, sweep};
use serde_json::{Value, json};

use crate::routes::csrf_of;
use crate::support::tokens::{INACTIVE, Tokens, at_once, claims};
use crate::support::urn::DEVICE_CODE;
use crate::support::{API_SECRET, Browser, Options, Reply, TestApp};

const DEVICES: &str = r#"
[clients.tv]
name = "Acme TV"
kind = "public"
grants = ["device_code", "refresh_token"]
scopes = ["openid", "profile", "offline_access", "admin", "admin:clients"]

[clients.radio]
name = "Acme Radio"
kind = "public"
grants = ["device_code"]
scopes = ["openid"]
audiences = ["https://api.example", "https://music.example"]

[clients.staff]
name = "Acme Desk"
kind = "public"
grants = ["device_code"]
scopes = ["openid"]
allowed_groups = ["staff"]

[clients.hub]
name = "Acme Hub"
kind = "confidential"
auth_method = "client_secret_post"
secret_digest = "API_DIGEST"
grants = ["device_code"]
scopes = ["openid"]
"#;

/// A server with clients for devices.
pub fn app_with_devices() -> TestApp {
    TestApp::with(&Options { config: DEVICES, ..Options::default() })
}

/// A device that has asked.
pub struct Device<'a> {
    app: &'a TestApp,
    client: &'a str,
    code: String,
    /// The code for people.
    pub user_code: String,
    answer: Value,
}

impl TestApp {
    fn ask(&self, form: &[(&str, &str)]) -> Reply {
        self.request("POST", "/oauth/device").form(form).send()
    }

    /// A device of this client that has asked for scopes.
    pub fn device<'a>(&'a self, client: &'a str, scope: &str) -> Device<'a> {
        let answer = self.ask(&[("client_id", client), ("scope", scope)]).expect(200).json();
        let text = |name: &str| answer[name].as_str().expect(name).to_owned();
        Device { app: self, client, code: text("device_code"), user_code: text("user_code"), answer }
    }
}

impl Device<'_> {
    /// Polls once.
    pub fn poll(&self) -> Reply {
        self.poll_as(self.client)
    }

    fn poll_as(&self, client: &str) -> Reply {
        let form = [("grant_type", DEVICE_CODE), ("device_code", &self.code), ("client_id", client)];
        self.app.request("POST", "/oauth/token").form(&form).send()
    }

    /// The URL that it displays, including its code.
    pub fn page(&self) -> String {
        format!("/device?user_code={}", self.user_code)
    }

    /// The URL of the confirmation, once the code was entered.
    fn review(&self) -> String {
        format!("/device/review?user_code={}", self.user_code)
    }

    fn allowed_by(&self, browser: &mut Browser) {
        browser.enter(&self.user_code).expect_to(&self.review());
        browser.say(&self.user_code, "allow", true).expect_to(&self.review());
        let page = browser.get(&self.review()).expect(200).body;
        assert!(page.contains("Your device is connected"), "{page}");
    }
}

impl Browser {
    /// Posts a form of the device pages.
    fn posts(&mut self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        let csrf = csrf_of(self);
        let mut form = vec![("csrf", csrf.as_str())];
        form.extend(pairs);
        let request = self.request("POST", path).form(&form);
        self.send(request)
    }

    fn enter(&mut self, code: &str) -> Reply {
        self.posts("/device", &[("user_code", code)])
    }

    fn say(&mut self, code: &str, decision: &str, ticked: bool) -> Reply {
        let mut form = vec![("user_code", code), ("decision", decision)];
        form.extend(ticked.then_some(("mine", "yes")));
        self.posts("/device/review", &form)
    }

    fn user(&mut self) -> UserId {
        let me = self.get("/v1/session").expect(200).json();
        me["user"]["id"].as_str().expect("an id").parse().expect("a user id")
    }
}

impl Reply {
    #[track_caller]
    fn expect_to(self, path: &str) -> Self {
        assert_eq!((self.status, self.header("location")), (303, Some(path)), "{}", self.body);
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.body.contains(words), "{words}: {}", self.body);
        self
    }
}

#[test]
fn a_device_gets_tokens_once_its_person_allowed_it() {
    let app = app_with_devices();
    let device = app.device("tv", "openid profile");
    assert!(device.code.starts_with("pmd_") && device.user_code.len() == 9, "{}", device.answer);
    let page = format!("{}/device", app.origin);
    assert_eq!(device.answer["verification_uri"], page);
    assert_eq!(device.answer["verification_uri_complete"], format!("{page}?user_code={}", device.user_code));
    assert_eq!((&device.answer["expires_in"], &device.answer["interval"]), (&json!(600), &json!(5)));
    assert_eq!(app.rows_with("device_codes", &device.code), 0, "only its digest is stored");
    device.poll().expect_oauth(400, "authorization_pending");

    let (mut browser, _) = app.person();
    browser.get(&device.page()).expect(200).says(&device.user_code);
    let claimed = "SELECT count(*) AS n FROM device_codes WHERE claimed_by IS NOT NULL";
    assert_eq!(app.count(claimed), 0, "an address enters nothing");
    browser.enter(&device.user_code.to_lowercase().replace('-', " ")).expect_to(&device.review());
    assert_eq!(app.count(claimed), 1);
    let question = browser.get(&device.review()).expect(200);
    for told in
        [&device.user_code, "Acme TV", "127.0.0.0/24", "Support staff never ask for this", "Your name and profile"]
    {
        assert!(question.body.contains(told), "{told}");
    }
    browser.say(&device.user_code, "allow", false).expect(422).says("Tick the box");
    browser.say(&device.user_code, "", true).expect(400);
    browser.say(&device.user_code, "perhaps", true).expect(400);
    app.advance(Duration::seconds(6));
    device.poll().expect_oauth(400, "authorization_pending");
    browser.say(&device.user_code, "allow", true).expect_to(&device.review());
    browser.get(&device.review()).expect(200).says("Your device is connected");
    browser.say(&device.user_code, "deny", true).expect_to(&device.review());
    browser.get(&device.review()).expect(200).says("Your device is connected");

    let reply = device.poll().expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let tokens = Tokens::of(&reply.json());
    assert_eq!(tokens.scope, "openid profile");
    let (access, id) = (claims(&tokens.access), claims(&tokens.id));
    assert_eq!(access["client_id"], "tv");
    assert_eq!((&access["sid"], &access["sub"]), (&id["sid"], &id["sub"]));
    assert_eq!(access["grant_id"], claims(&tokens.refresh)["fid"]);
    assert!(app.opens(&tokens.access));
    device.poll().expect_oauth(400, "invalid_grant");
    assert!(app.opens(&tokens.access), "asking again takes nothing away");
    for event in ["device.allowed", "device.redeemed"] {
        assert_eq!(app.events(event), 1, "{event}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM session_clients WHERE client_id = 'tv'"), 1);
}

fn refreshed(app: &TestApp, refresh: &str) -> Reply {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "tv")];
    app.request("POST", "/oauth/token").form(&form).send()
}

#[test]
fn tokens_live_with_the_browser_session_or_offline() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let tokens = ["openid", "openid offline_access"].map(|scope| {
        let device = app.device("tv", scope);
        device.allowed_by(&mut browser);
        Tokens::of(&device.poll().expect(200).json())
    });
    let [bound, offline] = tokens;
    assert_eq!(claims(&bound.access)["sid"], claims(&bound.id)["sid"]);
    assert_ne!(claims(&offline.access)["sid"], claims(&offline.id)["sid"]);
    assert_eq!(claims(&offline.id)["sid"], claims(&bound.id)["sid"], "both are told of the same session");
    let (bound, offline) = (
        Tokens { refresh: Tokens::of(&refreshed(&app, &bound.refresh).expect(200).json()).refresh, ..bound },
        Tokens { refresh: Tokens::of(&refreshed(&app, &offline.refresh).expect(200).json()).refresh, ..offline },
    );
    assert_eq!(browser.posts("/signout", &[]).status, 303);
    assert!(!app.opens(&bound.access) && app.opens(&offline.access));
    assert_eq!(app.introspection(&bound.access), INACTIVE);
    refreshed(&app, &bound.refresh).expect_oauth(400, "invalid_grant");
    refreshed(&app, &offline.refresh).expect(200);
}

#[test]
fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("radio", "openid");
    device.allowed_by(&mut browser);
    assert_eq!(Tokens::of(&device.poll().expect(200).json()).refresh, "");
}

#[test]
fn no_ends_it() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("tv", "openid");
    browser.enter(&device.user_code).expect_to(&device.review());
    browser.say(&device.user_code, "deny", false).expect_to(&device.review());
    browser.get(&device.review()).expect(200).says("The device got no access.");
    device.poll().expect_oauth(400, "access_denied");
    browser.say(&device.user_code, "allow", true).expect_to(&device.review());
    device.poll().expect_oauth(400, "access_denied");
    assert_eq!((app.events("device.denied"), app.events("device.allowed")), (1, 0));
}

#[test]
fn a_code_lives_ten_minutes() {
    let app = app_with_devices();
    let (mut browser, mut passkey) = app.person();
    let (late, answered, slow) = (app.device("tv", "openid"), app.device("tv", "openid"), app.device("tv", "openid"));
    app.advance(Duration::seconds(590));
    browser.step_up(&mut passkey).expect(200);
    answered.allowed_by(&mut browser);
    browser.enter(&slow.user_code).expect_to(&slow.review());
    app.advance(Duration::seconds(10));
    late.poll().expect_oauth(400, "expired_token");
    answered.poll().expect_oauth(400, "expired_token");
    browser.enter(&late.user_code).expect(422).says("wrong, has expired or was already used");
    browser.say(&slow.user_code, "allow", true).expect_to("/device");
    slow.poll().expect_oauth(400, "expired_token");

    app.advance(Duration::days(1));
    let now = app.clock.now();
    late.poll().expect_oauth(400, "expired_token");
    app.advance(Duration::seconds(1));
    assert!(app.db.blocking(|conn| sweep::sweep(conn, now + Duration::seconds(1), None)).unwrap() > 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM device_codes"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM device_guesses"), 0);
    late.poll().expect_oauth(400, "invalid_grant");
}

#[test]
fn who_polls_too_often_waits_longer_for_good() {
    let app = app_with_devices();
    let device = app.device("tv", "openid");
    let interval = || app.count("SELECT poll_interval AS n FROM (SELECT poll_interval::bigint FROM device_codes) d");
    device.poll().expect_oauth(400, "authorization_pending");
    app.advance(Duration::seconds(2));
    device.poll().expect_oauth(400, "slow_down").says("Wait 10 seconds");
    assert_eq!(interval(), 10);
    app.advance(Duration::seconds(6));
    device.poll().expect_oauth(400, "slow_down");
    assert_eq!(interval(), 15);
    app.advance(Duration::seconds(15));
    device.poll().expect_oauth(400, "authorization_pending");
    assert_eq!(interval(), 15);
}

#[test]
fn of_64_polls_one_gets_tokens() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    for scope in ["openid", "openid offline_access"] {
        let device = app.device("tv", scope);
        device.allowed_by(&mut browser);
        let replies = at_once(64, |_| device.poll());
        let given = replies.iter().filter(|reply| reply.status == 200).count();
        let refused: Vec<Reply> = replies
            .into_iter()
            .filter(|reply| reply.status != 200)
            .map(|reply| reply.expect_oauth(400, "invalid_grant"))
            .collect();
        assert_eq!((given, refused.len()), (1, 63), "{scope}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE client_id = 'tv'"), 2);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions WHERE client_id = 'tv'"), 1);
    assert_eq!(app.events("device.redeemed"), 2);
}

#[test]
fn a_code_is_nothing_to_another_client() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("tv", "openid");
    device.poll_as("radio").expect_oauth(400, "invalid_grant");
    device.poll().expect_oauth(400, "authorization_pending");
    device.allowed_by(&mut browser);
    device.poll_as("radio").expect_oauth(400, "invalid_grant");
    device.poll().expect(200);
}

#[test]
fn only_clients_of_this_grant_ask_and_poll() {
    let app = app_with_devices();
    app.ask(&[("client_id", "web"), ("scope", "openid")]).expect_oauth(400, "unauthorized_client");
    app.ask(&[("client_id", "nobody")]).expect_oauth(401, "invalid_client");
    app.ask(&[("client_id", "hub")]).expect_oauth(401, "invalid_client");
    app.ask(&[("client_id", "hub"), ("client_secret", API_SECRET)]).expect(200);
    let device = app.device("tv", "openid");
    device.poll_as("web").expect_oauth(400, "unauthorized_client");
    for code in ["", "x", "pmd_", &format!("pmd_{}", "A".repeat(43)), &device.code[1..]] {
        let form = [("grant_type", DEVICE_CODE), ("device_code", code), ("client_id", "tv")];
        let error = if code.is_empty() { "invalid_request" } else { "invalid_grant" };
        app.request("POST", "/oauth/token").form(&form).send().expect_oauth(400, error);
    }
}

#[test]
fn a_device_asks_for_what_its_client_may_have_and_never_to_administer() {
    let app = app_with_devices();
    for (name, scope, resource, error) in [
        ("not the client's", "openid passkeys", "", "invalid_scope"),
        ("malformed", "openid \"", "", "invalid_scope"),
        ("to administer", "openid admin", "", "invalid_scope"),
        ("to administer a part", "admin:clients", "", "invalid_scope"),
        ("another audience", "openid", "https://elsewhere.example", "invalid_target"),
    ] {
        let form = [("client_id", "tv"), ("scope", scope), ("resource", resource)];
        let reply = app.ask(&form);
        let said = reply.expect_oauth(400, error).json()["error_description"].to_string();
        assert!(
            !said.contains("admin:") && !said.contains("elsewhere"),
            "{name}: what was sent is not repeated: {said}"
        );
    }
}

#[test]
fn the_session_that_entered_a_code_first_has_it() {
    let app = app_with_devices();
    let ((mut first, _), (mut second, _)) = (app.person(), app.person());
    let device = app.device("tv", "openid");
    first.enter(&device.user_code).expect_to(&device.review());
    second.enter(&device.user_code).expect(422).says("wrong, has expired or was already used");
    second.get(&device.review()).expect_to("/device");
    for decision in ["allow", "deny"] {
        second.say(&device.user_code, decision, true).expect_to("/device");
    }
    device.poll().expect_oauth(400, "authorization_pending");
    device.allowed_by(&mut first);
    let tokens = Tokens::of(&device.poll().expect(200).json());
    assert_eq!(claims(&tokens.access)["sub"], first.user().to_string());
}

/// Posts the code form from another network than the test's own.
fn enter_from(browser: &mut Browser, address: &str, code: &str) -> Reply {
    let csrf = csrf_of(browser);
    let form = [("csrf", csrf.as_str()), ("user_code", code)];
    browser.request("POST", "/device").header("X-Forwarded-For", address).form(&form).send()
}

/// Codes that no device has, or only by chance.
const WRONG: [&str; 6] = ["BBBB-BBBB", "CCCC-CCCC", "DDDD-DDDD", "FFFF-FFFF", "GGGG-GGGG", "HHHH-HHHH"];
const LONG_WRONG: [&str; 5] = ["BBBBB-BBBBB", "CCCCC-CCCCC", "DDDDD-DDDDD", "FFFFF-FFFFF", "GGGGG-GGGGG"];

fn behind_a_proxy() -> TestApp {
    let settings = &[("trusted_proxies", "127.0.0.1")];
    TestApp::with(&Options { config: DEVICES, settings, ..Options::default() })
}

#[test]
fn after_five_wrong_codes_a_session_and_its_network_wait() {
    let app = behind_a_proxy();
    let ((mut guesser, _), (mut neighbour, _), (mut stranger, _)) = (app.person(), app.person(), app.person());
    let device = app.device("tv", "openid");
    for nothing in ["", "x", "BBBB-BBBE", "BBBB-BBB"] {
        enter_from(&mut guesser, "192.0.2.1", nothing).expect(422);
    }
    for wrong in LONG_WRONG {
        enter_from(&mut guesser, "192.0.2.1", wrong).expect(422);
    }
    assert_eq!(app.events("device.code_refused"), 5, "what cannot be a code is no guess");
    enter_from(&mut guesser, "192.0.2.1", &device.user_code).expect(429).says("Wait 10 minutes");
    enter_from(&mut guesser, "198.51.100.1", &device.user_code).expect(429);
    enter_from(&mut neighbour, "192.0.2.77", &device.user_code).expect(429);
    enter_from(&mut stranger, "198.51.100.1", &device.user_code).expect_to(&device.review());
    app.advance(Duration::minutes(10));
    enter_from(&mut guesser, "192.0.2.1", &app.device("tv", "openid").user_code).expect(303);
}

#[test]
fn many_guessers_together_make_codes_longer_and_stop_nobody() {
    let app = behind_a_proxy();
    let mut people: Vec<_> = (0..6).map(|_| app.person().0).collect();
    let (mut honest, _) = app.person();
    let short = app.device("tv", "openid");
    for (n, wrong) in WRONG.iter().enumerate() {
        let reply = enter_from(&mut people[n], &format!("192.0.{n}.1"), wrong);
        if n < 5 {
            reply.expect(422)
        } else {
            reply.expect(429).says("it will be longer")
        };
    }
    enter_from(&mut honest, "203.0.113.1", &short.user_code).expect(429).says("it will be longer");
    let long = app.device("tv", "openid");
    assert_eq!(long.user_code.len(), 11, "{}", long.user_code);
    enter_from(&mut honest, "203.0.113.1", &long.user_code).expect_to(&long.review());
    app.advance(Duration::minutes(10));
    assert_eq!(app.device("tv", "openid").user_code.len(), 9, "quiet again");
}

#[test]
fn of_many_wrong_codes_at_once_five_are_tried() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let csrf = csrf_of(&mut browser);
    let replies = at_once(32, |_| {
        let form = [("csrf", csrf.as_str()), ("user_code", LONG_WRONG[0])];
        browser.request("POST", "/device").form(&form).send()
    });
    let tried = replies.iter().filter(|reply| reply.status == 422).count();
    let stopped = replies.iter().filter(|reply| reply.status == 429).count();
    assert_eq!((tried, stopped), (5, 27));
    assert_eq!(app.count("SELECT count(*) AS n FROM device_guesses"), 5);
}

#[test]
fn a_disabled_person_allows_nothing() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let (asked, allowed) = (app.device("tv", "openid"), app.device("tv", "openid offline_access"));
    allowed.allowed_by(&mut browser);
    browser.enter(&asked.user_code).expect_to(&asked.review());
    let (user, now) = (browser.user(), app.clock.now());
    let csrf = csrf_of(&mut browser);
    assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
    allowed.poll().expect_oauth(400, "invalid_grant");
    let form = [("csrf", csrf.as_str()), ("user_code", &asked.user_code), ("decision", "allow"), ("mine", "yes")];
    let refused = browser.request("POST", "/device/review").form(&form).send();
    refused.expect_to("/?next=%2Fdevice%2Freview");
    asked.poll().expect_oauth(400, "authorization_pending");
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions WHERE client_id = 'tv'"), 0);
}

#[test]
fn what_was_allowed_ends_with_its_session_before_it_is_fetched() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("tv", "openid offline_access");
    device.allowed_by(&mut browser);
    browser.posts("/signout", &[]).expect_to("/signed-out");
    device.poll().expect_oauth(400, "invalid_grant");
}

#[test]
fn the_forms_are_for_our_own_pages() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("tv", "openid");
    let form = [("csrf", "AAAA"), ("user_code", device.user_code.as_str()), ("decision", "allow"), ("mine", "yes")];
    browser.enter(&device.user_code).expect_to(&device.review());
    let csrf = csrf_of(&mut browser);
    let genuine = [("csrf", csrf.as_str()), form[1], form[2], form[3]];
    for path in ["/device", "/device/review"] {
        browser.request("POST", path).form(&form).send().expect(403).says("This page is out of date");
        browser.request("POST", path).form(&form[1..]).send().expect(403);
        let foreign = browser.request("POST", path).without("Origin").without("Sec-Fetch-Site");
        let foreign = foreign.header("Origin", "https://evil.example").header("Sec-Fetch-Site", "cross-site");
        foreign.form(&genuine).send().expect(403);
    }
    device.poll().expect_oauth(400, "authorization_pending");
}

#[test]
fn strangers_sign_in_and_come_back() {
    let app = app_with_devices();
    let device = app.device("tv", "openid");
    let back = format!("/?next=%2Fdevice%3Fuser_code%3D{}", device.user_code);
    let mut stranger = app.browser();
    stranger.get(&device.page()).expect_to(&back);
    stranger.get(&device.review()).expect_to(&back);
    stranger.get("/device?user_code=%3Cscript%3E").expect_to("/?next=%2Fdevice");
    let (mut browser, _) = app.person();
    let page = browser.get("/device?user_code=%22%3E%3Cscript%3E").expect(200);
    assert!(!page.body.contains("<script>"), "what is no code is not shown");
}

#[test]
fn yes_needs_a_verification_that_is_not_old() {
    let app = app_with_devices();
    let (mut browser, mut passkey) = app.person();
    let device = app.device("tv", "openid");
    browser.enter(&device.user_code).expect_to(&device.review());
    app.advance(Duration::minutes(6));
    let confirm = format!("/confirm?next=%2Fdevice%2Freview%3Fuser_code%3D{}", device.user_code);
    browser.get(&device.review()).expect_to(&confirm);
    browser.say(&device.user_code, "allow", true).expect_to(&confirm);
    device.poll().expect_oauth(400, "authorization_pending");
    browser.step_up(&mut passkey).expect(200);
    browser.get(&device.review()).expect(200);
    browser.say(&device.user_code, "allow", true).expect_to(&device.review());
    device.poll().expect(200);
}

#[test]
fn tokens_are_for_the_resources_that_were_asked_for() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let (api, music) = ("https://api.example", "https://music.example");
    let form = [("client_id", "radio"), ("resource", api), ("resource", music)];
    let answer = app.ask(&form).expect(200).json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let (code, user_code) = (text("device_code"), text("user_code"));
    let device = Device { app: &app, client: "radio", code, user_code, answer };
    browser.enter(&device.user_code).expect_to(&device.review());
    browser.get(&device.review()).expect(200).says(api).says(music);
    browser.say(&device.user_code, "allow", true).expect_to(&device.review());
    let poll = |resource: &str| {
        let form = [
            ("grant_type", DEVICE_CODE),
            ("device_code", &device.code),
            ("client_id", "radio"),
            ("resource", resource),
        ];
        app.request("POST", "/oauth/token").form(&form).send()
    };
    poll("https://elsewhere.example").expect_oauth(400, "invalid_target");
    let tokens = Tokens::of(&poll(music).expect(200).json());
    assert_eq!((tokens.scope.as_str(), &claims(&tokens.access)["aud"]), ("openid", &json!(music)));
    let device = app.device("radio", "openid");
    device.allowed_by(&mut browser);
    let tokens = Tokens::of(&device.poll().expect(200).json());
    assert_eq!(claims(&tokens.access)["aud"], json!(app.origin), "userinfo is ours");
}

#[test]
fn an_api_is_called_by_its_name() {
    let config = DEVICES.to_owned() + "\n[resources.\"https://api.example\"]\nname = \"Orders of Acme\"\n";
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    let form = [("client_id", "radio"), ("resource", "https://api.example"), ("resource", "https://music.example")];
    let answer = app.ask(&form).expect(200).json();
    let code = answer["user_code"].as_str().unwrap();
    let review = format!("/device/review?user_code={code}");
    browser.enter(code).expect_to(&review);
    browser.get(&review).expect(200).says("<bdi>Orders of Acme</bdi>").says("<bdi>https://music.example</bdi>");
}

#[test]
fn an_app_for_a_group_is_for_nobody_else() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let device = app.device("staff", "openid");
    browser.enter(&device.user_code).expect_to(&device.review());
    browser.get(&device.review()).expect(403);
    browser.say(&device.user_code, "allow", true).expect(403);
    device.poll().expect_oauth(400, "authorization_pending");
    // The person leaves the group between the answer and the poll.
    app.sql("UPDATE device_codes SET decision = 'allowed', decided_at = now(), session_id = claimed_by, user_id = (SELECT id FROM users)");
    device.poll().expect_oauth(400, "invalid_grant");
}

#[test]
fn what_a_device_was_allowed_is_listed_and_taken_back() {
    let app = app_with_devices();
    let (mut browser, _) = app.person();
    let (fetched, waiting) = (app.device("tv", "openid offline_access"), app.device("tv", "openid profile"));
    fetched.allowed_by(&mut browser);
    let tokens = Tokens::of(&fetched.poll().expect(200).json());
    waiting.allowed_by(&mut browser);
    let page = browser.get("/account/apps").expect(200);
    for told in ["Acme TV", "Keep this access until you withdraw it", "Your name and profile"] {
        assert!(page.body.contains(told), "{told}");
    }
    let radio = app.device("radio", "openid");
    radio.allowed_by(&mut browser);
    let radio = Tokens::of(&radio.poll().expect(200).json());
    for client in ["tv", "radio"] {
        browser.posts("/account/apps/remove", &[("client", client)]).expect_to("/account/apps?done=app-removed");
    }
    assert!(!app.opens(&tokens.access) && !app.opens(&radio.access));
    refreshed(&app, &tokens.refresh).expect_oauth(400, "invalid_grant");
    waiting.poll().expect_oauth(400, "invalid_grant");
}
