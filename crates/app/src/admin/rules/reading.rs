//! What may be said of a rule, in the words of whoever says it.

use bursar_domain::{Amount, DecimalAmount, FeeSchedule, Kind, Limits, Percent, Scale};

use super::{NewFees, NewLimits};
use crate::FieldError;

/// Reads the amounts of a rule, remembering every one that is wrong.
struct RuleFields {
    scale: Scale,
    wrong: Vec<FieldError>,
}

impl RuleFields {
    const fn new(scale: Scale) -> Self {
        Self {
            scale,
            wrong: vec![],
        }
    }

    fn amount(&mut self, field: &'static str, code: &'static str, given: DecimalAmount) -> Amount {
        given.to_amount(self.scale).unwrap_or_else(|error| {
            self.refuse(field, code, error.to_string());
            Amount::ZERO
        })
    }

    fn refuse(&mut self, field: &'static str, code: &'static str, detail: impl Into<String>) {
        self.wrong.push(FieldError::new(field, code, detail));
    }

    fn finish<T>(self, made: T) -> Result<T, Vec<FieldError>> {
        if self.wrong.is_empty() {
            Ok(made)
        } else {
            Err(self.wrong)
        }
    }
}

impl NewFees {
    /// The schedule in an asset's smallest units.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self, scale: Scale) -> Result<FeeSchedule, Vec<FieldError>> {
        let mut fields = RuleFields::new(scale);
        let percent = Percent::try_from_decimal(self.percent).unwrap_or_else(|error| {
            fields.refuse("percent", "percent.invalid", error.to_string());
            Percent::ZERO
        });
        let min = fields.amount("min", "min.too_precise", self.min);
        let max = self
            .max
            .map(|max| fields.amount("max", "max.too_precise", max));
        let absolute = fields.amount("absolute", "absolute.too_precise", self.absolute);
        if max.is_some_and(|max| max < min) {
            fields.refuse("max", "max.below_min", "must not be below the minimum");
        }
        fields.finish(FeeSchedule {
            percent,
            min,
            max,
            absolute,
        })
    }
}

impl NewLimits {
    /// The limits in the smallest units of the asset that they are counted in.
    ///
    /// # Errors
    /// Everything that is wrong with them, or means nothing for the kind.
    pub fn read(&self, kind: Kind, scale: Scale) -> Result<Limits, Vec<FieldError>> {
        let mut fields = RuleFields::new(scale);
        let mut read = |field, code, given: Option<DecimalAmount>| {
            given.map(|given| fields.amount(field, code, given))
        };
        let limits = Limits {
            min_amount: read("min_amount", "min_amount.too_precise", self.min_amount),
            max_amount: read("max_amount", "max_amount.too_precise", self.max_amount),
            daily: read("daily", "daily.too_precise", self.daily),
            monthly: read("monthly", "monthly.too_precise", self.monthly),
            approval_above: read(
                "approval_above",
                "approval_above.too_precise",
                self.approval_above,
            ),
        };
        if let (Some(min), Some(max)) = (limits.min_amount, limits.max_amount)
            && max < min
        {
            let detail = "must not be below the minimum";
            fields.refuse("max_amount", "max_amount.below_min", detail);
        }
        if kind == Kind::Deposit {
            let detail = "deposits have no rolling limits";
            if limits.daily.is_some() {
                fields.refuse("daily", "daily.not_for_deposits", detail);
            }
            if limits.monthly.is_some() {
                fields.refuse("monthly", "monthly.not_for_deposits", detail);
            }
        }
        if kind == Kind::Internal && limits.approval_above.is_some() {
            let detail = "internal transfers settle without a second operator";
            fields.refuse("approval_above", "approval_above.not_for_internal", detail);
        }
        fields.finish(limits)
    }
}
