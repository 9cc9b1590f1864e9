//! What a page says once about what was just done. It travels in a cookie that lives for a minute, as
//! one of our own words and an id: nothing that anybody wrote is ever shown from it.

use actix_web::{HttpRequest, http::header::HeaderValue};
use bursar_domain::TransferId;

use crate::prefs;

const NAME: &str = "bursar_flash";
const SECONDS: u32 = 60;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Confirmed(TransferId),
    AsksSecond(TransferId),
    HandedOver(TransferId),
    Canceled(TransferId),
    Approved(TransferId),
    ApprovedInVain(TransferId),
    Rejected(TransferId),
    Reversed(TransferId),
    Taken(TransferId),
    LetGo(TransferId),
    Replayed(TransferId),
    ReplayedMany(i64),
    Frozen,
    Unfrozen,
    RevokedToken,
    RevokedKey,
    ChangedRule,
    Stopped,
    Lifted,
    EndedSession,
}

impl Done {
    fn word(self) -> (&'static str, i64) {
        match self {
            Self::Confirmed(id) => ("confirmed", id.get()),
            Self::AsksSecond(id) => ("asks_second", id.get()),
            Self::HandedOver(id) => ("handed_over", id.get()),
            Self::Canceled(id) => ("canceled", id.get()),
            Self::Approved(id) => ("approved", id.get()),
            Self::ApprovedInVain(id) => ("approved_in_vain", id.get()),
            Self::Rejected(id) => ("rejected", id.get()),
            Self::Reversed(id) => ("reversed", id.get()),
            Self::Taken(id) => ("taken", id.get()),
            Self::LetGo(id) => ("let_go", id.get()),
            Self::Replayed(id) => ("replayed", id.get()),
            Self::ReplayedMany(count) => ("replayed_many", count),
            Self::Frozen => ("frozen", 0),
            Self::Unfrozen => ("unfrozen", 0),
            Self::RevokedToken => ("revoked_token", 0),
            Self::RevokedKey => ("revoked_key", 0),
            Self::ChangedRule => ("changed_rule", 0),
            Self::Stopped => ("stopped", 0),
            Self::Lifted => ("lifted", 0),
            Self::EndedSession => ("ended_session", 0),
        }
    }

    fn from_word(word: &str, number: i64) -> Option<Self> {
        let id = TransferId::try_new(number).ok();
        Some(match word {
            "confirmed" => Self::Confirmed(id?),
            "asks_second" => Self::AsksSecond(id?),
            "handed_over" => Self::HandedOver(id?),
            "canceled" => Self::Canceled(id?),
            "approved" => Self::Approved(id?),
            "approved_in_vain" => Self::ApprovedInVain(id?),
            "rejected" => Self::Rejected(id?),
            "reversed" => Self::Reversed(id?),
            "taken" => Self::Taken(id?),
            "let_go" => Self::LetGo(id?),
            "replayed" => Self::Replayed(id?),
            "replayed_many" => Self::ReplayedMany(number.max(0)),
            "frozen" => Self::Frozen,
            "unfrozen" => Self::Unfrozen,
            "revoked_token" => Self::RevokedToken,
            "revoked_key" => Self::RevokedKey,
            "changed_rule" => Self::ChangedRule,
            "stopped" => Self::Stopped,
            "lifted" => Self::Lifted,
            "ended_session" => Self::EndedSession,
            _ => return None,
        })
    }

    /// The transfer that it was done to.
    pub(crate) const fn transfer(self) -> Option<TransferId> {
        match self {
            Self::Confirmed(id)
            | Self::AsksSecond(id)
            | Self::HandedOver(id)
            | Self::Canceled(id)
            | Self::Approved(id)
            | Self::ApprovedInVain(id)
            | Self::Rejected(id)
            | Self::Reversed(id)
            | Self::Taken(id)
            | Self::LetGo(id)
            | Self::Replayed(id) => Some(id),
            Self::ReplayedMany(_)
            | Self::Frozen
            | Self::Unfrozen
            | Self::RevokedToken
            | Self::RevokedKey
            | Self::ChangedRule
            | Self::Stopped
            | Self::Lifted
            | Self::EndedSession => None,
        }
    }

    /// Whether it came to what the operator wanted.
    pub(crate) const fn is_good(self) -> bool {
        !matches!(self, Self::ApprovedInVain(_))
    }

    /// The sentence, which begins with the transfer where there is one.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Confirmed(_) => "is confirmed and paid out.".to_owned(),
            Self::AsksSecond(_) => "is confirmed, and waits for a second operator.".to_owned(),
            Self::HandedOver(_) => "is confirmed and handed over to be paid out.".to_owned(),
            Self::Canceled(_) => "is canceled; what was held went back.".to_owned(),
            Self::Approved(_) => "is approved.".to_owned(),
            Self::ApprovedInVain(_) => {
                "has failed although you approved it, and moved nothing; it says why.".to_owned()
            }
            Self::Rejected(_) => "is rejected.".to_owned(),
            Self::Reversed(_) => "takes the other transfer back.".to_owned(),
            Self::Taken(_) => "is yours for some minutes; others see that.".to_owned(),
            Self::LetGo(_) => "is free for others again.".to_owned(),
            Self::Replayed(_) => "has a callback that is due again.".to_owned(),
            Self::ReplayedMany(1) => "One callback is due again.".to_owned(),
            Self::ReplayedMany(count) => format!("{count} callbacks are due again."),
            Self::Frozen => "The user is frozen: nothing comes in or goes out.".to_owned(),
            Self::Unfrozen => "The user is active again.".to_owned(),
            Self::RevokedToken => "The token is revoked.".to_owned(),
            Self::RevokedKey => "The access key is revoked.".to_owned(),
            Self::ChangedRule => "The change is in force.".to_owned(),
            Self::Stopped => "It is stopped.".to_owned(),
            Self::Lifted => "The stop is lifted.".to_owned(),
            Self::EndedSession => "The session has ended.".to_owned(),
        }
    }

    /// Says it on the next page.
    pub(crate) fn cookie(self, is_secure: bool) -> Option<HeaderValue> {
        let (word, number) = self.word();
        prefs::set_cookie(NAME, &format!("{word}.{number}"), SECONDS, is_secure)
    }

    /// What the page before had done.
    pub(crate) fn told(request: &HttpRequest) -> Option<Self> {
        let (word, number) = prefs::cookie(request, NAME)?.split_once('.')?;
        Self::from_word(word, number.parse().ok()?)
    }

    /// Says it no more.
    pub(crate) fn forget(is_secure: bool) -> Option<HeaderValue> {
        prefs::set_cookie(NAME, "", 0, is_secure)
    }
}
