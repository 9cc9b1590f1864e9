//! The documents say what is true: the README's tour works as printed, every link leads somewhere,
//! and the tests that the architecture names exist.

mod demo;
mod mask;
mod tour;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use self::{demo::Demo, mask::mask};

/// The port of the README's receiver; the test takes a free one instead.
const RECEIVER_PORT: &str = "9099";
/// Where `scripts/run` puts the binary; the test takes the one that was built with it.
const BINARY: &str = "target/release/bursar";
const WRITES_IT: &str = "\nthe tour prints something else than the README says; if that is right: \
    BURSAR_WRITE_DOCS=1 cargo test -p bursar-server --test it readme";
const LINES_MAX: usize = 170;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tour_prints_what_it_says() {
    let readme = read(&root().join("README.md"));
    let steps = tour::steps(&readme);
    let demo = Demo::start();
    let port = demo::free_port();
    let commands: Vec<String> = steps
        .iter()
        .map(|step| step.commands.replace(RECEIVER_PORT, &port))
        .map(|commands| commands.replace(BINARY, env!("CARGO_BIN_EXE_bursar")))
        .collect();
    let printed: Vec<String> = demo
        .run(&commands)
        .into_iter()
        .map(|text| text.replace(&format!(":{port}/"), &format!(":{RECEIVER_PORT}/")))
        .collect();
    if std::env::var_os("BURSAR_WRITE_DOCS").is_some() {
        fs::write(root().join("README.md"), tour::rewrite(&readme, &printed)).unwrap();
        return;
    }
    for (step, printed) in steps.iter().zip(&printed) {
        for (says, prints) in step.printed.lines().zip(printed.lines()) {
            assert_eq!(mask(prints), mask(says), "{WRITES_IT}\nit prints\n{prints}");
        }
        let (says, prints) = (step.printed.lines().count(), printed.lines().count());
        assert_eq!(prints, says, "{WRITES_IT}\nit prints\n{printed}");
    }
}

#[test]
fn the_readme_stays_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= LINES_MAX, "README.md has {lines} lines");
}

/// Every Markdown file that people read.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/adr", "migrations"].map(|folder| root().join(folder));
    let documents: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(documents.len() > 5, "{documents:?}");
    documents
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        for link in read(&document).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let path = document.parent().unwrap().join(target);
            let is_here = !target.contains("://");
            assert!(
                !is_here || path.exists(),
                "{}: {target}",
                document.display()
            );
        }
    }
}

/// The architecture names a test for each invariant as `file.rs` and `function`.
#[test]
fn the_tests_that_the_architecture_names_exist() {
    let architecture = read(&root().join("docs/ARCHITECTURE.md"));
    let section = architecture
        .split("\n## ")
        .find(|s| s.starts_with("Invariants"))
        .unwrap();
    let named: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1))
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter(|name| name.contains('_') && !name.contains(['.', '/']))
        .collect();
    assert!(named.len() > 12, "{named:?}");
    let sources = sources(&root().join("crates"));
    for name in named {
        let defined = format!("fn {name}(");
        // A case of the store's contract is a function too, without `#[test]`.
        assert!(sources.contains(&defined), "there is no test {name}");
    }
}

/// What is a metric, by the names that metrics have.
fn metrics(text: &str, quote: char) -> BTreeSet<&str> {
    let is_metric = |name: &&str| {
        let ending = ["_total", "_seconds", "_items"];
        name.starts_with("bursar_") && ending.iter().any(|end| name.ends_with(end))
    };
    text.split(quote).filter(is_metric).collect()
}

#[test]
fn the_operators_know_every_metric() {
    let code = sources(&root().join("crates"));
    let operations = read(&root().join("docs/OPERATIONS.md"));
    let counted = metrics(&code, '"');
    assert!(!counted.is_empty());
    assert_eq!(metrics(&operations, '`'), counted);
}

/// All Rust code, one file after the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&read(&path));
        }
    }
    text
}
