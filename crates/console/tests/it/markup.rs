//! Reads the pages' own markup: every tag is written out and every attribute quoted, or the test that
//! reads it fails.

use std::collections::BTreeSet;

/// One tag with its attributes.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The names of what it stands in, from the outside on.
    pub(crate) path: Vec<usize>,
}

impl Tag {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(named, _)| named == name);
        found.map(|(_, value)| value.as_str())
    }
}

enum Piece {
    Open(usize),
    Close,
    Text(String),
}

/// A page.
pub(crate) struct Document {
    pub(crate) tags: Vec<Tag>,
    pieces: Vec<Piece>,
}

const VOID: [&str; 7] = ["meta", "link", "input", "br", "img", "hr", "!doctype"];

impl Document {
    /// Reads a page; panics where it is not well-formed.
    #[track_caller]
    pub(crate) fn read(page: &str) -> Self {
        let mut document = Self {
            tags: vec![],
            pieces: vec![],
        };
        let mut open: Vec<usize> = vec![];
        let mut rest = page;
        while let Some(start) = rest.find('<') {
            let (text, tag) = rest.split_at(start);
            if !text.is_empty() {
                document.pieces.push(Piece::Text(unescape(text)));
            }
            let end = end_of_tag(tag);
            let (inside, after) = (&tag[1..end], &tag[end + 1..]);
            rest = after;
            if let Some(name) = inside.strip_prefix('/') {
                let last = open.pop().expect("a tag is open");
                let opened = document.tags.get(last).map(|tag| tag.name.as_str());
                assert_eq!(opened, Some(name), "tags are closed in order");
                document.pieces.push(Piece::Close);
                continue;
            }
            let (name, attributes) = read_tag(inside);
            let number = document.tags.len();
            document.pieces.push(Piece::Open(number));
            document.tags.push(Tag {
                name: name.clone(),
                attributes,
                path: open.clone(),
            });
            if VOID.contains(&name.as_str()) {
                document.pieces.push(Piece::Close);
            } else {
                open.push(number);
            }
        }
        assert!(open.is_empty(), "every tag is closed");
        document
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a Tag)> {
        let tags = self.tags.iter().enumerate();
        tags.filter(move |(_, tag)| tag.name == name)
    }

    /// What is read, each piece of text once.
    pub(crate) fn text(&self) -> String {
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Open(_) | Piece::Close => None,
        });
        texts.collect()
    }

    /// The text inside of a tag.
    pub(crate) fn text_of(&self, number: usize) -> String {
        let mut text = String::new();
        let mut depth = 0_usize;
        for piece in &self.pieces {
            match piece {
                Piece::Open(opened) if *opened == number => depth = 1,
                Piece::Open(_) if depth > 0 => depth += 1,
                Piece::Close if depth > 0 => depth -= 1,
                Piece::Text(more) if depth > 0 => text.push_str(more),
                Piece::Open(_) | Piece::Close | Piece::Text(_) => {}
            }
        }
        text
    }

    /// What the form carries that has a button or an action leading to this address.
    #[track_caller]
    pub(crate) fn form_leading_to(&self, path: &str) -> Vec<(String, String)> {
        let leads = |tag: &Tag| {
            tag.attribute("formaction") == Some(path) || tag.attribute("action") == Some(path)
        };
        let (number, tag) = self
            .tags
            .iter()
            .enumerate()
            .find(|(_, tag)| leads(tag))
            .unwrap_or_else(|| panic!("no form leads to {path}"));
        let form = if tag.name == "form" {
            number
        } else {
            let within = tag.path.iter().rev().copied();
            let is_form = |one: &usize| self.tags.get(*one).is_some_and(|tag| tag.name == "form");
            let mut forms = within.filter(is_form);
            forms.next().expect("a button stands in a form")
        };
        let inputs = self
            .all("input")
            .filter(|(_, tag)| tag.path.contains(&form));
        inputs
            .filter(|(_, tag)| tag.attribute("type") == Some("hidden"))
            .map(|(_, tag)| {
                let value = |name: &str| tag.attribute(name).unwrap_or_default().to_owned();
                (value("name"), value("value"))
            })
            .collect()
    }

    /// Whether anything leads to this address by a form.
    pub(crate) fn offers(&self, path: &str) -> bool {
        self.tags.iter().any(|tag| {
            tag.attribute("formaction") == Some(path) || tag.attribute("action") == Some(path)
        })
    }

    /// Every id, which must be one tag's alone.
    #[track_caller]
    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        let mut ids = BTreeSet::new();
        for id in self.tags.iter().filter_map(|tag| tag.attribute("id")) {
            assert!(ids.insert(id), "{id} is the id of two");
        }
        ids
    }
}

fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    for (place, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return place,
            _ => {}
        }
    }
    panic!("a tag ends: {}", &tag[..tag.len().min(80)]);
}

fn read_tag(inside: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let mut attributes = vec![];
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let (attribute, after) = rest.split_at(end);
        if let Some(value) = after.strip_prefix("=\"") {
            let (value, after) = value.split_once('"').expect("a value ends");
            attributes.push((attribute.to_owned(), unescape(value)));
            rest = after;
        } else {
            assert!(!after.starts_with('='), "values are quoted: {inside}");
            attributes.push((attribute.to_owned(), String::new()));
            rest = after;
        }
    }
    (name.to_ascii_lowercase(), attributes)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}
