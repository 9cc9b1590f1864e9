//! A real browser without a window, as an operator sits before it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    mem::ManuallyDrop,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, WebDriver, WebElement,
    common::capabilities::desiredcapabilities::CapabilitiesHelper as _,
};

use super::{super::service::Service, browser::Operator};

/// How long anything on a page may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
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
        let port = port.expect("chromedriver says where it is");
        Self {
            driver,
            url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A browser of its own: nobody else's cookies.
    pub(super) async fn browser(&self, service: &Service) -> Window {
        let profile = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let mut wanted = thirtyfour::DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).unwrap();
        }
        let profile = format!("--user-data-dir={}", profile.display());
        wanted.add_arg(&profile).unwrap();
        let log = json!({"browser": "ALL", "performance": "ALL"});
        wanted.set("goog:loggingPrefs", log).unwrap();
        let driver = WebDriver::new(&*self.url, wanted).await.unwrap();
        let window = Window {
            driver: ManuallyDrop::new(driver),
            base: format!("http://{}", service.client().address()),
        };
        window.size(1280, 900).await;
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
    /// Never dropped: that would wait for a browser which may be gone already.
    driver: ManuallyDrop<WebDriver>,
    pub(super) base: String,
}

impl Window {
    pub(super) async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.driver.goto(url).await.unwrap();
    }

    /// Opens a page that is nobody's.
    pub(super) async fn open_elsewhere(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// The path of the page, with its query.
    pub(super) async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    /// Waits for what a selector finds first.
    pub(super) async fn find(&self, css: &str) -> WebElement {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.driver.find(By::Css(css)).await {
                Ok(found) => return found,
                Err(error) => {
                    assert!(
                        Instant::now() < deadline,
                        "{css}: {error}\n{}",
                        self.text().await
                    );
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(super) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    pub(super) async fn write(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(super) async fn press(&self, keys: &str) {
        for key in keys.chars() {
            let actions = self.driver.action_chain();
            actions.send_keys(key.to_string()).perform().await.unwrap();
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
        self.run_with(script, vec![]).await
    }

    pub(super) async fn run_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        let result = self.driver.execute(script, arguments).await.unwrap();
        result.json().clone()
    }

    /// Runs a script that calls its last argument with what it comes to.
    pub(super) async fn come_to(&self, script: &str) -> Value {
        let result = self.driver.execute_async(script, vec![]).await.unwrap();
        result.json().clone()
    }

    async fn devtools(&self, method: &str, parameters: Value) {
        self.driver
            .cdp()
            .send_raw(method, parameters)
            .await
            .unwrap();
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
        self.driver.screenshot_as_png().await.unwrap()
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
        let said = self.driver.browser_log().await.unwrap();
        let said: Vec<String> = said.into_iter().map(|entry| entry.message).collect();
        assert!(said.is_empty(), "{}: {said:?}", self.path().await);
        for entry in self.driver.get_log("performance").await.unwrap() {
            let entry: Value = serde_json::from_str(&entry.message).unwrap();
            let message = &entry["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["params"]["request"]["url"].as_str().unwrap();
            // A new window has a page of the browser's own.
            let is_own = url.starts_with("chrome://") || url.starts_with("data:");
            assert!(is_own || url.starts_with(&self.base), "{url} was asked for");
        }
    }

    pub(super) async fn close(self) {
        let driver = ManuallyDrop::into_inner(self.driver);
        driver.quit().await.unwrap();
    }
}
