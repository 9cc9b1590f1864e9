//! What kinds of transfer there are and which statuses they have.

/// The three kinds of transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Kind {
    /// Money that comes in.
    Deposit,
    /// Money that goes out.
    Withdrawal,
    /// Money that moves between two users.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Deposit, Self::Withdrawal, Self::Internal];

    /// The name in the database and in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Internal => "internal",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The statuses that a transfer of this kind may have.
    pub const fn statuses(self) -> &'static [Status] {
        match self {
            Self::Deposit => &[Status::Pending, Status::Completed, Status::Failed],
            Self::Withdrawal => &[
                Status::AwaitingConfirmation,
                Status::Completed,
                Status::Failed,
                Status::Canceled,
            ],
            Self::Internal => &[Status::Pending, Status::Success, Status::Rejected],
        }
    }
}

/// The status of a transfer of any kind, as both documented APIs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// A deposit or internal transfer that settles by itself.
    Pending,
    /// A withdrawal that waits for an operator.
    AwaitingConfirmation,
    /// A deposit or withdrawal that went through.
    Completed,
    /// A deposit or withdrawal that did not.
    Failed,
    /// A withdrawal that was cancelled.
    Canceled,
    /// An internal transfer that went through.
    Success,
    /// An internal transfer that did not.
    Rejected,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::AwaitingConfirmation,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::Success,
        Self::Rejected,
    ];

    /// The name that is stored and that the back-office API shows; the internal API writes it in
    /// lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::AwaitingConfirmation => "AwaitingConfirmation",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Success => "Success",
            Self::Rejected => "Rejected",
        }
    }

    /// The status with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether a transfer with this status never changes again.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::AwaitingConfirmation => false,
            Self::Completed | Self::Failed | Self::Canceled | Self::Success | Self::Rejected => {
                true
            }
        }
    }
}

/// What an open deposit or withdrawal waits for beyond what its status tells: the documented APIs
/// know no more statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// A second operator.
    Approval,
    /// Whoever pays it out.
    Payout,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 2] = [Self::Approval, Self::Payout];

    /// The name in the database and in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Payout => "payout",
        }
    }

    /// The stage with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They stand in databases: none may ever change.
    #[test]
    fn names_are_kept() {
        let kinds = Kind::ALL.map(Kind::as_str);
        assert_eq!(kinds, ["deposit", "withdrawal", "internal"]);
        assert_eq!(kinds.map(Kind::from_name), Kind::ALL.map(Some));
        assert_eq!(Kind::from_name("Deposit"), None);

        let stages = Stage::ALL.map(Stage::as_str);
        assert_eq!(stages, ["approval", "payout"]);
        assert_eq!(stages.map(Stage::from_name), Stage::ALL.map(Some));
        assert_eq!(Stage::from_name("Approval"), None);

        let statuses = Status::ALL.map(Status::as_str);
        let written = [
            "Pending",
            "AwaitingConfirmation",
            "Completed",
            "Failed",
            "Canceled",
            "Success",
            "Rejected",
        ];
        assert_eq!(statuses, written);
        assert_eq!(statuses.map(Status::from_name), Status::ALL.map(Some));
        assert_eq!(Status::from_name("success"), Some(Status::Success));
        assert_eq!(Status::from_name(""), None);
    }
}
