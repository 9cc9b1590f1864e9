//! What must be true of the books, of what clients were told, and of what receivers heard.

use std::fmt;

/// One of the things that must be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Of each asset, everything sums to zero.
    SumsToZero,
    /// A balance is the sum of its entries.
    BalanceIsItsEntries,
    /// An account's entries are numbered without a gap.
    NumberedWithoutGap,
    /// An entry follows from the one before it.
    FollowsFromTheLast,
    /// No user's balance is negative.
    NothingNegative,
    /// A transfer's entries are those of its state.
    MovesWhatItSays,
    /// What was answered is there, with what was said of it.
    AnsweredIsThere,
    /// What was said not to have happened did not.
    RefusedIsNot,
    /// What was not answered happened once or never, and repeats to one answer.
    UnansweredIsOnce,
    /// A key has one effect.
    KeyIsOnce,
    /// A final state stays.
    FinalStays,
    /// What is held is what open withdrawals hold.
    HeldIsOpen,
    /// Receivers hear last of the state that a transfer is in, and of nothing that is not there.
    ReceiversAreTold,
    /// Lists show every transfer once.
    ListsAgree,
    /// Tables have what they may have, and indexes find it.
    IndexesAreSound,
    /// Every seal and every chain of entries holds.
    SealsHold,
    /// Nothing waits that nobody is at.
    NothingIsStuck,
    /// Everything happened one after the other, in an order that agrees with the clock.
    OneOrder,
    /// What is rare happened often enough to have been tried.
    RareIsTried,
    /// What is recorded as used of limits is what transfers moved.
    UsesAreMoves,
    /// What was refused for lack of money lacked it at some moment while it was asked for.
    RefusedForAReason,
}

impl Rule {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::SumsToZero,
        Self::BalanceIsItsEntries,
        Self::NumberedWithoutGap,
        Self::FollowsFromTheLast,
        Self::NothingNegative,
        Self::MovesWhatItSays,
        Self::AnsweredIsThere,
        Self::RefusedIsNot,
        Self::UnansweredIsOnce,
        Self::KeyIsOnce,
        Self::FinalStays,
        Self::HeldIsOpen,
        Self::ReceiversAreTold,
        Self::ListsAgree,
        Self::IndexesAreSound,
        Self::SealsHold,
        Self::NothingIsStuck,
        Self::OneOrder,
        Self::RareIsTried,
        Self::UsesAreMoves,
        Self::RefusedForAReason,
    ];

    /// What is wrong where it does not hold.
    pub const fn broken(self) -> &'static str {
        match self {
            Self::SumsToZero => "an asset does not sum to zero",
            Self::BalanceIsItsEntries => "a balance is not the sum of its entries",
            Self::NumberedWithoutGap => "an account's entries have a gap",
            Self::FollowsFromTheLast => "an entry does not follow from the one before it",
            Self::NothingNegative => "a user's balance is negative",
            Self::MovesWhatItSays => "a transfer's entries are not those of its state",
            Self::AnsweredIsThere => "an answer is lost",
            Self::RefusedIsNot => "it happened after all",
            Self::UnansweredIsOnce => "what nobody was told of repeats to another answer",
            Self::KeyIsOnce => "a key has two effects",
            Self::FinalStays => "a final state changed",
            Self::HeldIsOpen => "what is held is not what open withdrawals hold",
            Self::ReceiversAreTold => "a receiver was not told what is true",
            Self::ListsAgree => "a list does not show every transfer once",
            Self::IndexesAreSound => "a table or an index is damaged",
            Self::SealsHold => "a seal is broken",
            Self::NothingIsStuck => "something waits that nobody is at",
            Self::OneOrder => "it cannot have happened one after the other",
            Self::RareIsTried => "what is rare was hardly tried",
            Self::UsesAreMoves => "what is used of a limit is not what was moved",
            Self::RefusedForAReason => "money was said to be missing that was there",
        }
    }

    /// Its number, as in A7.
    pub fn number(self) -> usize {
        let place = Self::ALL.iter().position(|rule| *rule == self);
        place.map_or(0, |place| place.saturating_add(1))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A{}: {}", self.number(), self.broken())
    }
}

/// A rule that does not hold, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The rows, keys or operations that show it.
    pub shown_by: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violated {}: {}", self.rule, self.shown_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_says_its_number_and_its_rows() {
        let violation = Violation {
            rule: Rule::AnsweredIsThere,
            shown_by: "key a".to_owned(),
        };
        assert_eq!(
            violation.to_string(),
            "violated A7: an answer is lost: key a"
        );
        assert_eq!(
            Rule::OneOrder.to_string(),
            "A18: it cannot have happened one after the other"
        );
    }

    #[test]
    fn rules_stand_in_the_order_of_their_numbers() {
        assert!(Rule::ALL.is_sorted());
    }
}
