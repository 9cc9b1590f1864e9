//! The secrets from the configuration, and everything that is computed with them.

use std::fmt;

use bursar_domain::{CodeSalt, TransferId};
use bursar_ports::{SealedSecret, TokenHash};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type HmacSha256 = Hmac<Sha256>;

/// What Bursar's own bearer tokens begin with.
pub(crate) const TOKEN_PREFIX: &str = "bur_";

const CODE_PREFIX: &str = "TRF";
/// What the key for cursors is derived from, together with the key for codes: other uses of that
/// key have other inputs.
const CURSOR_CONTEXT: &[u8] = b"bursar list cursor 1";
/// Half of an HMAC-SHA256: nobody guesses 128 bits.
const CURSOR_MAC_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// What the keys for the books' seals are derived from, together with the keys for secrets at rest.
const LEDGER_CONTEXT: &[u8] = b"bursar ledger seals 1";

/// Keys from the configuration.
pub struct Keyring {
    /// Hides the numeric ids inside transfer codes. It can never change: codes are for ever.
    code_key: [u8; 32],
    /// Authenticates the cursors of lists. Derived, so every replica has it after every restart.
    cursor_key: [u8; 32],
    /// Encrypt secrets at rest; the first one encrypts, all decrypt.
    sealing_keys: Vec<(String, [u8; 32])>,
    code_alphabet: Encoding,
}

impl Keyring {
    /// Takes the key for transfer codes and the named keys for secrets at rest, the one that
    /// encrypts first.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when there is no key to encrypt with.
    pub fn try_new(
        code_key: [u8; 32],
        sealing_keys: Vec<(String, [u8; 32])>,
    ) -> Result<Self, SealError> {
        if sealing_keys.is_empty() {
            return Err(SealError::NoKey);
        }
        let mut crockford = Specification::new();
        crockford
            .symbols
            .push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
        crockford.translate.from.push_str("abcdefghjkmnpqrstvwxyz");
        crockford.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ");
        let code_alphabet = crockford.encoding().map_err(|_| SealError::NoKey)?;
        Ok(Self {
            code_key,
            cursor_key: hmac_sha256(&code_key, &[CURSOR_CONTEXT]),
            sealing_keys,
            code_alphabet,
        })
    }

    /// The names of the keys for secrets at rest, the one that encrypts first.
    pub fn sealing_key_ids(&self) -> impl Iterator<Item = &str> {
        self.sealing_keys.iter().map(|(key_id, _)| key_id.as_str())
    }

    /// The name of the key that encrypts.
    pub fn sealing_key_id(&self) -> &str {
        // There is one, or there would be no keyring.
        self.sealing_key_ids().next().unwrap_or_default()
    }

    /// The keys for the seals of the books, the one that seals first. Derived, so that nothing else
    /// that is ever computed with the keys for secrets says anything about them.
    pub fn ledger_keys(&self) -> impl Iterator<Item = [u8; 32]> {
        let keys = self.sealing_keys.iter();
        keys.map(|(_, key)| hmac_sha256(key, &[LEDGER_CONTEXT]))
    }

    /// The public code of an internal transfer: its id, encrypted under the salt, and the salt.
    pub fn transfer_code(&self, id: TransferId, salt: &CodeSalt) -> String {
        let mut bytes = Vec::with_capacity(18);
        bytes.extend_from_slice(&self.mask_id(id.get(), salt).to_be_bytes());
        bytes.extend_from_slice(salt.as_bytes());
        format!("{CODE_PREFIX}{}", self.code_alphabet.encode(&bytes))
    }

    /// The id and salt inside a code. The transfer with this id has this code only if it has this
    /// salt too.
    pub fn read_transfer_code(&self, code: &str) -> Option<(TransferId, CodeSalt)> {
        let suffix = code.strip_prefix(CODE_PREFIX)?;
        let bytes = self.code_alphabet.decode(suffix.as_bytes()).ok()?;
        let (masked, salt) = bytes.split_at_checked(8)?;
        let salt = CodeSalt::new(salt.try_into().ok()?);
        let masked = i64::from_be_bytes(masked.try_into().ok()?);
        let id = TransferId::try_new(self.mask_id(masked, &salt)).ok()?;
        Some((id, salt))
    }

    /// XOR with a pseudo-random pad of the salt: hides an id and, applied again, shows it.
    fn mask_id(&self, id: i64, salt: &CodeSalt) -> i64 {
        let pad = hmac_sha256(&self.code_key, &[salt.as_bytes()]);
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(pad) {
            *to = from;
        }
        id ^ i64::from_be_bytes(head)
    }

    /// A cursor: a place in a list, readable only where it was made. `query` is all that makes a
    /// list what it is, its name and its filters.
    pub fn cursor(&self, query: &[u8], place: &str) -> String {
        let mac = self.cursor_mac(query, place.as_bytes());
        BASE64URL_NOPAD.encode(&[&mac, place.as_bytes()].concat())
    }

    /// The place inside a cursor that [`Keyring::cursor`] made for the same query.
    pub fn read_cursor(&self, query: &[u8], cursor: &str) -> Option<String> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (mac, place) = bytes.split_at_checked(CURSOR_MAC_BYTES)?;
        let genuine = equal(mac, &self.cursor_mac(query, place));
        genuine.then(|| String::from_utf8(place.to_vec()).ok())?
    }

    fn cursor_mac(&self, query: &[u8], place: &[u8]) -> [u8; CURSOR_MAC_BYTES] {
        // The digest has a fixed length, so query and place cannot be taken for each other.
        let digest = Sha256::digest(query);
        let mac = hmac_sha256(&self.cursor_key, &[&digest, place]);
        let mut head = [0; CURSOR_MAC_BYTES];
        for (to, from) in head.iter_mut().zip(mac) {
            *to = from;
        }
        head
    }

    /// Encrypts a secret, bound to what it belongs to.
    ///
    /// # Errors
    /// [`SealError::Failed`] when the cipher refuses, which it has no reason to.
    pub fn seal(
        &self,
        secret: &[u8],
        belongs_to: &str,
        random: [u8; 32],
    ) -> Result<SealedSecret, SealError> {
        let (key_id, key) = self.sealing_keys.first().ok_or(SealError::NoKey)?;
        let nonce = random
            .first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Failed)?;
        let payload = Payload {
            msg: secret,
            aad: belongs_to.as_bytes(),
        };
        let sealed = XChaCha20Poly1305::new(&Key::from(*key))
            .encrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| SealError::Failed)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(SealedSecret {
            key_id: key_id.clone(),
            bytes,
        })
    }

    /// Decrypts a secret that belongs to `belongs_to`.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when the key is not in the configuration any more;
    /// [`SealError::Failed`] when the secret was changed or belongs to something else.
    pub fn open(&self, sealed: &SealedSecret, belongs_to: &str) -> Result<Vec<u8>, SealError> {
        let (_, key) = self
            .sealing_keys
            .iter()
            .find(|(key_id, _)| *key_id == sealed.key_id)
            .ok_or(SealError::NoKey)?;
        let (nonce, msg) = sealed
            .bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Failed)?;
        XChaCha20Poly1305::new(&Key::from(*key))
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg,
                    aad: belongs_to.as_bytes(),
                },
            )
            .map_err(|_| SealError::Failed)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

/// A secret that cannot be encrypted or decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not in the configuration.
    #[error("the key for this secret is not configured")]
    NoKey,
    /// The cipher refuses.
    #[error("the secret cannot be decrypted")]
    Failed,
}

/// The hash under which an opaque token is kept. A slow hash would protect nothing: tokens have
/// 256 random bits.
pub(crate) fn hash_token(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// 32 random bytes as text for tokens and secrets.
pub(crate) fn random_text(random: [u8; 32]) -> String {
    BASE64URL_NOPAD.encode(&random)
}

/// HMAC-SHA256 over several parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length, so there is no error to speak of.
    let Ok(mut mac) = <HmacSha256 as KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Compares in constant time.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        let keys = vec![("new".to_owned(), [2; 32]), ("old".to_owned(), [1; 32])];
        Keyring::try_new([7; 32], keys).unwrap()
    }

    #[test]
    fn keys_are_shown_to_nobody() {
        assert_eq!(format!("{:?}", keyring()), "Keyring(..)");
    }

    #[test]
    fn codes_carry_their_transfer_and_read_back() {
        let (id, salt) = (TransferId::try_new(42).unwrap(), CodeSalt::new([9; 10]));
        let code = keyring().transfer_code(id, &salt);
        assert_eq!(code.len(), 32);
        assert!(code.starts_with("TRF") && code.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(keyring().read_transfer_code(&code), Some((id, salt)));
    }

    #[test]
    fn neighbouring_ids_have_unrelated_codes() {
        let code = |id, salt| keyring().transfer_code(TransferId::try_new(id).unwrap(), &salt);
        let one = code(1, CodeSalt::new([1; 10]));
        let two = code(2, CodeSalt::new([2; 10]));
        assert_ne!(one.get(3..8), two.get(3..8));
    }

    #[test]
    fn what_is_no_code_is_none() {
        for code in ["", "TRF", "TRF123456", "trf", "TRFé", &"TRF0".repeat(9)] {
            assert_eq!(keyring().read_transfer_code(code), None, "{code}");
        }
    }

    #[test]
    fn a_cursor_is_read_only_by_the_query_that_made_it() {
        let cursor = keyring().cursor(b"users", "a:b");
        let read = |query: &[u8], cursor: &str| keyring().read_cursor(query, cursor);
        assert_eq!(read(b"users", &cursor), Some("a:b".to_owned()));
        assert_eq!(read(b"user", &cursor), None);
        assert_eq!(read(b"usersa", &cursor), None);
        let other = Keyring::try_new([8; 32], vec![("k".to_owned(), [2; 32])]).unwrap();
        assert_eq!(other.read_cursor(b"users", &cursor), None);
        // The keys for secrets may rotate between two pages.
        let rotated = Keyring::try_new([7; 32], vec![("k".to_owned(), [9; 32])]).unwrap();
        assert_eq!(
            rotated.read_cursor(b"users", &cursor),
            Some("a:b".to_owned())
        );
    }

    #[test]
    fn a_forged_cursor_is_none() {
        let cursor = keyring().cursor(b"users", "a:b");
        let genuine = BASE64URL_NOPAD.decode(cursor.as_bytes()).unwrap();
        for at in 0..genuine.len() {
            let mut forged = genuine.clone();
            forged[at] ^= 1;
            let forged = BASE64URL_NOPAD.encode(&forged);
            assert_eq!(keyring().read_cursor(b"users", &forged), None, "byte {at}");
        }
        let longer = BASE64URL_NOPAD.encode(&[&genuine[..], b"c"].concat());
        for text in ["", "a", "%%%", "dXNlcnM6eA", &longer, &cursor[..8]] {
            assert_eq!(keyring().read_cursor(b"users", text), None, "{text}");
        }
    }

    #[test]
    fn secrets_open_only_where_they_belong() {
        let sealed = keyring().seal(b"secret", "key-1", [3; 32]).unwrap();
        assert_eq!(sealed.key_id, "new");
        assert!(!sealed.bytes.windows(6).any(|window| window == b"secret"));
        assert_eq!(keyring().open(&sealed, "key-1").unwrap(), b"secret");
        assert_eq!(keyring().open(&sealed, "key-2"), Err(SealError::Failed));
        let foreign = SealedSecret {
            key_id: "gone".to_owned(),
            ..sealed.clone()
        };
        assert_eq!(keyring().open(&foreign, "key-1"), Err(SealError::NoKey));
        let mut torn = sealed;
        torn.bytes.pop();
        assert_eq!(keyring().open(&torn, "key-1"), Err(SealError::Failed));
    }

    #[test]
    fn the_books_have_keys_of_their_own_which_go_by_the_secrets_keys() {
        let keys: Vec<[u8; 32]> = keyring().ledger_keys().collect();
        let turned = vec![("old".to_owned(), [1; 32]), ("new".to_owned(), [2; 32])];
        let turned = Keyring::try_new([8; 32], turned).unwrap();
        let turned: Vec<[u8; 32]> = turned.ledger_keys().collect();
        assert_eq!(keys, [turned[1], turned[0]]);
        assert!(keys[0] != keys[1] && !keys.contains(&[2; 32]) && !keys.contains(&[1; 32]));
    }

    #[test]
    fn an_older_key_still_opens() {
        let old = Keyring::try_new([7; 32], vec![("old".to_owned(), [1; 32])]).unwrap();
        let sealed = old.seal(b"secret", "key-1", [3; 32]).unwrap();
        assert_eq!(keyring().open(&sealed, "key-1").unwrap(), b"secret");
    }
}
