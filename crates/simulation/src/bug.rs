//! Faults that are planted in the simulation's own adapters, to see that they are found.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The store answers before it has applied a change.
    AnsweredTooEarly,
    /// The store says that nothing happened, and something did.
    DeniedWhatLanded,
    /// The store forgets to keep some keys.
    KeyForgotten,
    /// What a withdrawal held is given back twice.
    HoldReleasedTwice,
    /// Whoever comes too late to change a transfer changes it all the same.
    VersionUnchecked,
    /// A read shows how an account was a while ago.
    ReadTooOld,
    /// Somebody is said not to have the money who has it.
    RefusedForNothing,
    /// A withdrawal is ended as if its time were up.
    ExpiredTooEarly,
    /// A claim marks a callback as delivered before it is sent.
    MarkedBeforePost,
    /// A callback becomes due though its change was not made.
    PhantomCallback,
    /// Every claim gives a callback a new id.
    FreshWebhookId,
    /// A final state is taken for told when an older one was.
    FinalSkipped,
}

impl Bug {
    pub(crate) const ALL: [Self; 12] = [
        Self::AnsweredTooEarly,
        Self::DeniedWhatLanded,
        Self::KeyForgotten,
        Self::HoldReleasedTwice,
        Self::VersionUnchecked,
        Self::ReadTooOld,
        Self::RefusedForNothing,
        Self::ExpiredTooEarly,
        Self::MarkedBeforePost,
        Self::PhantomCallback,
        Self::FreshWebhookId,
        Self::FinalSkipped,
    ];

    /// Whether this is how it shows.
    pub(crate) fn breaks(self, wrong: &str) -> bool {
        let promises: &[&str] = match self {
            Self::AnsweredTooEarly => &["R1", "R2", "R7"],
            Self::DeniedWhatLanded | Self::ExpiredTooEarly => &["R8"],
            Self::KeyForgotten => &["R2"],
            Self::HoldReleasedTwice => &["R4", "R3"],
            Self::VersionUnchecked => &["R5"],
            Self::ReadTooOld | Self::RefusedForNothing => &["R7"],
            Self::MarkedBeforePost
            | Self::PhantomCallback
            | Self::FreshWebhookId
            | Self::FinalSkipped => &["R6"],
        };
        promises.iter().any(|promise| wrong.starts_with(promise))
    }
}
