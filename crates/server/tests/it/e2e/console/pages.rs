//! Every page, as a browser shows it: in both themes, on a phone, and to somebody who hears or feels it.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{
    super::{receiver::Receiver, verifiers::javascript_packages},
    at_work::{Office, deposit},
    chromium::Window,
};

/// What is looked at by axe: WCAG 2.2 AA, and what everybody agrees on.
const AXE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: { type: 'tag', values: tags } }).then(
      (found) => done(found.violations.map((one) =>
        `${one.id}: ${one.help}: ` + one.nodes.map((node) => node.html + node.failureSummary).join(' | '))),
      (error) => done([String(error)]));";
/// What is wrong with the order in which Tab goes, and where it goes unseen.
const FOCUS: &str = "
    const wrong = [];
    for (const one of document.querySelectorAll('a, button, input, select, textarea, summary')) {
      if (one.tabIndex > 0) wrong.push(`goes first: ${one.outerHTML}`);
      if (one.tabIndex < 0 || one.type === 'hidden' || !one.checkVisibility()) continue;
      one.focus({ focusVisible: true });
      const style = getComputedStyle(one);
      const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
      if (document.activeElement === one && !seen && style.boxShadow === 'none') {
        wrong.push(`is focused unseen: ${one.outerHTML.slice(0, 120)}`);
      }
    }
    document.activeElement?.blur();
    return wrong;";
const WIDER: &str = "
    return document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// Opens a row of transfers, where there are any, so that what it opens to is looked at as well.
const OPEN_A_ROW: &str = "
    const done = arguments[arguments.length - 1];
    const button = document.querySelector('.peek');
    if (!button) { done(); return; }
    button.click();
    const wait = () => document.querySelector('tr.details dl') ? done() : setTimeout(wait, 20);
    wait();";

/// What was wrong with the pages that were looked at.
pub(super) struct Looked {
    axe: String,
    wrong: Vec<String>,
}

impl Looked {
    pub(super) fn new() -> Self {
        let axe = javascript_packages().join("axe-core/axe.min.js");
        Self {
            axe: fs::read_to_string(axe).unwrap(),
            wrong: vec![],
        }
    }

    #[track_caller]
    pub(super) fn assert_nothing_wrong(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    pub(super) async fn at(&mut self, window: &Window, path: &str, how: &str) {
        window.open(path).await;
        let shown = window.path().await;
        assert_eq!(shown, path, "it leads elsewhere");
        window.come_to(OPEN_A_ROW).await;
        window.run(&self.axe).await;
        let found = window.come_to(AXE).await;
        let unseen = window.run(FOCUS).await;
        for wrong in [&found, &unseen]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
        {
            self.wrong
                .push(format!("{path}, {how}: {}", wrong.as_str().unwrap()));
        }
        let wider = window.run(WIDER).await.as_i64().unwrap();
        if wider > 0 {
            self.wrong
                .push(format!("{path}, {how}: wider than the window by {wider}"));
        }
        window.assert_quiet().await;
    }
}

/// Pages that an operator who may do everything comes to.
async fn paths(office: &Office) -> Vec<String> {
    let receiver = Receiver::start().await;
    let open = office
        .withdrawal("12.50", Some(&receiver.url("/hook")))
        .await;
    receiver.expect("/hook", 1).await;
    let settled = deposit(office, "0.25").await;
    let mut paths: Vec<String> = [
        "/console",
        "/console?period=month",
        "/console/queue",
        "/console/queue?work=approvals",
        "/console/transfers",
        "/console/transfers?q=trader0",
        "/console/transfers?q=nobody@example.com",
        "/console/users",
        "/console/users?q=trader",
        "/console/callbacks",
        "/console/rules",
        "/console/audit",
        "/console/integrity",
        "/console/operators",
        "/console/help",
        "/console/sessions",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("/console/transfers/{open}"));
    paths.push(format!("/console/transfers/{settled}"));
    paths.push(format!("/console/users/{}", office.alice().id));
    paths
}

/// Looks at every page once, in a window as the browser is told to be.
async fn look_at_every_page(how: &str, prepare: impl AsyncFn(&Window)) {
    let office = Office::open().await;
    let paths = paths(&office).await;
    let mut looked = Looked::new();
    let stranger = office.chromium.browser(&office.service).await;
    prepare(&stranger).await;
    looked.at(&stranger, "/console/sign-in", how).await;
    let anna = office.anna().await;
    prepare(&anna).await;
    // What is said while somebody signs in is not about any of these pages.
    anna.assert_quiet().await;
    for path in &paths {
        looked.at(&anna, path, how).await;
    }
    looked.assert_nothing_wrong();
    stranger.close().await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn every_page_is_quiet_and_can_be_read_by_everybody_in_the_light() {
    look_at_every_page("light", async |window: &Window| window.theme("light").await).await;
}

#[tokio::test]
async fn every_page_is_quiet_and_can_be_read_by_everybody_in_the_dark() {
    look_at_every_page("dark", async |window: &Window| window.theme("dark").await).await;
}

#[tokio::test]
async fn every_page_is_quiet_and_can_be_read_by_everybody_on_a_phone() {
    look_at_every_page("on a phone", async |window: &Window| {
        window.size(360, 740).await;
    })
    .await;
}

/// Pictures for the documents, into `docs/images` when `BURSAR_WRITE_DOCS` is set.
#[tokio::test]
async fn pictures_are_taken() {
    let office = Office::open().await;
    let paths = paths(&office).await;
    for amount in ["240", "31.99", "480.50", "1.25", "75"] {
        office.withdrawal(amount, None).await;
    }
    let anna = office.anna().await;
    let images = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    let story = paths
        .iter()
        .find(|path| path.starts_with("/console/transfers/"))
        .unwrap();
    for (name, path, scheme) in [
        ("console-queue", "/console/queue", "light"),
        ("console-queue-dark", "/console/queue", "dark"),
        ("console-overview", "/console", "light"),
        ("console-transfer", story, "light"),
    ] {
        anna.theme(scheme).await;
        anna.open(path).await;
        if path == "/console/queue" {
            anna.press("jc").await;
        }
        let picture = anna.picture().await;
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        if std::env::var_os("BURSAR_WRITE_DOCS").is_some() {
            fs::write(images.join(format!("{name}.png")), picture).unwrap();
        }
    }
    anna.close().await;
    office.close().await;
}

/// Somebody who is denied something is not offered it.
#[tokio::test]
async fn whoever_may_only_look_is_offered_nothing() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let reader = super::browser::Operator::create(office.database.url(), "rea", "backoffice_read");
    let reader = reader.await;
    let rea = office.chromium.browser(&office.service).await;
    rea.sign_in(&reader).await;
    for path in [
        "/console/queue".to_owned(),
        format!("/console/transfers/{id}"),
    ] {
        rea.open(&path).await;
        let forms = "return [...document.querySelectorAll('main form[method=post]')].length";
        assert_eq!(rea.run(forms).await, json!(0), "{path}");
    }
    rea.close().await;
    office.close().await;
}
