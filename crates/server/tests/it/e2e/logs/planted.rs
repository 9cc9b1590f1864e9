//! What was planted, and the search for it.

use std::collections::BTreeSet;

/// Secrets, and texts that are nobody's business, each with a name that tells where it was put.
#[derive(Debug, Default)]
pub(super) struct Planted(Vec<Plant>);

#[derive(Debug)]
struct Plant {
    place: String,
    text: String,
    /// Whether it is so short that it may be a part of something else.
    is_short: bool,
}

impl Plant {
    fn is_in(&self, line: &str) -> bool {
        if self.is_short {
            stands_alone(line, &self.text)
        } else {
            line.contains(&self.text)
        }
    }
}

impl Planted {
    /// A text for one place, which is found nowhere else. Addresses, forms and JSON carry it as it is,
    /// and wherever a name or an id is asked for it may be one.
    pub(super) fn canary(&mut self, place: &str) -> String {
        let text = format!("canary1f0e{:03}", self.0.len());
        self.keep(place, &text, false);
        text
    }

    /// The path and the query of a callback URL.
    pub(super) fn callback_path(&mut self, of: &str) -> String {
        let path = self.canary(&format!("the path of the callback URL of {of}"));
        let query = self.canary(&format!("the query of the callback URL of {of}"));
        format!("/{path}?token={query}")
    }

    /// A secret that was made elsewhere.
    pub(super) fn secret(&mut self, place: &str, secret: &str) {
        assert!(secret.len() > 8, "{place}: {secret} is found in anything");
        self.keep(place, secret, false);
    }

    /// One that numbers and longer words may have in them: it is looked for where it stands alone.
    pub(super) fn short_secret(&mut self, place: &str, secret: &str) {
        assert!(secret.len() > 5, "{place}: {secret} is found in anything");
        self.keep(place, secret, true);
    }

    fn keep(&mut self, place: &str, text: &str, is_short: bool) {
        self.0.push(Plant {
            place: place.to_owned(),
            text: text.to_owned(),
            is_short,
        });
    }

    /// How many different texts there are.
    pub(super) fn count(&self) -> usize {
        let texts: BTreeSet<&str> = self.0.iter().map(|plant| plant.text.as_str()).collect();
        texts.len()
    }

    /// Requires that a text has nothing of it, and tells all that it has.
    #[track_caller]
    pub(super) fn assert_not_in(&self, what: &str, text: &str) {
        let leaks = self.leaks(text);
        assert!(leaks.is_empty(), "in {what}:\n{}", leaks.join("\n"));
    }

    /// What a text has of it, each with the first line that has it.
    fn leaks(&self, text: &str) -> Vec<String> {
        let leak = |plant: &Plant| {
            let line = text.lines().find(|line| plant.is_in(line))?;
            Some(format!("{}: {line}", plant.place))
        };
        self.0.iter().filter_map(leak).collect()
    }
}

/// Whether a text is in a line and neither a part of a word nor of a number or its fraction.
fn stands_alone(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + text.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
            && !after.is_some_and(|c| c.is_ascii_alphanumeric())
    })
}

#[test]
fn what_leaks_is_found_and_named() {
    let mut planted = Planted::default();
    let note = planted.canary("a note");
    let callbacks = planted.callback_path("a deposit");
    planted.secret("a token", "bur_0123456789");
    planted.short_secret("a code", "123456");
    assert_eq!(planted.count(), 5);
    let innocent = "{\"at\":\"12:00:00.123456Z\",\"seconds\":0.123456,\"bytes\":1234567}\ncanary";
    assert_eq!(planted.leaks(innocent), [""; 0]);
    for (line, place) in [
        (format!("{{\"note\":\"{note}\"}}"), "a note"),
        (
            callbacks.split('?').next().unwrap().to_owned(),
            "the path of the callback URL of a deposit",
        ),
        (
            callbacks.split('=').next_back().unwrap().to_owned(),
            "the query of the callback URL of a deposit",
        ),
        ("Bearer bur_0123456789".to_owned(), "a token"),
        ("{\"code\":\"123456\"}".to_owned(), "a code"),
        ("code=123456&next=".to_owned(), "a code"),
    ] {
        let text = format!("before\n{line}\nafter");
        assert_eq!(planted.leaks(&text), [format!("{place}: {line}")]);
    }
}
