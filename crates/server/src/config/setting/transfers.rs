//! Settings of what becomes of transfers that wait, and of who pays no fees.

use super::{Default, PLAIN, Setting};

pub(in crate::config) const FEE_FREE_ROLES: Setting = Setting {
    key: "transfers.fee_free_roles",
    default: Default::Missing("everybody pays fees"),
    form: "roles of users",
    example: "Staff",
    list: true,
    help: "Users with any of these roles pay no fees, neither as senders nor for their deposits and \
           withdrawals.",
    ..PLAIN
};

pub(in crate::config) const CONFIRM_WITHIN: Setting = Setting {
    key: "transfers.confirm_within_s",
    default: Default::Value("0"),
    form: "seconds, 0 to 315360000; 0 = for ever",
    example: "86400",
    help: "How long a withdrawal waits for somebody to confirm it. After that it fails and its hold \
           is returned. What exists keeps the time it was made with.",
    ..PLAIN
};

pub(in crate::config) const APPROVE_WITHIN: Setting = Setting {
    key: "transfers.approve_within_s",
    default: Default::Value("259200"),
    form: "seconds, 0 to 315360000; 0 = for ever",
    example: "259200",
    help: "How long a deposit or a confirmed withdrawal waits for a second operator. After that it \
           fails, and a hold is returned.",
    ..PLAIN
};

pub(in crate::config) const EXPIRING_NOTICE: Setting = Setting {
    key: "transfers.expiring_notice_s",
    default: Default::Value("3600"),
    form: "seconds, 0 to 315360000",
    example: "3600",
    help: "How long before a withdrawal expires the event feed tells of it, as \
           `withdrawal.expiring`.",
    ..PLAIN
};
