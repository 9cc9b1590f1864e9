//! What a step comes to.

/// What a step comes to, in the numbers of the model: of transfers in the order in which they came
/// to be, of assets, of times in microseconds since the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is so from now on.
    Done,
    /// This transfer, new or changed.
    Made(View),
    /// Nothing had to be done.
    Already,
    /// The transfer's state forbids it, or whoever asked had a hand in it before.
    Forbidden,
    /// The key's transfer.
    Replayed(usize),
    /// The key belongs to another request.
    KeyReused(Option<usize>),
    /// A rule refuses it.
    Refused {
        /// The code of the reason.
        reason: &'static str,
        /// Whether the key remembered it.
        replayed: bool,
        /// What the limit leaves, if it is one.
        left: Option<Left>,
    },
    /// Nothing moves right now.
    ReadOnly,
    /// These transfers, new.
    BulkMade(Vec<View>),
    /// A bulk that is all or none is refused: why, for each item that is told.
    BulkRefused {
        /// The codes.
        reasons: Vec<Option<&'static str>>,
        /// How many recipients cannot be paid.
        unable: usize,
    },
    /// What the key's bulk came to: transfers, or codes.
    BulkReplayed(Vec<Result<usize, String>>),
    /// The key belongs to another bulk, of these transfers.
    BulkKeyReused(Vec<usize>),
    /// Nothing that the model could ever expect.
    Strange(String),
}

/// A transfer as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its number.
    pub number: usize,
    /// Its status.
    pub status: &'static str,
    /// What it waits for beyond that.
    pub stage: Option<&'static str>,
    /// The code of the reason for which it ended.
    pub reason: Option<&'static str>,
    /// Its amount.
    pub amount: i128,
    /// What it cost.
    pub fee: i128,
    /// How much of it was taken back.
    pub reversed: i128,
    /// Whether it ends by itself should nobody do anything.
    pub expires: bool,
}

/// What a limit leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// How much, to one transfer.
    pub units: i128,
    /// Of which asset.
    pub asset: usize,
    /// When there will be room, to the second.
    pub returns_at: Option<i64>,
}
