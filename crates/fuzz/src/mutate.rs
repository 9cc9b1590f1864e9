//! Inputs made from a corpus by chance that is the same in every run.

/// SplitMix64.
#[derive(Debug)]
pub struct Mutator(u64);

/// Pieces that readers of texts, numbers, JSON, URLs and times trip over.
const PIECES: [&str; 44] = [
    "0",
    "00",
    "1e400",
    "1e-7",
    "1E30",
    "-0",
    "-1",
    "+1",
    ".5",
    "5.",
    "0x10",
    "NaN",
    "Infinity",
    "99999999999999999999",
    "9223372036854775808",
    "0.000000000000000001",
    "1_000",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "[[[[[[[[",
    "\u{0}",
    "\n",
    "\u{e9}",
    "\u{1f4b0}",
    "\u{202e}",
    "%00",
    "%2e%2e",
    "&",
    "=",
    "@",
    "#",
    "https://",
    "T24:00:60",
    "+00:00",
];

impl Mutator {
    /// Begins with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, itself included.
    fn upto(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end.saturating_add(1)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_le_bytes();
        byte
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let last = from.len().checked_sub(1)?;
        from.get(self.upto(last))
    }

    /// An input out of the corpus, changed a few times.
    pub fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.upto(4) {
            self.change(&mut input, corpus);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let from = self.upto(input.len());
        let to = from.saturating_add(self.upto(8)).min(input.len());
        match self.upto(8) {
            0 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1_u8.rotate_left(u32::from(*byte) % 8);
                }
            }
            1 => {
                let byte = self.byte();
                input.insert(from, byte);
            }
            2 => {
                input.drain(from..to);
            }
            3 => {
                let again: Vec<u8> = input.drain(from..to).collect();
                let twice = [again.as_slice(), again.as_slice()].concat();
                input.splice(from..from, twice);
            }
            4 => input.truncate(from),
            5 => {
                let other = self.pick(corpus).cloned().unwrap_or_default();
                let end = self.upto(other.len());
                input.truncate(from);
                input.extend(other.into_iter().skip(end));
            }
            6 => {
                // A digit becomes another one, and a number stays one.
                let digit = b'0'.saturating_add(self.byte() % 10);
                let digits = input.iter_mut().filter(|byte| byte.is_ascii_digit());
                let digits: Vec<&mut u8> = digits.collect();
                let chosen = self.upto(digits.len());
                if let Some(byte) = digits.into_iter().nth(chosen) {
                    *byte = digit;
                }
            }
            _ => {
                let piece = self.pick(&PIECES).copied().unwrap_or_default();
                input.splice(from..to, piece.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mutator;

    #[test]
    fn a_seed_makes_the_same_inputs_and_they_are_not_alike() {
        let corpus = vec![b"{\"amount\":\"12.5\"}".to_vec(), b"abc".to_vec()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..500).map(|_| mutator.input(&corpus)).collect::<Vec<_>>()
        };
        let mut made = make(1);
        assert_eq!(made, make(1));
        assert_ne!(made, make(2));
        made.sort_unstable();
        made.dedup();
        assert!(made.len() > 400, "{}", made.len());
    }
}
