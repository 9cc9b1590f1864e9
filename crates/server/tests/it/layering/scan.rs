//! Tells a Rust file's code from its comments and its string literals.
//!
//! Enough of the language for rules about text; the compiler judges the rest.

/// A file taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The file without comments and literals, line for line.
    pub(super) code: String,
    /// Each string literal, with the line it begins on.
    pub(super) literals: Vec<(usize, String)>,
}

pub(super) fn scan(text: &str) -> Scanned {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
        out: Scanned::default(),
    };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    out: Scanned,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(end);
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment_length(self.rest));
        } else if let Some(hashes) = self.raw_string() {
            let open = self.rest.find('"').unwrap() + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            self.literal(open, |body| body.find(&close), close.len());
        } else if self.rest.starts_with('"') {
            self.literal(1, escaped_end, 1);
        } else if let Some(length) = char_literal_length(self.rest) {
            self.skip(length);
        } else {
            let next = self.rest.chars().next().unwrap();
            self.out.code.push(next);
            self.line += usize::from(next == '\n');
            self.rest = &self.rest[next.len_utf8()..];
        }
    }

    /// The number of `#` when a raw string begins here: `r"…"`, `br#"…"#`, not `r#type` nor `for"`.
    fn raw_string(&self) -> Option<usize> {
        let in_a_name = self
            .out
            .code
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        if in_a_name {
            return None;
        }
        let after = ["r", "br", "cr"]
            .iter()
            .find_map(|prefix| self.rest.strip_prefix(prefix))?;
        let quoted = after.trim_start_matches('#');
        quoted.starts_with('"').then(|| after.len() - quoted.len())
    }

    fn literal(&mut self, open: usize, end: impl Fn(&str) -> Option<usize>, close: usize) {
        let body = &self.rest[open..];
        let length = end(body).unwrap_or(body.len());
        self.out
            .literals
            .push((self.line, body[..length].to_owned()));
        self.skip((open + length + close).min(self.rest.len()));
    }

    /// Leaves the line breaks, so that lines keep their numbers.
    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        let breaks = skipped.matches('\n').count();
        self.line += breaks;
        self.out
            .code
            .extend(std::iter::once(' ').chain(std::iter::repeat_n('\n', breaks)));
        self.rest = rest;
    }
}

fn escaped_end(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `'x'` and `'\n'`, but not the lifetime `'a`.
fn char_literal_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|end| 2 + first + end + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(first + 2)
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let text = concat!(
        "// \"no literal\" .await\n",
        "let a = \"one \\\" two\"; /* \"x\" /* nested */ */\n",
        "let b = r#\"raw \"quoted\"\"#;\n",
        "fn f<'a>(c: char) { c == '\"' || c == '\\'' || c == '\\u{22}' }\n",
        "let c = b\"bytes\"; .await\n",
    );
    let scanned = scan(text);
    let expected = [(2, "one \\\" two"), (3, "raw \"quoted\""), (5, "bytes")];
    let expected: Vec<_> = expected
        .iter()
        .map(|(line, text)| (*line, (*text).to_owned()))
        .collect();
    assert_eq!(scanned.literals, expected);
    assert_eq!(scanned.code.lines().count(), 5);
    assert_eq!(scanned.code.matches(".await").count(), 1);
    assert!(scanned.code.contains("fn f<'a>"));
}

#[test]
fn literals_over_several_lines_keep_the_numbering() {
    let scanned = scan("let a = \"one\ntwo\";\nlet b = \"three\";\n");
    assert_eq!(scanned.literals.last(), Some(&(3, "three".to_owned())));
}
