//! What happened, in order: as a hash always, as text when somebody wants to read it.

use std::fmt::{self, Write};

/// FNV-1a over every line, and the lines themselves on demand.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    text: Option<String>,
}

impl Trace {
    pub(crate) fn new(keeps_text: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            text: keeps_text.then(String::new),
        }
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        self.write_fmt(line).unwrap();
        self.write_str("\n").unwrap();
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn text(&self) -> String {
        self.text.clone().unwrap_or_default()
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(kept) = &mut self.text {
            kept.push_str(text);
        }
        Ok(())
    }
}
