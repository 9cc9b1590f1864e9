//! Settings of what becomes of transfers that wait, and of who pays no fees.

use std::time::Duration;

use super::{Reader, parse, setting};

/// The longest that anything may wait, in seconds: ten years.
const WAIT_MAX_S: u64 = 10 * 365 * 86_400;

/// What becomes of transfers that wait, and who pays no fees.
#[derive(Debug)]
pub struct TransfersConfig {
    /// Users with any of these roles pay no fees.
    pub fee_free_roles: Vec<String>,
    /// How long a withdrawal waits for somebody to confirm it; none = for ever.
    pub confirm_within: Option<Duration>,
    /// How long a transfer waits for a second operator; none = for ever.
    pub approve_within: Option<Duration>,
    /// How long before a withdrawal expires the event feed tells of it.
    pub expiring_notice: Duration,
}

impl TransfersConfig {
    pub(super) fn load(read: &mut Reader<'_>) -> Option<Self> {
        let fee_free_roles = read.list(&setting::transfers::FEE_FREE_ROLES, parse::role);
        let confirm = read.value(
            &setting::transfers::CONFIRM_WITHIN,
            parse::seconds(0, WAIT_MAX_S),
        );
        let approve = read.value(
            &setting::transfers::APPROVE_WITHIN,
            parse::seconds(0, WAIT_MAX_S),
        );
        let notice = read.value(
            &setting::transfers::EXPIRING_NOTICE,
            parse::seconds(0, WAIT_MAX_S),
        );
        let some = |duration: Duration| (!duration.is_zero()).then_some(duration);
        Some(Self {
            fee_free_roles: fee_free_roles?,
            confirm_within: some(confirm?),
            approve_within: some(approve?),
            expiring_notice: notice?,
        })
    }
}
