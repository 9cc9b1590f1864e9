//! What a change takes for granted about what it replaces.

/// What whoever asks for a change was shown. It is compared with what is there under the same lock as
/// the change itself, so nothing that another replica did in between is overwritten unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected<T> {
    /// Whatever is there.
    #[default]
    Anything,
    /// Exactly this; of anything else nothing is changed.
    Exactly(T),
}

impl<T> Expected<T> {
    /// The same, said in other terms.
    pub fn map<U>(self, other: impl FnOnce(T) -> U) -> Expected<U> {
        match self {
            Self::Anything => Expected::Anything,
            Self::Exactly(expected) => Expected::Exactly(other(expected)),
        }
    }
}

impl<T: PartialEq> Expected<T> {
    /// Whether a change of what was found may be made.
    pub fn allows(&self, found: &T) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(expected) => expected == found,
        }
    }
}
