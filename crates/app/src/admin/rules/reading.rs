//! What may be said of a rule, in the words of whoever says it.

use bursar_domain::{Amount, DecimalAmount, FeeSchedule, Kind, Limits, Percent, Scale};

use super::{NewFees, NewLimits};
use crate::FieldError;

const BELOW_MIN: &str = "must not be below the minimum";

/// Reads the amounts of a rule, remembering every one that is wrong.
struct RuleFields {
    scale: Scale,
    wrong: Vec<FieldError>,
}

impl RuleFields {
    /// To the faults that are known already, those of the amounts will be added.
    fn new(scale: Scale, faults: Vec<FieldError>) -> Self {
        Self {
            scale,
            wrong: faults,
        }
    }

    fn amount(&mut self, field: &'static str, code: &'static str, given: DecimalAmount) -> Amount {
        given.to_amount(self.scale).unwrap_or_else(|error| {
            let fault = FieldError::new(field, code, error.to_string());
            self.wrong.push(fault);
            Amount::ZERO
        })
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
    /// What is wrong with it whatever the asset.
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = vec![];
        if let Err(error) = Percent::try_from_decimal(self.percent) {
            let detail = error.to_string();
            faults.push(FieldError::new("percent", "percent.invalid", detail));
        }
        if self.max.is_some_and(|max| max < self.min) {
            faults.push(FieldError::new("max", "max.below_min", BELOW_MIN));
        }
        faults
    }

    /// The schedule in an asset's smallest units.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self, scale: Scale) -> Result<FeeSchedule, Vec<FieldError>> {
        let mut fields = RuleFields::new(scale, self.faults());
        // What is no percentage is among the faults.
        let percent = Percent::try_from_decimal(self.percent).unwrap_or_default();
        let min = fields.amount("min", "min.too_precise", self.min);
        let max = self
            .max
            .map(|max| fields.amount("max", "max.too_precise", max));
        let absolute = fields.amount("absolute", "absolute.too_precise", self.absolute);
        fields.finish(FeeSchedule {
            percent,
            min,
            max,
            absolute,
        })
    }
}

impl NewLimits {
    /// What is wrong with them whatever the asset, and without a kind what is whatever the kind, too.
    pub fn faults(&self, kind: Option<Kind>) -> Vec<FieldError> {
        let mut faults = vec![];
        let mut refuse = |field: &'static str, code: &'static str, detail: &'static str| {
            faults.push(FieldError::new(field, code, detail));
        };
        let both = self.min_amount.zip(self.max_amount);
        if both.is_some_and(|(min, max)| max < min) {
            refuse("max_amount", "max_amount.below_min", BELOW_MIN);
        }
        if kind == Some(Kind::Deposit) {
            let detail = "deposits have no rolling limits";
            if self.daily.is_some() {
                refuse("daily", "daily.not_for_deposits", detail);
            }
            if self.monthly.is_some() {
                refuse("monthly", "monthly.not_for_deposits", detail);
            }
        }
        if kind == Some(Kind::Internal) && self.approval_above.is_some() {
            let detail = "internal transfers settle without a second operator";
            refuse("approval_above", "approval_above.not_for_internal", detail);
        }
        faults
    }

    /// The limits in the smallest units of the asset that they are counted in.
    ///
    /// # Errors
    /// Everything that is wrong with them, or means nothing for the kind.
    pub fn read(&self, kind: Kind, scale: Scale) -> Result<Limits, Vec<FieldError>> {
        let mut fields = RuleFields::new(scale, self.faults(Some(kind)));
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
        fields.finish(limits)
    }
}
