//! Codes that change every 30 seconds (RFC 6238), as every authenticator makes them: SHA-1, six
//! digits.

use std::fmt;

use bursar_domain::Timestamp;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::keyring::equal;

/// How long a code is shown, in microseconds.
const STEP_US: i64 = 30_000_000;
/// How many steps a clock may be off, and how long one may take to type.
const STEPS_OFF: [i64; 3] = [-1, 0, 1];
/// What a code is the remainder by.
const CODES: u32 = 1_000_000;
/// As long as a SHA-1, which RFC 4226 asks for.
const BYTES: usize = 20;

/// What an operator's codes are made from. It is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; BYTES]);

impl TotpSecret {
    /// A secret from random bytes.
    pub(super) fn from_random(random: [u8; 32]) -> Self {
        let mut bytes = [0; BYTES];
        for (to, from) in bytes.iter_mut().zip(random) {
            *to = from;
        }
        Self(bytes)
    }

    /// A secret as it was kept.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// A secret as [`TotpSecret::to_base32`] wrote it.
    pub fn parse(base32: &str) -> Option<Self> {
        let bytes = BASE32_NOPAD.decode(base32.as_bytes()).ok()?;
        Self::from_bytes(&bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as authenticators take it when it is typed.
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// The secret as authenticators take it as a link or in a QR code. Names have no character that
    /// means anything there.
    pub fn to_uri(&self, operator: &str) -> String {
        format!(
            "otpauth://totp/Bursar:{operator}?secret={}&issuer=Bursar&algorithm=SHA1&digits=6&period=30",
            self.to_base32()
        )
    }

    /// The code that is shown at this time.
    pub fn code_at(&self, at: Timestamp) -> String {
        self.code_of(step_at(at))
    }

    /// The step that a code is of, around this time. It takes as long whatever the code is.
    pub(super) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let now = step_at(now);
        let mut found = None;
        for off in STEPS_OFF {
            let step = now.saturating_add(off);
            if equal(self.code_of(step).as_bytes(), code.as_bytes()) {
                found = Some(step);
            }
        }
        found
    }

    fn code_of(&self, step: i64) -> String {
        format!("{:06}", truncated(&self.0, step) % CODES)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

const fn step_at(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(STEP_US)
}

/// The dynamic truncation of RFC 4226: 31 bits of the MAC, from where its last four bits say.
fn truncated(secret: &[u8], step: i64) -> u32 {
    // HMAC takes keys of any length, so there is no error to speak of.
    let Ok(mut mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(secret) else {
        return 0;
    };
    mac.update(&step.to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let from = usize::from(mac.last().copied().unwrap_or_default() & 0xf);
    let four = mac.get(from..).and_then(<[u8]>::first_chunk::<4>);
    u32::from_be_bytes(four.copied().unwrap_or_default()) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    const SECRET: &[u8; 20] = b"12345678901234567890";

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, eight_digits) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let code = truncated(SECRET, step_at(at(seconds))) % 100_000_000;
            assert_eq!(format!("{code:08}"), eight_digits);
            let secret = TotpSecret(*SECRET);
            assert_eq!(secret.code_at(at(seconds)), eight_digits[2..]);
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn counters_make_the_codes_of_the_rfc() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(TotpSecret(*SECRET).code_of(step), code);
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_before_and_after_its_own() {
        let secret = TotpSecret(*SECRET);
        let code = secret.code_at(at(300));
        for (seconds, found) in [
            (269, None),
            (270, Some(10)),
            (300, Some(10)),
            (359, Some(10)),
            (360, None),
        ] {
            assert_eq!(secret.step_of(&code, at(seconds)), found, "{seconds}");
        }
        for code in ["", "000000", "28708", "2870820", "28708２"] {
            assert_eq!(secret.step_of(code, at(59)), None, "{code}");
        }
    }

    #[test]
    fn a_secret_is_written_as_authenticators_read_it() {
        let secret = TotpSecret(*SECRET);
        assert_eq!(secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            secret.to_uri("anna"),
            "otpauth://totp/Bursar:anna?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Bursar\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(TotpSecret::parse(&secret.to_base32()), Some(secret));
        for text in ["", "GEZDGNBV", "gezdgnbvgy3tqojqgezdgnbvgy3tqojq", "1"] {
            assert_eq!(TotpSecret::parse(text), None, "{text}");
        }
    }
}
