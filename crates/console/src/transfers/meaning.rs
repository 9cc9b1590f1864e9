//! What the text in the search box means.

use bursar_domain::{AssetId, DecimalAmount, TransferId, UserId};
use uuid::Uuid;

/// How long a public code is, and how it begins.
const CODE: (usize, &str) = (32, "TRF");

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Nothing,
    Id(TransferId),
    Code(String),
    /// With the text: in another case it would be another id of the sender’s own.
    User(UserId, String),
    /// A part of a username or email; or else the sender's own id, when no user has it.
    Name(String),
    /// A part of a username or email, whether or not a user has it.
    NameOnly(String),
    CustomId(String),
    /// With the text, which may be an id of the sender’s own or a part of a name.
    Amount(DecimalAmount, AssetId, String),
}

impl Meaning {
    /// Reads the box: by its form alone, unless it begins with `id:`, `code:`, `user:` or `custom:`.
    pub(super) fn of(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if let Some((prefix, rest)) = text.split_once(':') {
            let rest = rest.trim();
            let plain = |meaning: fn(String) -> Self| {
                if rest.is_empty() {
                    return Err("says nothing after its colon");
                }
                Ok(meaning(rest.to_owned()))
            };
            match prefix.to_ascii_lowercase().as_str() {
                "id" => return number(rest).map(Self::Id).ok_or("an id is a whole number"),
                "code" => return plain(Self::Code),
                "user" => {
                    return user(rest).map_or_else(
                        || plain(Self::NameOnly),
                        |id| Ok(Self::User(id, rest.to_owned())),
                    );
                }
                "custom" => return plain(Self::CustomId),
                _ => {}
            }
        }
        let (code_len, code_start) = CODE;
        Ok(if text.is_empty() {
            Self::Nothing
        } else if let Some(id) = number(text) {
            Self::Id(id)
        } else if text.len() == code_len && text.starts_with(code_start) {
            Self::Code(text.to_owned())
        } else if let Some(user) = user(text) {
            Self::User(user, text.to_owned())
        } else if let Some((amount, asset)) = amount(text) {
            Self::Amount(amount, asset, text.to_owned())
        } else {
            Self::Name(text.to_owned())
        })
    }

    /// How it was understood, for people.
    pub(super) fn told(&self) -> Option<String> {
        Some(match self {
            Self::Nothing => return None,
            Self::Id(id) => format!("Looked for the transfer with the id {id}."),
            Self::Code(_) => "Looked for the transfer with this code.".to_owned(),
            Self::User(_, _) => "Looked for transfers of the user with this id.".to_owned(),
            Self::Name(_) | Self::NameOnly(_) => {
                "Looked for transfers of users with this in their name or email.".to_owned()
            }
            Self::CustomId(_) => {
                "Looked for transfers with this id of the sender’s own.".to_owned()
            }
            Self::Amount(amount, asset, _) => {
                format!(
                    "Looked for transfers of exactly {amount} {}.",
                    asset.as_str().to_ascii_uppercase()
                )
            }
        })
    }

    /// What else it may mean, each as it would stand in the box.
    pub(super) fn others(&self) -> Vec<(&'static str, String)> {
        let custom = |text: &str| ("it as the sender’s own id", format!("custom:{text}"));
        let name = |text: &str| ("it in users’ names", format!("user:{text}"));
        match self {
            Self::Nothing => vec![],
            Self::Id(id) => vec![custom(&id.to_string())],
            Self::Code(text) | Self::User(_, text) | Self::Name(text) | Self::NameOnly(text) => {
                vec![custom(text)]
            }
            Self::CustomId(text) => vec![name(text)],
            Self::Amount(_, _, text) => vec![custom(text), name(text)],
        }
    }
}

fn number(text: &str) -> Option<TransferId> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .and_then(|id| TransferId::try_new(id).ok())
}

fn user(text: &str) -> Option<UserId> {
    Uuid::try_parse(text).ok().map(UserId::new)
}

/// `0.25 btc`, `btc 0.25` or `0.25btc`.
fn amount(text: &str) -> Option<(DecimalAmount, AssetId)> {
    let glued = || text.split_at_checked(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let (one, other) = text.split_once(char::is_whitespace).or_else(glued)?;
    let read = |amount: &str, asset: &str| {
        let amount = DecimalAmount::parse(amount.trim()).ok()?;
        Some((amount, AssetId::parse(asset.trim()).ok()?))
    };
    read(one, other).or_else(|| read(other, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_operator_has_at_hand_is_understood() {
        let id = |id| Meaning::Id(TransferId::try_new(id).unwrap());
        let amount = |text: &str| {
            Meaning::Amount(
                DecimalAmount::parse("0.25").unwrap(),
                AssetId::parse("btc").unwrap(),
                text.to_owned(),
            )
        };
        let alice = "942fe02b-e9b9-6e9e-7c82-85d74f3234d4";
        let user = |text: &str| Meaning::User(UserId::new(text.parse().unwrap()), text.to_owned());
        let code = format!("TRF{}", "a1".repeat(14) + "b");
        let name = |text: &str| Meaning::Name(text.to_owned());
        for (text, meaning) in [
            ("", Meaning::Nothing),
            (" 42 ", id(42)),
            ("id:42", id(42)),
            (&code, Meaning::Code(code.clone())),
            ("code:x", Meaning::Code("x".to_owned())),
            (alice, user(alice)),
            ("0.25 BTC", amount("0.25 BTC")),
            ("btc 0.25", amount("btc 0.25")),
            ("0.25btc", amount("0.25btc")),
            ("alice@example.com", name("alice@example.com")),
            ("al ice", name("al ice")),
            ("custom:42", Meaning::CustomId("42".to_owned())),
            ("user:42", Meaning::NameOnly("42".to_owned())),
            ("9007199254740993", name("9007199254740993")),
            ("https://x", name("https://x")),
        ] {
            assert_eq!(Meaning::of(text), Ok(meaning), "{text}");
        }
        for text in ["id:x", "user:", "code: ", "custom:"] {
            assert!(Meaning::of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_else_it_may_mean_reads_back() {
        for text in ["42", "order-17", "custom:order-17", "user:order-17"] {
            let meaning = Meaning::of(text).unwrap();
            for (_, other) in meaning.others() {
                let read = Meaning::of(&other).unwrap();
                assert_ne!(read, meaning);
            }
        }
    }

    /// Senders call their transfers as they like, and users themselves: what is offered is the very text.
    #[test]
    fn what_looks_like_something_else_may_be_somebodys_own_word() {
        let alice = "942FE02B-E9B9-6E9E-7C82-85D74F3234D4";
        let code = format!("TRF{}", "a1".repeat(14) + "b");
        let of_user = format!("user:{alice}");
        for (text, bare, others) in [
            (alice, alice, &["custom"][..]),
            (of_user.as_str(), alice, &["custom"]),
            (code.as_str(), code.as_str(), &["custom"]),
            ("7eleven", "7eleven", &["custom", "user"]),
            ("0.25 btc", "0.25 btc", &["custom", "user"]),
        ] {
            let offered = Meaning::of(text).unwrap().others();
            let offered: Vec<String> = offered.into_iter().map(|(_, other)| other).collect();
            let expected = others.iter().map(|prefix| format!("{prefix}:{bare}"));
            assert_eq!(offered, expected.collect::<Vec<_>>(), "{text}");
        }
    }
}
