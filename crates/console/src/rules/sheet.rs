//! The fields of a rule: what they are called, and what they say now.

use std::collections::BTreeMap;

use bursar_app::{Error, Fees, Grant, KindLimits, Missing};
use bursar_domain::{Amount, Asset, AssetId, BigDecimal, Scale};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::rule::Rule;
use crate::{desk::Desk, fault::Fault, words::unit};

/// What a form says, field by field.
pub(super) type Said = BTreeMap<String, String>;

/// How a field is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Decimal,
    YesNo,
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: String,
    pub(super) shape: Shape,
    /// What it says in the rule that is in force; empty for nothing.
    pub(super) now: String,
}

/// A rule as it is in force, in the words of the use cases.
#[derive(Clone, Debug)]
pub(super) enum InForce {
    Asset(AssetId, Option<Asset>),
    Rate(AssetId, Option<BigDecimal>),
    Fees(Fees),
    /// With the asset in which new ones are: of all assets together the root asset, whatever those in
    /// force were set in.
    Limits(KindLimits, Asset),
}

/// A rule as it is in force.
pub(super) struct Sheet {
    pub(super) rule: Rule,
    pub(super) fields: Vec<Field>,
    pub(super) in_force: InForce,
}

impl Sheet {
    /// Reads what is in force.
    pub(super) async fn of(desk: &Desk, grant: &Grant, rule: Rule) -> Result<Self, Fault> {
        let app = desk.app();
        let in_force = match rule {
            Rule::Asset(id) => match app.find_asset(grant, id).await {
                Ok(asset) => InForce::Asset(id, Some(asset)),
                Err(Error::NotFound(Missing::Asset)) => InForce::Asset(id, None),
                Err(error) => return Err(error.into()),
            },
            Rule::Rate(id) => match app.find_rate(grant, id).await {
                Ok(rate) => InForce::Rate(id, Some(rate.rate)),
                Err(Error::NotFound(Missing::Rate)) => InForce::Rate(id, None),
                Err(error) => return Err(error.into()),
            },
            Rule::Fees(kind, asset) => InForce::Fees(app.find_fees(grant, kind, asset).await?),
            Rule::Limits(kind, asset) => {
                let new_in = asset.unwrap_or(app.root_asset());
                let new_in = app.find_asset(grant, new_in).await?;
                InForce::Limits(app.find_limits(grant, kind, asset).await?, new_in)
            }
        };
        let fields = match &in_force {
            InForce::Asset(_, asset) => asset_fields(asset.as_ref()),
            InForce::Rate(_, rate) => {
                let hint = format!("How many {} one is worth.", unit(app.root_asset()));
                let now = rate
                    .as_ref()
                    .map(|rate| rate.normalized().to_plain_string());
                vec![decimal("rate", "Rate", hint, now.unwrap_or_default())]
            }
            InForce::Fees(fees) => fee_fields(&fees.schedule, fees.asset.scale),
            InForce::Limits(limits, new_in) => limit_fields(limits, new_in),
        };
        Ok(Self {
            rule,
            fields,
            in_force,
        })
    }

    /// Whether there is no such thing yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.in_force, InForce::Asset(_, None))
    }

    /// What every field is to say: what is asked for and, where nothing is, what it says now. What is
    /// shown, checked and sent is this.
    pub(super) fn completed(&self, said: &Said) -> Said {
        let field = |field: &Field| {
            let asked = said.get(field.name).map(|text| text.trim());
            // A choice that nobody has made yet stands at its first one.
            let now = match field.shape {
                Shape::YesNo if field.now.is_empty() => "yes",
                Shape::YesNo | Shape::Text | Shape::Decimal => &field.now,
            };
            (field.name.to_owned(), asked.unwrap_or(now).to_owned())
        };
        self.fields.iter().map(field).collect()
    }

    /// Proves which state of the rule a change was made for.
    pub(super) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.rule.target());
        for field in &self.fields {
            hasher.update(format!("\n{}:{}:", field.name, field.now.len()));
            hasher.update(&field.now);
        }
        HEXLOWER.encode(&hasher.finalize())
    }
}

fn decimal(name: &'static str, label: &'static str, hint: impl Into<String>, now: String) -> Field {
    Field {
        name,
        label,
        hint: hint.into(),
        shape: Shape::Decimal,
        now,
    }
}

fn asset_fields(asset: Option<&Asset>) -> Vec<Field> {
    let yes_no = |name, label, yes: Option<bool>| Field {
        name,
        label,
        hint: String::new(),
        shape: Shape::YesNo,
        now: yes
            .map_or("", |yes| if yes { "yes" } else { "no" })
            .to_owned(),
    };
    vec![
        Field {
            name: "name",
            label: "Name",
            hint: "Shown to people.".to_owned(),
            shape: Shape::Text,
            now: asset.map(|asset| asset.name.clone()).unwrap_or_default(),
        },
        decimal(
            "scale",
            "Decimals",
            "0 to 18; they stay as they are once there are accounts.",
            asset
                .map(|asset| asset.scale.get().to_string())
                .unwrap_or_default(),
        ),
        yes_no(
            "deposit",
            "Takes deposits",
            asset.map(|asset| asset.can_deposit),
        ),
        yes_no(
            "withdraw",
            "Takes withdrawals",
            asset.map(|asset| asset.can_withdraw),
        ),
        yes_no(
            "transfer",
            "Takes internal transfers",
            asset.map(|asset| asset.can_transfer),
        ),
    ]
}

fn fee_fields(schedule: &bursar_domain::FeeSchedule, scale: Scale) -> Vec<Field> {
    let amount = |amount: Amount| amount.to_plain(scale);
    vec![
        decimal(
            "percent",
            "Percent of the amount",
            "0 to 100.",
            schedule.percent.to_plain(),
        ),
        decimal(
            "min",
            "At least",
            "The least that the share comes to.",
            amount(schedule.min),
        ),
        decimal(
            "max",
            "At most",
            "The most that the share comes to; empty: as much as it is.",
            schedule.max.map(amount).unwrap_or_default(),
        ),
        decimal(
            "absolute",
            "On top",
            "Added whatever the amount.",
            amount(schedule.absolute),
        ),
    ]
}

/// What is said in another asset than new ones are has that asset's name behind it. So it is no amount,
/// and whoever changes one has to say all of them anew.
fn limit_fields(limits: &KindLimits, new_in: &Asset) -> Vec<Field> {
    let set_in = &limits.counted_in;
    let now = |amount: Option<Amount>| {
        let told = amount.map(|amount| amount.to_plain(set_in.scale));
        match told {
            Some(told) if set_in.id != new_in.id => format!("{told} {}", unit(set_in.id)),
            told => told.unwrap_or_default(),
        }
    };
    let is = limits.limits;
    let none = "Empty: no limit.";
    let mut fields = vec![
        decimal(
            "min_amount",
            "One transfer, at least",
            none,
            now(is.min_amount),
        ),
        decimal(
            "max_amount",
            "One transfer, at most",
            none,
            now(is.max_amount),
        ),
    ];
    let rolling = || {
        [
            decimal("daily", "A user in 24 hours, at most", none, now(is.daily)),
            decimal(
                "monthly",
                "A user in 30 days, at most",
                none,
                now(is.monthly),
            ),
        ]
    };
    let second = || {
        let hint = "Empty: nobody is asked.";
        decimal(
            "approval_above",
            "A second operator above",
            hint,
            now(is.approval_above),
        )
    };
    match limits.kind {
        bursar_domain::Kind::Deposit => fields.push(second()),
        bursar_domain::Kind::Withdrawal => {
            fields.extend(rolling());
            fields.push(second());
        }
        bursar_domain::Kind::Internal => fields.extend(rolling()),
    }
    fields
}
