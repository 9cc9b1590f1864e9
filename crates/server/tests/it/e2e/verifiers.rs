//! Everything that can say whether a callback is Bursar's: the reference implementations of Standard
//! Webhooks, and the functions that docs/CALLBACKS.md gives to receivers.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tempfile::TempDir;

use super::{documented_verify, receiver::Received};

const DOCUMENT: &str = include_str!("../../../../../docs/CALLBACKS.md");
const DOCUMENTED_RUST: &str = include_str!("documented_verify.rs");

/// A callback as somebody may present it, and a secret to verify it with.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) secret: String,
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) body: String,
}

impl Case {
    pub(super) fn of(received: &Received, secret: &str) -> Self {
        let header = |name: &str| received.headers[name].clone();
        Self {
            secret: secret.to_owned(),
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: received.body.clone(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "secret": self.secret,
            "headers": {
                "webhook-id": self.id,
                "webhook-timestamp": self.timestamp,
                "webhook-signature": self.signature,
            },
            "body": self.body,
        })
    }

    /// The verdict of the reference implementation in Rust.
    fn by_reference(&self) -> bool {
        let headers = [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ];
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let webhook = Webhook::new(&self.secret).unwrap();
        webhook.verify(self.body.as_bytes(), &headers).is_ok()
    }

    /// The verdict of the document's function in Rust.
    fn by_document(&self) -> bool {
        let secrets = [&*self.secret];
        let body = self.body.as_bytes();
        documented_verify::verify(&secrets, &self.id, &self.timestamp, &self.signature, body)
    }
}

/// The Python, the folder of JavaScript packages and the Go that tests run, installed if they are not
/// there yet.
fn installed() -> [PathBuf; 3] {
    let made = Command::new("bash")
        .arg("scripts/verifiers")
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(made.status.success(), "scripts/verifiers failed");
    let printed = String::from_utf8(made.stdout).unwrap();
    let [python, packages, go] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed}");
    };
    [python.into(), packages.into(), go.into()]
}

/// The folder of the JavaScript packages that tests run.
pub(super) fn javascript_packages() -> PathBuf {
    let [_, packages, _] = installed();
    packages
}

/// Programs that verify, and where they are.
pub(super) struct Verifiers {
    python: PathBuf,
    node_modules: PathBuf,
    go: PathBuf,
    /// What the document says, cut out.
    folder: TempDir,
}

impl Verifiers {
    /// Sets them up if they are not there yet.
    pub(super) fn set_up() -> Self {
        let [python, node_modules, go] = installed();
        let folder = tempfile::tempdir().unwrap();
        let written = [
            ("python", "verify.py"),
            ("js", "verify.js"),
            ("go", "verify.go"),
        ];
        for (language, name) in written {
            fs::write(folder.path().join(name), documented(language)).unwrap();
        }
        fs::write(folder.path().join("go.mod"), "module verify\n\ngo 1.21\n").unwrap();
        fs::copy(of_ours("documented.go"), folder.path().join("main.go")).unwrap();
        Self {
            python,
            node_modules,
            go,
            folder,
        }
    }

    /// What each of them says of the cases, by its name.
    pub(super) fn say(&self, cases: &[Case]) -> Vec<(&'static str, Vec<bool>)> {
        let input = cases.iter().map(Case::json).collect::<Value>().to_string();
        let mut said = vec![
            (
                "reference, Rust",
                cases.iter().map(Case::by_reference).collect(),
            ),
            (
                "document, Rust",
                cases.iter().map(Case::by_document).collect(),
            ),
        ];
        for (name, mut command) in self.programs() {
            said.push((name, run(name, &mut command, &input)));
        }
        said
    }

    fn programs(&self) -> [(&'static str, Command); 5] {
        let cut_out = |name: &str| self.folder.path().join(name);
        let program = |program: &Path, files: &[PathBuf]| {
            let mut command = Command::new(program);
            command.args(files);
            command
        };
        let (python, node) = (self.python.as_path(), Path::new("node"));
        let mut reference = program(node, &[of_ours("reference.cjs")]);
        reference.env("NODE_PATH", &self.node_modules);
        let mut go = program(&self.go, &["run".into(), ".".into()]);
        // Nothing is fetched, and what was compiled once is found again.
        go.current_dir(self.folder.path())
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOCACHE", self.node_modules.with_file_name("go-cache"))
            .env("GOPATH", cut_out("go-path"));
        let documented_js = [of_ours("documented.cjs"), cut_out("verify.js")];
        let documented_py = [of_ours("documented.py"), cut_out("verify.py")];
        [
            (
                "reference, Python",
                program(python, &[of_ours("reference.py")]),
            ),
            ("reference, JavaScript", reference),
            ("document, Python", program(python, &documented_py)),
            ("document, JavaScript", program(node, &documented_js)),
            ("document, Go", go),
        ]
    }
}

/// Runs a verifier on the cases.
fn run(name: &str, command: &mut Command, input: &str) -> Vec<bool> {
    let started = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut process = started.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let ended = process.wait_with_output().unwrap();
    assert!(ended.status.success(), "{name} failed");
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn of_ours(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifiers");
    folder.join(name)
}

/// The one piece of the document in this language.
fn documented(language: &str) -> &'static str {
    let fence = format!("\n```{language}\n");
    let pieces: Vec<&str> = DOCUMENT.split(&fence).skip(1).collect();
    let [piece] = pieces[..] else {
        panic!("the document has {} pieces of {language}", pieces.len());
    };
    let (code, _) = piece.split_once("\n```\n").unwrap();
    code
}

#[test]
fn the_document_s_rust_is_what_is_compiled_here() {
    let (_, code) = DOCUMENTED_RUST.split_once("\n\n").unwrap();
    assert_eq!(code.trim_end(), documented("rust"));
}
