//! Trouble with a store.

/// The cause of an infrastructure error, for logs only.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error with all its causes, for the log: the outermost alone says too little.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Why a store could not answer. Business refusals are never errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More work is waiting than the store takes on. Nothing happened.
    #[error("the store has too much to do")]
    Overloaded,
    /// Another replica moves the money. Nothing happened.
    #[error("another replica moves the money")]
    Standby,
    /// The store cannot be reached or gave up. Nothing happened.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// The connection was lost round a commit and the outcome could not be found out in time.
    /// Repeating the same request with the same key is safe and finds out.
    /// What has no key is looked for.
    #[error("it is unknown whether the change was committed")]
    OutcomeUnknown(#[source] BoxError),
    /// What is stored contradicts itself: somebody must look.
    #[error("{table} is inconsistent: {detail}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// What does not fit.
        detail: String,
    },
}

impl StoreError {
    /// What it means where something of the request has happened already: it says by itself that nothing
    /// did.
    #[must_use]
    pub fn of_what_happened(self) -> Self {
        match self {
            Self::Unavailable(cause) => Self::OutcomeUnknown(cause),
            Self::Overloaded | Self::Standby => Self::OutcomeUnknown(self.to_string().into()),
            Self::OutcomeUnknown(_) | Self::Inconsistent { .. } => self,
        }
    }

    /// Whether what was asked for may have made this trouble itself, for all that is known. Else the
    /// store would have said the same of anything, or nobody knows that it did not happen.
    pub const fn may_be_its_own(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Inconsistent { .. } => true,
            Self::Overloaded | Self::Standby | Self::OutcomeUnknown(_) => false,
        }
    }
}
