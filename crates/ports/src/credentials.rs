//! Who may call.

use std::{fmt, net::IpAddr, str::FromStr};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp, UserId};
use uuid::Uuid;

use crate::StoreError;

/// What a credential allows (contract §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Read transfers, users and balances of everybody.
    BackofficeRead,
    /// Create deposits and withdrawals, cancel withdrawals.
    BackofficeWrite,
    /// Confirm withdrawals.
    BackofficeConfirm,
    /// Approve what another operator made.
    BackofficeApprove,
    /// Administer assets, users and credentials.
    Admin,
    /// For a user: make and see its own internal transfers.
    AllowTransfer,
    /// For a user: see its own balances.
    AllowBalance,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 7] = [
        Self::BackofficeRead,
        Self::BackofficeWrite,
        Self::BackofficeConfirm,
        Self::BackofficeApprove,
        Self::Admin,
        Self::AllowTransfer,
        Self::AllowBalance,
    ];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackofficeRead => "backoffice_read",
            Self::BackofficeWrite => "backoffice_write",
            Self::BackofficeConfirm => "backoffice_confirm",
            Self::BackofficeApprove => "backoffice_approve",
            Self::Admin => "admin",
            Self::AllowTransfer => "allow_transfer",
            Self::AllowBalance => "allow_balance",
        }
    }

    /// The permission with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str() == name)
    }

    /// Whether it is about a user's own money. The others are about everybody's, so a credential
    /// that acts for a user cannot have them (contract §0).
    pub const fn is_for_users(self) -> bool {
        match self {
            Self::AllowTransfer | Self::AllowBalance => true,
            Self::BackofficeRead
            | Self::BackofficeWrite
            | Self::BackofficeConfirm
            | Self::BackofficeApprove
            | Self::Admin => false,
        }
    }
}

/// SHA-256 of an opaque token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// An opaque bearer token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Its hash.
    pub hash: TokenHash,
    /// Whom it stands for, as operators see it.
    pub subject: String,
    /// The user it acts for, if it is a user's.
    pub user: Option<UserId>,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A secret that must be readable to verify signatures, encrypted under a key from the
/// configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Names the configuration's key that it is encrypted under.
    pub key_id: String,
    /// Nonce and ciphertext with its tag.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret(key {})", self.key_id)
    }
}

/// A range of addresses in CIDR notation, as `203.0.113.0/24` or a single address. IPv4 addresses inside
/// IPv6 (`::ffff:203.0.113.0/120`) are the IPv4 range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    address: IpAddr,
    prefix: u8,
}

impl IpRange {
    /// Whether an address lies in the range; an IPv4 address inside IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                let differ = u64::from(range.to_bits() ^ address.to_bits());
                differ >> shift == 0
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                (range.to_bits() ^ address.to_bits())
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl IpRange {
    /// The text without a prefix that says nothing: of a single address, the address alone.
    pub fn to_shortest(&self) -> String {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == longest {
            self.address.to_string()
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for IpRange {
    type Err = ParseIpRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParseIpRangeError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u8>().map_err(|_| ParseIpRangeError)?
            }
            Some(_) => return Err(ParseIpRangeError),
            None => longest,
        };
        if prefix > longest {
            return Err(ParseIpRangeError);
        }
        // Addresses are compared as what they are, so a range is kept as what it is as well.
        match address.to_canonical() {
            IpAddr::V4(inner) if address.is_ipv6() && prefix >= 96 => Ok(Self {
                address: IpAddr::V4(inner),
                prefix: prefix.saturating_sub(96),
            }),
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(Self { address, prefix }),
        }
    }
}

/// A text that is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address or CIDR range")]
pub struct ParseIpRangeError;

/// An access key of a user, with its secret encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half, sent as `X-Access-Key`.
    pub access_key: String,
    /// The user it acts for.
    pub user: UserId,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// The secret half, encrypted.
    pub secret: SealedSecret,
    /// From where it may be used; empty = from everywhere.
    pub allowed_ips: Vec<IpRange>,
    /// Its own rate limit.
    pub requests_per_minute: Option<u32>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Issued credentials. Lookups may be up to 30 seconds old. What is issued or revoked has its row of
/// the audit log, written with it; a repetition that changes nothing has none.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// The token with this hash, also when it has expired or was revoked.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError>;

    /// Keeps a new token.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn add_token(&self, token: Token, audit: AuditDraft) -> Result<(), StoreError>;

    /// Tokens after `after` in order of ids (which grow with time), at most `limit`; only those that
    /// act for a user, if one is named.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_tokens(
        &self,
        user: Option<UserId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError>;

    /// Revokes a token; `false` when there is none with this id. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn revoke_token(
        &self,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;

    /// The access key with this public half, also when it was revoked.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_access_key(&self, access_key: String) -> Result<Option<AccessKey>, StoreError>;

    /// Keeps a new access key.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn add_access_key(&self, key: AccessKey, audit: AuditDraft) -> Result<(), StoreError>;

    /// Access keys after `after` in order of their public halves, at most `limit`; only those of a
    /// user, if one is named.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_access_keys(
        &self,
        user: Option<UserId>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, StoreError>;

    /// Revokes an access key; `false` when there is none. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn revoke_access_key(
        &self,
        access_key: String,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(Permission::from_name(permission.as_str()), Some(permission));
        }
        assert_eq!(Permission::from_name("root"), None);
    }

    #[test]
    fn ranges_contain_what_shares_their_prefix() {
        let cases = [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::ffff:203.0.113.9", "203.0.113.9", true),
            ("::ffff:203.0.113.9", "::ffff:203.0.113.9", true),
            ("::ffff:203.0.113.0/120", "203.0.113.255", true),
            ("::ffff:203.0.113.0/120", "203.0.114.0", false),
            // More than IPv4 addresses are in it, and it has none of them.
            ("::ffff:203.0.113.0/95", "203.0.113.0", false),
        ];
        for (range, address, inside) in cases {
            let range: IpRange = range.parse().unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{range} {address}"
            );
        }
    }

    #[test]
    fn a_single_address_needs_no_prefix() {
        for (range, shortest) in [
            ("203.0.113.7/32", "203.0.113.7"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(range.parse::<IpRange>().unwrap().to_shortest(), shortest);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "host",
            "10/8",
        ] {
            assert_eq!(text.parse::<IpRange>(), Err(ParseIpRangeError), "{text}");
        }
    }
}
