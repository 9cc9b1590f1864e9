//! Every target, fed with its corpus and with what chance makes of it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bursar_fuzz::{Target, mutate::Mutator, targets};

/// How many inputs each light target is fed with; the others get fewer, as they cost more.
const INPUTS: u64 = 40_000;

/// How many bytes a target may ask for, for one input of at most a few kilobytes: whoever needs more
/// could be made to need any number. A request has all routes mounted anew.
const VALUE_BYTES_MAX: usize = 1 << 20;
const REQUEST_BYTES_MAX: usize = 16 << 20;

thread_local! {
    /// How many bytes this thread has asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what is asked for, as a measure of work that no other process disturbs.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "it hands everything on to the system's")]
// SAFETY: what the system's allocator promises it promises too.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(target);
    let entries = fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("it can be read"))
        .collect()
}

/// The bytes as a Rust literal, to be put into a test or a file.
fn literal(input: &[u8]) -> String {
    format!("b\"{}\"", input.escape_ascii())
}

fn feed(target: &Target, input: &[u8]) {
    let before = ASKED.get();
    let fed = catch_unwind(AssertUnwindSafe(|| (target.feed)(input)));
    let asked = ASKED.get().wrapping_sub(before);
    let most = if target.weight == 1 {
        VALUE_BYTES_MAX
    } else {
        REQUEST_BYTES_MAX
    };
    assert!(
        fed.is_err() || asked <= most,
        "{} asks for {asked} bytes for {}",
        target.name,
        literal(input)
    );
    assert!(
        fed.is_ok(),
        "{} goes wrong with {}",
        target.name,
        literal(input)
    );
}

/// How many inputs there were in all.
fn feed_all(light: bool) -> u64 {
    let inputs = number("BURSAR_FUZZ_INPUTS").unwrap_or(INPUTS);
    let seed = number("BURSAR_FUZZ_SEED").unwrap_or(1);
    let only = env::var("BURSAR_FUZZ_TARGET").ok();
    let wanted = |target: &Target| {
        (target.weight == 1) == light && only.as_ref().is_none_or(|only| *only == target.name)
    };
    let mut fed = 0;
    for target in targets().into_iter().filter(wanted) {
        let corpus = corpus(&target.name);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        for input in &corpus {
            feed(&target, input);
        }
        let weight = u64::try_from(target.weight).expect("it is small");
        let mut mutator = Mutator::new(seed);
        for _ in 0..inputs / weight {
            feed(&target, &mutator.input(&corpus));
        }
        fed += inputs / weight;
    }
    fed
}

#[test]
fn no_value_is_read_otherwise_than_its_rule_says() {
    println!("{} values", feed_all(true));
}

#[test]
fn no_request_is_answered_otherwise_than_documented() {
    println!("{} requests", feed_all(false));
}

#[test]
fn every_corpus_is_some_targets() {
    let known: Vec<String> = targets().into_iter().map(|target| target.name).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "corpus/{name} is of no target");
    }
}
