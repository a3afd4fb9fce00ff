//! A Chromium that WebDriver controls over HTTP. A wait always checks a condition again and never relies on
//! the clock alone.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openai_inbound_calls::clock::now;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The time limit of a wait: longer than anything that works takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Set by `tests/run dashboard`: a missing Chromium is then a failure.
const REQUIRED: &str = "DASHBOARD_TESTS";
/// The folder for screenshots.
const PICTURES: &str = "DASHBOARD_SCREENSHOTS";
const PROGRAMS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];
/// The key under which JSON names an element (W3C WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Runs chromedriver until the standard input of this script ends, which happens when this process ends.
/// chromedriver has no such option while it chooses its port itself.
const KEEPER: &str = r#""$@" & driver=$!; while read -r line; do :; done; kill $driver; wait $driver"#;

struct Driver {
    url: String,
    _keeper: (Child, Option<ChildStdin>),
}

static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();

fn program(name: &str) -> Option<PathBuf> {
    PROGRAMS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Starts chromedriver if chromedriver and a Chromium are installed.
fn start() -> Option<Driver> {
    let (driver, _) = (program("chromedriver")?, program("chromium")?);
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(driver)
        .arg("--port=0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    let input = keeper.stdin.take();
    let mut lines = BufReader::new(keeper.stdout.take().expect("piped")).lines();
    let port: u16 = lines
        .find_map(|line| {
            let line = line.expect("it speaks");
            line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
        })
        .expect("it says where it listens");
    // Further output must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Driver { url: format!("http://127.0.0.1:{port}"), _keeper: (keeper, input) })
}

/// The differences of a browser from the default: English, light colours, a desktop screen.
#[derive(Clone, Copy)]
pub(crate) struct With {
    pub(crate) languages: &'static str,
    pub(crate) width: u32,
    pub(crate) dark: bool,
}

impl Default for With {
    fn default() -> Self {
        Self { languages: "en-US,en", width: 1280, dark: false }
    }
}

/// One window with a profile of its own. Dropping the value closes the window.
pub(crate) struct Browser {
    runtime: Runtime,
    client: Client,
    session: String,
    /// The address of the daemon without a slash at the end.
    site: String,
    pub(crate) downloads: TempDir,
}

impl Browser {
    /// A window that shows nothing yet. None: there is no Chromium, and a line says so.
    pub(crate) fn new(site: &str, with: With) -> Option<Self> {
        let Some(driver) = DRIVER.get_or_init(start) else {
            assert!(std::env::var_os(REQUIRED).is_none(), "there is no chromium or chromedriver");
            println!("skipped: there is no chromium or chromedriver (tests/run dashboard installs them)");
            return None;
        };
        let tls = openai_inbound_calls::net::tls::client_config().expect("a trust store");
        let client = Client::builder().tls_backend_preconfigured(tls.as_ref().clone()).no_proxy();
        let mut browser = Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: client.timeout(PATIENCE).build().expect("a client"),
            session: driver.url.clone(),
            site: site.to_owned(),
            downloads: tempfile::tempdir().expect("a folder"),
        };
        let options = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--autoplay-policy=no-user-gesture-required", "--mute-audio",
                    format!("--lang={}", with.languages.split(',').next().expect("a language"))],
                "prefs": {"intl.accept_languages": with.languages,
                    "download.default_directory": browser.downloads.path().display().to_string()},
            },
        }}});
        let made = browser.ask(Method::POST, "/session", Some(&options));
        browser.session =
            format!("{}/session/{}", driver.url, made["sessionId"].as_str().expect("a session"));
        browser.looks(with);
        Some(browser)
    }

    /// Sets another width and another colour scheme.
    pub(crate) fn looks(&self, with: With) {
        let metrics =
            json!({"width": with.width, "height": 900, "deviceScaleFactor": 1, "mobile": with.width < 500});
        self.cdp("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if with.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.cdp("Emulation.setEmulatedMedia", &media);
    }

    /// Sends a command of Chromium's own protocol.
    pub(crate) fn cdp(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.ask(Method::POST, "/goog/cdp/execute", Some(&body))
    }

    /// Sends a request to the driver. An error fails the test.
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer: Result<Value, String> = self.runtime.block_on(async {
            let bytes = request.send().await.map_err(|error| error.to_string())?.bytes().await;
            serde_json::from_slice(&bytes.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())
        });
        let mut value = answer?["value"].take();
        match value.get("error") {
            Some(_) => Err(value["message"].take().to_string()),
            None => Ok(value),
        }
    }

    /// Opens this path of the daemon, including the part after `#`, as if it were typed.
    pub(crate) fn go(&self, path: &str) {
        self.ask(Method::POST, "/url", Some(&json!({"url": format!("{}{path}", self.site)})));
    }

    pub(crate) fn address(&self) -> String {
        self.ask(Method::GET, "/url", None).as_str().expect("an address").to_owned()
    }

    /// Runs this function body in the page and returns its result. `arguments` are the arguments of the
    /// function.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.ask(Method::POST, "/execute/sync", Some(&json!({"script": script, "args": arguments})))
    }

    /// Waits until this expression is true. An expression that reads an element which the page has not
    /// drawn yet is not true yet.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        let script = format!(
            "try {{ return Boolean({expression}) }} \
             catch (error) {{ if (error instanceof TypeError) return error.message; throw error }}"
        );
        let end = now() + PATIENCE;
        loop {
            let seen = self.run(&script, &[]);
            if seen == json!(true) {
                return;
            }
            assert!(now() < end, "waited in vain until {expression} ({seen}), in:\n{}", self.text("body"));
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until an element matches and is this text or contains it.
    #[track_caller]
    pub(crate) fn shows(&self, selector: &str, text: &str) {
        self.until(&format!(
            "[...document.querySelectorAll({})].some((e) => e.checkVisibility() && e.textContent.includes({}))",
            json!(selector),
            json!(text)
        ));
    }

    /// The texts of all elements that match.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)";
        let texts = self.run(script, &[json!(selector)]);
        texts.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    }

    /// The visible text of the first element that matches.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        self.run(script, &[json!(selector)]).as_str().expect("text").to_owned()
    }

    pub(crate) fn count(&self, selector: &str) -> u64 {
        let count = self.run("return document.querySelectorAll(arguments[0]).length", &[json!(selector)]);
        count.as_u64().expect("a number")
    }

    /// Waits until the element is there, and returns its reference.
    #[track_caller]
    fn find(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({})?.checkVisibility()", json!(selector)));
        let found =
            self.ask(Method::POST, "/element", Some(&json!({"using": "css selector", "value": selector})));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Clicks on the element as a mouse does: an element under another one cannot be clicked.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.ask(Method::POST, &format!("/element/{element}/click"), Some(&json!({})));
    }

    /// Clicks on the button with these words.
    #[track_caller]
    pub(crate) fn press(&self, within: &str, words: &str) {
        let mark = "for (const e of document.querySelectorAll(arguments[0])) \
            if (e.textContent === arguments[1]) { e.setAttribute('data-pressed', ''); return true } return false";
        self.run(
            "document.querySelectorAll('[data-pressed]').forEach((e) => e.removeAttribute('data-pressed'))",
            &[],
        );
        let buttons = format!("{within} button, {within} a.button");
        let end = now() + PATIENCE;
        while self.run(mark, &[json!(buttons), json!(words)]) != json!(true) {
            assert!(now() < end, "no button {words} in:\n{}", self.text("body"));
            std::thread::sleep(LOOK_EVERY);
        }
        self.click("[data-pressed]");
    }

    /// Types into the element.
    #[track_caller]
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.ask(Method::POST, &format!("/element/{element}/value"), Some(&json!({"text": text})));
    }

    /// Sets the value of a field, including dates and lists, as a user does.
    #[track_caller]
    pub(crate) fn set(&self, selector: &str, value: &str) {
        self.find(selector);
        let script = "const e = document.querySelector(arguments[0]); e.value = arguments[1]; \
            for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, { bubbles: true })); \
            return e.value";
        assert_eq!(self.run(script, &[json!(selector), json!(value)]), json!(value), "{selector} takes it");
    }

    /// Presses these keys one after another on the focused element (W3C WebDriver, 17.4.2).
    pub(crate) fn keys(&self, keys: &[&str]) {
        let strokes =
            keys.iter().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions =
            json!({"actions": [{"type": "key", "id": "keys", "actions": strokes.collect::<Vec<_>>()}]});
        self.ask(Method::POST, "/actions", Some(&actions));
    }

    /// Saves a screenshot of the page, or of the window if the page is very long, if a folder for screenshots
    /// is set.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os(PICTURES) else { return };
        let is_long = self.run("return document.scrollingElement.scrollHeight > 5000", &[]);
        let taken =
            self.cdp("Page.captureScreenshot", &json!({"captureBeyondViewport": is_long == json!(false)}));
        let png = STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).expect("a file");
    }

    /// The complaints of the browser: errors of scripts, and what the policy forbids. Failed requests, which
    /// the browser notes too, are left out.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.ask(Method::POST, "/se/log", Some(&json!({"type": "browser"})));
        let lines = log.as_array().expect("a list").iter();
        lines
            .filter(|line| ["SEVERE", "WARNING"].iter().any(|level| line["level"] == *level))
            .map(|line| line["message"].as_str().expect("text").to_owned())
            .filter(|message| !message.contains("Failed to load resource"))
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Only the end of the session ends Chromium. A failure here must not hide why the test failed.
        drop(self.try_ask(Method::DELETE, "", None));
    }
}
