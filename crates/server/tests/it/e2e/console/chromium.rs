//! A real browser without a window, as an operator sits before it.
//!
//! WebDriver is JSON over HTTP, and a few of its commands are all that is needed here. The libraries for
//! it either switch on a feature of `serde_json` for the whole workspace, whose tests then see another
//! order of keys than what is deployed, or are under a licence that nothing else here needs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{super::service::Service, browser::Operator};

/// How long anything on a page may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often what drives browsers is started until it stays.
const STARTS_MAX: u32 = 10;
/// What Chromium is told, so that a machine without a screen, a sandbox or a network is enough.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// What drives browsers; it ends with them.
pub(super) struct Chromium {
    driver: Child,
    url: String,
    folder: TempDir,
}

impl Chromium {
    pub(super) fn start() -> Self {
        // It takes a port that is free for IPv6 and ends when somebody has the same one for IPv4.
        let started = (0..STARTS_MAX).find_map(|_| Self::drive());
        let (driver, port) = started.expect("chromedriver says where it is");
        Self {
            driver,
            url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What drives browsers, and its port, unless it ended at once.
    fn drive() -> Option<(Child, String)> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = driver
            .expect("chromedriver is needed: scripts/test installs it, or install chromium-driver");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("successfully on port ")?.1.to_owned()));
        if port.is_none() {
            driver.wait().unwrap();
        }
        Some((driver, port?))
    }

    /// A browser of its own: nobody else's cookies.
    pub(super) async fn browser(&self, service: &Service) -> Window {
        let profile = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let profile = format!("--user-data-dir={}", profile.display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([&*profile]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut window = Window {
            http,
            session: format!("{}/session", self.url),
            base: format!("http://{}", service.client().address()),
        };
        let opened = window.command(Method::POST, "", wanted).await.unwrap();
        let session = opened["sessionId"].as_str().unwrap();
        window.session = format!("{}/session/{session}", self.url);
        window.size(1280, 900).await;
        // A browser may begin with its own page, and with the focus in its own field for addresses.
        window
            .devtools(
                "Emulation.setFocusEmulationEnabled",
                json!({"enabled": true}),
            )
            .await;
        window
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
        // Browsers outlive what drives them, when a test fails.
        let folder = self.folder.path().to_str().unwrap();
        for process in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
            let name = process.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // Whoever has ended meanwhile has no command line.
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(folder) {
                let _ended = kill(Pid::from_raw(id), Signal::SIGKILL).is_err();
            }
        }
    }
}

/// What an operator has before them.
pub(super) struct Window {
    http: reqwest::Client,
    session: String,
    pub(super) base: String,
}

/// Something on a page, as WebDriver names it.
pub(super) struct Element(String);

impl Window {
    /// Tells the browser to do something; what it answers, or why it did not.
    async fn command(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::POST {
            request.body(body.to_string())
        } else {
            request
        };
        let answer = request.send().await.unwrap();
        let is_done = answer.status().is_success();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let value = answer["value"].clone();
        if is_done {
            Ok(value)
        } else {
            Err(value["message"].as_str().unwrap_or_default().to_owned())
        }
    }

    #[track_caller]
    fn tell(&self, path: &str, body: Value) -> impl Future<Output = Value> {
        let path = path.to_owned();
        async move {
            let done = self.command(Method::POST, &path, body).await;
            done.unwrap_or_else(|error| panic!("{path}: {error}"))
        }
    }

    pub(super) async fn ask(&self, path: &str) -> Value {
        self.command(Method::GET, path, Value::Null).await.unwrap()
    }

    pub(super) async fn open(&self, path: &str) {
        self.open_elsewhere(&format!("{}{path}", self.base)).await;
    }

    /// Opens a page that is nobody's.
    pub(super) async fn open_elsewhere(&self, url: &str) {
        self.tell("/url", json!({"url": url})).await;
    }

    /// The path of the page, with its query.
    pub(super) async fn path(&self) -> String {
        let url = self.ask("/url").await;
        let url = url.as_str().unwrap();
        url.strip_prefix(&self.base).unwrap_or(url).to_owned()
    }

    /// Waits for what a selector finds first.
    pub(super) async fn find(&self, css: &str) -> Element {
        let deadline = Instant::now() + PATIENCE;
        let wanted = json!({"using": "css selector", "value": css});
        loop {
            let found = self.command(Method::POST, "/element", wanted.clone()).await;
            match found {
                Ok(found) => {
                    let name = found.as_object().unwrap().values().next().unwrap();
                    return Element(name.as_str().unwrap().to_owned());
                }
                Err(error) => {
                    let text = self.text().await;
                    assert!(Instant::now() < deadline, "{css}: {error}\n{text}");
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(super) async fn click(&self, css: &str) {
        let Element(name) = self.find(css).await;
        self.tell(&format!("/element/{name}/click"), json!({}))
            .await;
    }

    /// Whether something can be pressed.
    pub(super) async fn is_enabled(&self, css: &str) -> bool {
        let Element(name) = self.find(css).await;
        self.ask(&format!("/element/{name}/enabled")).await == true
    }

    pub(super) async fn write(&self, css: &str, text: &str) {
        let Element(name) = self.find(css).await;
        self.tell(&format!("/element/{name}/clear"), json!({}))
            .await;
        let text = json!({"text": text});
        self.tell(&format!("/element/{name}/value"), text).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(super) async fn press(&self, keys: &str) {
        for key in keys.chars() {
            // The first key after a page has come goes nowhere on a busy machine, unless the page has
            // answered something before.
            self.run("return document.readyState").await;
            let presses = json!([
                {"type": "keyDown", "value": key.to_string()},
                {"type": "keyUp", "value": key.to_string()},
            ]);
            let keyboard = json!({"type": "key", "id": "keyboard", "actions": presses});
            self.tell("/actions", json!({"actions": [keyboard]})).await;
        }
    }

    /// All that can be read on the page.
    pub(super) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until something can be read on the page.
    pub(super) async fn sees(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.text().await;
            if there.contains(text) {
                return;
            }
            let path = self.path().await;
            assert!(Instant::now() < deadline, "{text}\nnot on {path}:\n{there}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the page says that something was done to a transfer.
    pub(super) async fn is_told_of(&self, id: &str) {
        let said = format!("p.notice.good a[href=\"/console/transfers/{id}\"]");
        self.find(&said).await;
    }

    pub(super) async fn run(&self, script: &str) -> Value {
        self.tell("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Runs a script that calls its last argument with what it comes to.
    pub(super) async fn come_to(&self, script: &str) -> Value {
        self.tell("/execute/async", json!({"script": script, "args": []}))
            .await
    }

    async fn devtools(&self, method: &str, parameters: Value) {
        let command = json!({"cmd": method, "params": parameters});
        self.tell("/goog/cdp/execute", command).await;
    }

    /// What was logged since the last time.
    async fn log(&self, of: &str) -> Vec<String> {
        let entries = self.tell("/se/log", json!({"type": of})).await;
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) async fn size(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// What the system is said to like: `light` or `dark`.
    pub(super) async fn theme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = json!({"features": features});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    pub(super) async fn without_script(&self) {
        let off = json!({"value": true});
        self.devtools("Emulation.setScriptExecutionDisabled", off)
            .await;
    }

    pub(super) async fn picture(&self) -> Vec<u8> {
        let picture = self.ask("/screenshot").await;
        BASE64.decode(picture.as_str().unwrap().as_bytes()).unwrap()
    }

    /// Signs an operator in, who is then on the page that the form leads to.
    pub(super) async fn sign_in(&self, operator: &Operator) {
        self.open("/console/sign-in").await;
        self.write("#name", &operator.name).await;
        self.write("#password", &operator.password).await;
        self.write("#code", &operator.code()).await;
        self.click("form.sign-in button").await;
        self.find("header.bar").await;
    }

    /// Since the last time nothing was said that developers would have to look at, and nobody else was
    /// asked for anything.
    pub(super) async fn assert_quiet(&self) {
        let said = self.log("browser").await;
        assert!(said.is_empty(), "{}: {said:?}", self.path().await);
        for entry in self.log("performance").await {
            let entry: Value = serde_json::from_str(&entry).unwrap();
            let message = &entry["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["params"]["request"]["url"].as_str().unwrap();
            // A new window has a page of the browser's own.
            let own = ["chrome://", "chrome-untrusted://", "data:"];
            let is_own = own.iter().any(|scheme| url.starts_with(scheme));
            assert!(is_own || url.starts_with(&self.base), "{url} was asked for");
        }
    }

    pub(super) async fn close(self) {
        self.command(Method::DELETE, "", Value::Null).await.unwrap();
    }
}
