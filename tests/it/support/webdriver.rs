//! A real browser: headless Chromium, driven through chromedriver by the W3C WebDriver protocol over plain HTTP.
//!
//! One chromedriver serves the whole test binary. The kernel stops it together with this process, however that ends,
//! and it takes its browsers with it. Nothing here sleeps for a fixed time: it polls until the expected thing appears
//! or the [`PATIENCE`] is over. A test fails if the browser's console contains an error (a broken script, a violated
//! content security policy, a failed request) that it did not [announce](Chromium::expect_console).

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key by which WebDriver §12.2 identifies elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Tab, in the notation of WebDriver §17.4.2.
pub const TAB: char = '\u{e004}';
/// Shift, held while [`TAB`] is pressed.
pub const SHIFT: char = '\u{e008}';
/// Enter.
pub const ENTER: char = '\u{e007}';

/// See [`Chromium::hold_prompts`].
const HOLD_PROMPTS: &str = r"
  globalThis.prompts = [];
  for (const call of ['get', 'create']) {
    const real = navigator.credentials?.[call].bind(navigator.credentials);
    if (real) navigator.credentials[call] = async (options) => {
      if (sessionStorage.getItem('hold') !== 'yes') return real(options);
      await new Promise((answer, close) => {
        prompts.push(answer);
        options.signal?.addEventListener('abort', () => {
          prompts = prompts.filter((other) => other !== answer);
          close(options.signal.reason);
        });
      });
      const { uiMode, ...rest } = options;
      return real(rest);
    };
  }";

static DRIVER: LazyLock<Result<String, String>> = LazyLock::new(start_driver);

/// The path of a program on the `PATH`.
fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{name} is not on the PATH; the browser tests need it: run scripts/need test"))
}

fn start_driver() -> Result<String, String> {
    program("chromium")?;
    let driver = program("chromedriver")?;
    // The next run removes this folder with what Chromium left in it.
    let folder = std::env::temp_dir().join(format!("passmint-it-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let (send, receive) = mpsc::channel();
    // The parent-death signal follows the thread that started the child, so that thread never ends.
    std::thread::spawn(move || {
        // When it may choose any port, chromedriver sometimes chooses one that is taken on the other loopback address,
        // and ends.
        for _ in 0..5 {
            let mut child = Command::new("setpriv")
                .args(["--pdeathsig", "TERM", "--"])
                .arg(&driver)
                .arg("--port=0")
                .env("TMPDIR", &folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("setpriv starts chromedriver");
            for line in BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = send.send(format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
                }
            }
            let _ = child.wait();
        }
        loop {
            std::thread::park();
        }
    });
    receive.recv_timeout(PATIENCE).map_err(|_| "chromedriver does not say that it listens".to_owned())
}

/// The kind of authenticator that a browser has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The computer's own, with a passkey manager that synchronises to other devices.
    Platform,
    /// A security key with a PIN.
    SecurityKey,
}

/// A browser window with a fresh profile.
pub struct Chromium {
    session: String,
    expected: RefCell<Vec<String>>,
    _profile: TempDir,
}

impl Chromium {
    /// A new browser, 1280 × 800.
    pub fn start() -> Self {
        let driver = DRIVER.as_ref().unwrap_or_else(|problem| panic!("{problem}"));
        let root = rustix::process::geteuid().is_root();
        let (profile, session) = open_session(driver, root)
            // Where user namespaces are forbidden, Chromium cannot create its sandbox.
            .or_else(|refused| if root { Err(refused) } else { open_session(driver, true) })
            .unwrap_or_else(|refused| panic!("Chromium does not start: {refused}"));
        let browser = Self { session, expected: RefCell::default(), _profile: profile };
        browser.resize(1280, 800);
        // The machine decides which window has the keyboard; without it nothing matches `:focus`.
        browser.devtools("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": HOLD_PROMPTS }));
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        command(method, &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn must(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Polls until there is an answer.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "{what} did not happen at {}; it says:\n{}",
                self.url(),
                self.page_text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens a URL and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.must("/url", &json!({ "url": url }));
    }

    /// Switches to the other of two windows.
    #[track_caller]
    pub fn goes_to_the_other_window(&self) {
        self.until("another window", || {
            let this = self.call("GET", "/window", &Value::Null).ok()?;
            let all = self.call("GET", "/window/handles", &Value::Null).ok()?;
            let other = all.as_array()?.iter().find(|window| **window != this)?;
            self.call("POST", "/window", &json!({ "handle": other })).ok().map(drop)
        });
    }

    /// The URL of the page.
    pub fn url(&self) -> String {
        self.call("GET", "/url", &Value::Null).unwrap_or_default().as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page's path, with its query, is this one.
    #[track_caller]
    pub fn arrives_at(&self, path: &str) {
        self.until(&format!("arriving at {path}"), || {
            let url = self.url();
            let at = url.splitn(4, '/').nth(3).unwrap_or_default();
            (format!("/{at}") == path).then_some(())
        });
    }

    fn found(&self, using: &str, value: &str) -> Vec<String> {
        let found = self.call("POST", "/elements", &json!({ "using": using, "value": value })).unwrap_or_default();
        let list = found.as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|element| element[ELEMENT].as_str()).map(ToOwned::to_owned).collect()
    }

    fn shown(&self, element: &str) -> bool {
        self.call("GET", &format!("/element/{element}/displayed"), &Value::Null) == Ok(Value::Bool(true))
    }

    fn first_shown(&self, css: &str) -> Option<String> {
        self.found("css selector", css).into_iter().find(|element| self.shown(element))
    }

    /// Whether an element is currently visible.
    pub fn sees(&self, css: &str) -> bool {
        self.first_shown(css).is_some()
    }

    /// The text of the first visible element, once one has a text.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        self.until(css, || {
            let text = self.call("GET", &format!("/element/{}/text", self.first_shown(css)?), &Value::Null).ok()?;
            text.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        })
    }

    /// Waits until the first visible element contains a text.
    #[track_caller]
    pub fn reads(&self, css: &str, wanted: &str) {
        self.until(&format!("{css} with “{wanted}”"), || {
            let text = self.call("GET", &format!("/element/{}/text", self.first_shown(css)?), &Value::Null).ok()?;
            text.as_str()?.contains(wanted).then_some(())
        });
    }

    /// The whole visible text of the page.
    pub fn page_text(&self) -> String {
        self.script("return document.body.innerText", &[]).as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first visible element that matches a selector.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.until(&format!("a click on {css}"), || self.click_element(&self.first_shown(css)?));
    }

    /// Presses the visible button or link with this text.
    #[track_caller]
    pub fn press(&self, words: &str) {
        let path = format!("//*[self::a or self::button or self::summary][normalize-space(.)='{words}']");
        self.until(&format!("a press of “{words}”"), || {
            let element = self.found("xpath", &path).into_iter().find(|element| self.shown(element))?;
            self.click_element(&element)
        });
    }

    fn click_element(&self, element: &str) -> Option<()> {
        self.call("POST", &format!("/element/{element}/click"), &json!({})).ok().map(drop)
    }

    /// Types into a field, after its current content.
    #[track_caller]
    pub fn type_into(&self, css: &str, text: &str) {
        self.until(&format!("typing into {css}"), || {
            let element = self.first_shown(css)?;
            self.call("POST", &format!("/element/{element}/value"), &json!({ "text": text })).ok()
        });
    }

    /// Presses a key on the keyboard, optionally with another one held.
    #[track_caller]
    pub fn key(&self, key: char, held: Option<char>) {
        let action = |kind: &str, key: char| json!({ "type": kind, "value": key.to_string() });
        let mut actions = vec![action("keyDown", key), action("keyUp", key)];
        if let Some(held) = held {
            actions.insert(0, action("keyDown", held));
            actions.push(action("keyUp", held));
        }
        self.must("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// Runs a function body in the page. Returns its value.
    #[track_caller]
    pub fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.must("/execute/sync", &json!({ "script": body, "args": arguments }))
    }

    /// Sends a command of the Chrome DevTools protocol.
    #[track_caller]
    pub fn devtools(&self, method: &str, parameters: &Value) -> Value {
        self.must("/goog/cdp/execute", &json!({ "cmd": method, "params": parameters }))
    }

    /// The cookies of the page's origin.
    pub fn cookies(&self) -> Vec<Value> {
        self.call("GET", "/cookie", &Value::Null).unwrap_or_default().as_array().cloned().unwrap_or_default()
    }

    /// Makes the page this large, in CSS pixels; it can be narrower than a window.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Prefers `light` or `dark`, and reduced motion.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Writes a screenshot of the whole page.
    pub fn picture(&self, file: &Path) {
        let taken = self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).expect("the picture is written");
    }

    /// Makes prompts wait for [`Self::touches`], on pages of this origin and from the next page on; otherwise they are
    /// answered at once.
    ///
    /// A virtual authenticator that nobody touches never answers again, not even when it is touched later. The wait is
    /// therefore in front of it: a call to the passkey API is held back, like by an open prompt, and then continues
    /// unchanged (except for the immediate mode, whose user activation may have expired by then).
    #[track_caller]
    pub fn hold_prompts(&self, hold: bool) {
        self.script("sessionStorage.setItem('hold', arguments[0])", &[json!(if hold { "yes" } else { "no" })]);
    }

    /// Waits for a prompt that was held back, and answers it.
    #[track_caller]
    pub fn touches(&self) {
        self.until("a prompt", || {
            let answered = self.script("const answer = prompts.shift(); answer?.(); return !!answer", &[]);
            (answered == json!(true)).then_some(())
        });
    }

    /// Adds an authenticator that verifies its person and answers at once.
    #[track_caller]
    pub fn plug_in(&self, device: Device) -> String {
        let platform = device == Device::Platform;
        let authenticator = json!({
            "protocol": "ctap2", "transport": if platform { "internal" } else { "usb" },
            "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
            "defaultBackupEligibility": platform, "defaultBackupState": platform,
        });
        self.must("/webauthn/authenticator", &authenticator).as_str().expect("its id").to_owned()
    }

    /// Sets whether somebody touches the authenticator when it is asked. One that is not touched leaves the answer to
    /// others.
    #[track_caller]
    pub fn touch(&self, device: &str, present: bool) {
        let parameters = json!({ "authenticatorId": device, "enabled": present });
        self.devtools("WebAuthn.setAutomaticPresenceSimulation", &parameters);
    }

    /// Sets whether the authenticator verifies its person.
    #[track_caller]
    pub fn recognise(&self, device: &str, verified: bool) {
        self.must(&format!("/webauthn/authenticator/{device}/uv"), &json!({ "isUserVerified": verified }));
    }

    /// The passkeys that an authenticator holds.
    #[track_caller]
    pub fn passkeys(&self, device: &str) -> Vec<Value> {
        let path = format!("/webauthn/authenticator/{device}/credentials");
        self.call("GET", &path, &Value::Null).expect("the list").as_array().cloned().unwrap_or_default()
    }

    /// Copies a passkey onto an authenticator, as passkey managers do between devices.
    #[track_caller]
    pub fn copy_passkey(&self, device: &str, passkey: &Value) {
        self.must(&format!("/webauthn/authenticator/{device}/credential"), passkey);
    }

    /// Announces an error that the console will contain because of what the test does, such as a refused request.
    pub fn expect_console(&self, part: &str) {
        self.expected.borrow_mut().push(part.to_owned());
    }

    /// The console's errors that were not announced.
    pub fn console_errors(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({ "type": "browser" })).unwrap_or_default();
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !self.expected.borrow().iter().any(|part| message.contains(part)))
            .map(ToOwned::to_owned)
            .collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let errors = self.console_errors();
        let page = format!("at {}:\n{}", self.url(), self.page_text_or_nothing());
        let _ = self.call("DELETE", "", &Value::Null);
        if std::thread::panicking() {
            eprintln!("the browser was {page}\nconsole errors: {errors:#?}");
        } else {
            assert!(errors.is_empty(), "console errors {page}\n{errors:#?}");
        }
    }
}

impl Chromium {
    fn page_text_or_nothing(&self) -> String {
        let body = json!({ "script": "return document.body.innerText", "args": [] });
        self.call("POST", "/execute/sync", &body).unwrap_or_default().as_str().unwrap_or_default().to_owned()
    }
}

fn open_session(driver: &str, without_sandbox: bool) -> Result<(TempDir, String), String> {
    let profile = TempDir::new().map_err(|error| error.to_string())?;
    let mut arguments = vec![
        "--headless=new".to_owned(),
        format!("--user-data-dir={}", profile.path().display()),
        // Only the server under test may be contacted.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1"
            .to_owned(),
    ];
    let plain = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--lang=en",
        "--force-color-profile=srgb",
        "--hide-scrollbars",
    ];
    arguments.extend(plain.map(ToOwned::to_owned));
    if without_sandbox {
        arguments.push("--no-sandbox".to_owned());
    }
    let wanted = json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "webauthn:virtualAuthenticators": true,
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": program("chromium")?, "args": arguments },
    } } });
    let answer = command("POST", &format!("{driver}/session"), &wanted)?;
    let id = answer["sessionId"].as_str().ok_or("no session id")?;
    Ok((profile, format!("{driver}/session/{id}")))
}

/// Sends one command; the error is `code: message`.
fn command(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let request = ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    let answer = if method == "POST" {
        request.body(body.to_string()).map(|request| agent.run(request))
    } else {
        request.body(()).map(|request| agent.run(request))
    };
    let mut answer = answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(|error| error.to_string())?;
    let mut json: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    match json["value"]["error"].as_str() {
        Some(code) => Err(format!("{code}: {}", json["value"]["message"].as_str().unwrap_or_default())),
        None => Ok(json["value"].take()),
    }
}
