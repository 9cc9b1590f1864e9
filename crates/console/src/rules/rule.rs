//! What can be changed, by the name that the audit log has for it.

use bursar_domain::{AssetId, Kind};

use crate::{links::Link, words};

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `asset:btc`.
    Asset(AssetId),
    /// `rate:btc`.
    Rate(AssetId),
    /// `fees:withdrawal:btc`.
    Fees(Kind, AssetId),
    /// `limits:withdrawal:btc`, or `limits:withdrawal` for all assets together.
    Limits(Kind, Option<AssetId>),
}

impl Rule {
    pub(super) fn from_target(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let what = parts.next()?;
        let (one, other) = (parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        let asset = |text: &str| AssetId::parse(text).ok();
        Some(match (what, other) {
            ("asset", None) => Self::Asset(asset(one)?),
            ("rate", None) => Self::Rate(asset(one)?),
            ("fees", Some(other)) => Self::Fees(Kind::from_name(one)?, asset(other)?),
            ("limits", Some(other)) => Self::Limits(Kind::from_name(one)?, Some(asset(other)?)),
            ("limits", None) => Self::Limits(Kind::from_name(one)?, None),
            (_, _) => return None,
        })
    }

    pub(super) fn target(self) -> String {
        match self {
            Self::Asset(asset) => format!("asset:{asset}"),
            Self::Rate(asset) => format!("rate:{asset}"),
            Self::Fees(kind, asset) => format!("fees:{}:{asset}", kind.as_str()),
            Self::Limits(kind, Some(asset)) => format!("limits:{}:{asset}", kind.as_str()),
            Self::Limits(kind, None) => format!("limits:{}", kind.as_str()),
        }
    }

    /// What the audit log calls a change of it.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::Asset(_) => "asset.put",
            Self::Rate(_) => "rate.put",
            Self::Fees(_, _) => "fees.put",
            Self::Limits(_, _) => "limits.put",
        }
    }

    pub(super) fn title(self) -> String {
        let plural = |kind: Kind| match kind {
            Kind::Deposit => "deposits",
            Kind::Withdrawal => "withdrawals",
            Kind::Internal => "internal transfers",
        };
        match self {
            Self::Asset(asset) => format!("the asset {}", words::unit(asset)),
            Self::Rate(asset) => format!("the rate of {}", words::unit(asset)),
            Self::Fees(kind, asset) => {
                format!("fees of {} in {}", plural(kind), words::unit(asset))
            }
            Self::Limits(kind, Some(asset)) => {
                format!("limits of {} in {}", plural(kind), words::unit(asset))
            }
            Self::Limits(kind, None) => format!("limits of {} in all assets", plural(kind)),
        }
    }

    pub(super) fn link(self) -> Link {
        Link::to("/console/rules/edit").with("rule", self.target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_by_its_name_in_the_audit_log() {
        let btc = AssetId::parse("btc").unwrap();
        let rules = [
            Rule::Asset(btc),
            Rule::Rate(btc),
            Rule::Fees(Kind::Withdrawal, btc),
            Rule::Limits(Kind::Internal, Some(btc)),
            Rule::Limits(Kind::Deposit, None),
        ];
        for rule in rules {
            assert_eq!(Rule::from_target(&rule.target()), Some(rule));
        }
        for text in [
            "",
            "asset",
            "fees:btc",
            "fees:withdrawal:btc:x",
            "limits:x",
            "asset:",
        ] {
            assert_eq!(Rule::from_target(text), None, "{text}");
        }
    }
}
