//! What every [`TransferStore`] must do, as cases that each store runs.
//!
//! A store's crate implements [`Harness`] and stamps the suite into its tests:
//!
//! ```text
//! bursar_testkit::transfer_store_contract!(PgHarness::start().await);
//! ```
//!
//! Each case gets a fresh harness, and ends with an audit of everything it made: balances are
//! compared with the entries, with the states of the transfers, and with zero, and the event feed
//! with transfers and callbacks.

mod audit;
mod audit_log;
mod basics;
mod batches;
mod bulks;
mod connections;
mod key_races;
mod keys;
mod races;
mod reads;
mod refusals;
mod rehearsals;
mod rules;
mod scene;

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    AccountKey, Asset, CallbackDraft, Entry, Rules, Status, TransferId, UserId, UserStatus, Version,
};
use bursar_ports::{AuditRecord, TransferStore};

pub(crate) use audit::audit_account;

use crate::{AccountView, FixedClock, SequentialIds};

/// A store under test, and the ways round it that the suite needs.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The store, stamping with [`Harness::clock`].
    async fn store(&self) -> Arc<dyn TransferStore>;

    /// The store's clock.
    fn clock(&self) -> &FixedClock;

    /// Ids that nothing in this store has yet.
    fn ids(&self) -> &SequentialIds;

    /// Creates or replaces an asset.
    async fn put_asset(&self, asset: Asset);

    /// Creates a user or changes its status. When it returns, the status binds every commit that
    /// is not durable yet.
    async fn put_user(&self, user: UserId, status: UserStatus);

    /// What an account holds; zeros when nothing ever touched it.
    async fn balance(&self, account: AccountKey) -> AccountView;

    /// The entries of each row that stands for an account, in order of their numbers. Only what is
    /// earned in fees has several rows.
    async fn ledgers(&self, account: AccountKey) -> Vec<Vec<Entry>>;

    /// Puts rules in force, whatever was in force before.
    async fn put_rules(&self, rules: Rules);

    /// The callbacks of a transfer, in any order.
    async fn callbacks(&self, transfer: TransferId) -> Vec<CallbackDraft>;

    /// What the audit log keeps about a target, oldest first.
    async fn audit_of(&self, target: String) -> Vec<AuditRecord>;
    /// Every step of every transfer, as the event feed tells them and in its order.
    async fn events(&self) -> Vec<(TransferId, Version, Status)>;

    /// Cuts every connection the store has right now, or does what comes nearest to it; `false`
    /// when there is nothing to cut.
    async fn sabotage(&self) -> bool;
}

/// Stamps one test per case of the contract; the argument makes a fresh [`contract::Harness`] and
/// may await.
///
/// [`contract::Harness`]: crate::contract::Harness
#[macro_export]
macro_rules! transfer_store_contract {
    // The one list of cases. A case that is missing here is dead code and does not pass the lints.
    (@each $what:ident $harness:tt) => {
        $crate::transfer_store_contract! { @$what $harness
            basics {
                a_deposit_is_pending_then_credited
                a_confirmed_withdrawal_pays_its_hold_out
                a_cancelled_withdrawal_gives_its_hold_back
                a_failed_withdrawal_gives_its_hold_back
                an_internal_transfer_moves_amount_and_fee
                creation_and_settlement_can_be_one_commit
            }
            refusals {
                an_uncovered_payment_is_recorded_as_rejected
                a_pending_payment_is_rejected_at_settlement
                an_uncovered_withdrawal_leaves_only_the_refusal
                a_frozen_users_deposit_fails_at_settlement
                a_frozen_users_withdrawal_stays_open
                the_senders_reasons_come_before_the_recipients
                a_recipient_that_cannot_be_paid_is_one_and_the_same_answer
                a_disabled_asset_refuses_its_kind_only
            }
            batches {
                a_chain_inside_one_batch_behaves_as_if_in_order
                outcomes_are_positional
                one_batch_may_create_and_settle_the_same_transfer
                an_unknown_asset_is_refused_alone
                a_poison_item_leaves_concurrent_calls_alone
                an_empty_batch_has_no_outcomes
            }
            bulks {
                an_independent_bulk_behaves_as_if_its_items_came_in_order
                an_atomic_bulk_that_is_covered_is_made_whole
                an_atomic_bulk_with_a_refusal_leaves_nothing
                an_atomic_bulk_does_not_tell_who_can_be_paid
                a_bulk_may_pay_a_thousand_times_from_one_account
                a_bulk_may_pay_a_thousand_users
                a_bulk_is_replayed
                the_refusal_of_an_atomic_bulk_is_kept
                another_bulk_with_the_key_is_told_so
                a_bulk_that_landed_is_told_as_made
                a_bulk_racing_itself_has_one_effect
                bulks_racing_payments_are_covered_or_undone
                a_poisoned_bulk_leaves_nothing
                a_bulk_with_too_many_recipients_who_cannot_be_paid_leaves_nothing
            }
            keys {
                the_same_request_is_replayed
                another_request_with_the_key_is_told_so
                a_refusal_is_kept_and_replayed
                a_stale_item_leaves_its_key_free
                a_key_counts_once_inside_one_batch
                a_stale_item_leaves_its_key_to_the_next_in_the_batch
                another_principal_or_operation_has_other_keys
                a_repetition_without_change_binds_its_key
            }
            key_races {
                a_key_racing_itself_has_one_effect
                a_key_racing_itself_from_other_accounts_has_one_effect
                a_key_racing_itself_on_pending_transfers_has_one_effect
                a_key_racing_other_fields_has_one_effect
                a_key_racing_itself_on_a_confirm_has_one_effect
                a_refused_key_racing_itself_is_refused_once
                stale_holders_of_a_key_leave_it_to_the_others
            }
            races {
                parallel_payments_succeed_as_often_as_covered
                parallel_withdrawals_succeed_as_often_as_covered
                crossing_payments_all_succeed
                confirm_racing_cancel_has_one_winner
                confirm_racing_itself_has_one_winner
                a_freeze_binds_spending_in_flight
            }
            reads {
                what_is_found_is_what_was_committed
                the_unknown_is_not_found
                unsettled_transfers_are_listed_oldest_first
                an_accounts_history_never_goes_back_in_time
                landing_twice_has_one_effect
                a_step_that_was_taken_already_is_stale
                a_callback_is_due_once_per_operation_and_url
            }
            rules {
                fees_are_those_of_the_schedule_in_force
                a_fee_must_be_covered
                parallel_withdrawals_never_pass_a_limit
                a_new_limit_counts_what_was_moved_before
                a_limit_over_all_assets_counts_in_its_unit_alone
                what_needs_approval_waits_for_a_second_operator
                what_has_expired_is_listed_and_ends
                stops_hold_at_once
                reversals_never_come_to_more_than_the_original
            }
            audit_log {
                what_an_operator_changes_is_in_the_audit_log_with_it
                what_changes_nothing_is_not_in_the_audit_log
                a_change_that_landed_is_in_the_audit_log_once
            }
            rehearsals {
                a_rehearsal_tells_what_would_come_and_leaves_nothing
                a_rehearsal_knows_what_was_done
                rehearsals_racing_the_call_change_nothing
            }
            connections {
                killed_connections_lose_and_double_nothing
            }
        }
    };
    (@export () $($module:ident { $($case:ident)+ })+) => {
        $(pub use self::$module::{$($case),+};)+
    };
    (@stamp ($harness:expr) $($module:ident { $($case:ident)+ })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let harness = $harness;
                $crate::contract::$case(&harness).await;
            }
        )+)+
    };
    ($harness:expr) => {
        $crate::transfer_store_contract! { @each stamp ($harness) }
    };
}

transfer_store_contract! { @each export () }
