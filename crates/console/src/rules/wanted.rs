//! What a rule is to say: read from the form as the use cases read it, so that what is shown as possible
//! is possible.

use bursar_app::{FieldError, Grant, NewFees, NewLimits};
use bursar_domain::{Asset, AssetId, BigDecimal, DecimalAmount, ParseAmountError, Scale};
use bursar_ports::Expected;

use super::sheet::{InForce, Said, Sheet};
use crate::{desk::Desk, fault::Fault};

/// The longest name of an asset, in characters.
const NAME_MAX: usize = 255;

/// What a rule is to say, whatever it says now.
pub(super) enum Wanted {
    Asset(Asset),
    Rate(AssetId, BigDecimal),
    Fees(NewFees),
    Limits(NewLimits),
}

impl Wanted {
    /// Reads a form that says something of every field.
    ///
    /// # Errors
    /// Everything that cannot be.
    pub(super) fn read(desk: &Desk, sheet: &Sheet, said: &Said) -> Result<Self, Vec<FieldError>> {
        let mut reader = Reader {
            said,
            wrong: vec![],
        };
        let wanted = match &sheet.in_force {
            InForce::Asset(id, _) => Self::Asset(reader.asset(*id)),
            InForce::Rate(id, _) => {
                let rate = reader.rate();
                let checked = rate.as_ref().map(|rate| desk.app().check_rate(*id, rate));
                reader.also(checked.and_then(Result::err));
                Self::Rate(*id, rate.unwrap_or_default())
            }
            InForce::Fees(fees) => {
                let new = reader.fees();
                reader.also(new.read(fees.asset.scale).err().into_iter().flatten());
                Self::Fees(new)
            }
            InForce::Limits(limits, new_in) => {
                let new = reader.limits();
                let read = new.read(limits.kind, new_in.scale);
                reader.also(read.err().into_iter().flatten());
                Self::Limits(new)
            }
        };
        if reader.wrong.is_empty() {
            Ok(wanted)
        } else {
            Err(reader.wrong)
        }
    }

    /// Whether the rule says that already.
    pub(super) fn is_in_force(&self, in_force: &InForce) -> bool {
        match (self, in_force) {
            (Self::Asset(new), InForce::Asset(_, now)) => now.as_ref() == Some(new),
            (Self::Rate(_, new), InForce::Rate(_, now)) => now.as_ref() == Some(new),
            (Self::Fees(new), InForce::Fees(now)) => {
                new.read(now.asset.scale).ok() == Some(now.schedule)
            }
            (Self::Limits(new), InForce::Limits(now, new_in)) => {
                let read = new.read(now.kind, new_in.scale);
                read.ok() == Some(now.limits) && now.counted_in.id == new_in.id
            }
            (_, _) => false,
        }
    }

    /// Makes it so, if what it replaces still is what the form was made of.
    pub(super) async fn put(
        self,
        desk: &Desk,
        grant: &Grant,
        in_force: InForce,
    ) -> Result<(), Fault> {
        let app = desk.app();
        match (self, in_force) {
            (Self::Asset(new), InForce::Asset(_, was)) => {
                app.put_asset(grant, new, Expected::Exactly(was)).await?;
            }
            (Self::Rate(id, new), InForce::Rate(_, was)) => {
                let was = Expected::Exactly(was);
                app.put_rate(grant, id, new, None, was).await?;
            }
            (Self::Fees(new), InForce::Fees(was)) => {
                let expected = Expected::Exactly(was.schedule);
                app.put_fees(grant, was.kind, was.asset.id, new, expected)
                    .await?;
            }
            (Self::Limits(new), InForce::Limits(was, _)) => {
                let expected = Expected::Exactly(was.limits);
                app.put_limits(grant, was.kind, was.asset, new, expected)
                    .await?;
            }
            (_, _) => return Err(Fault::NoPage),
        }
        Ok(())
    }
}

/// Reads fields, remembering every one that is wrong.
struct Reader<'a> {
    said: &'a Said,
    wrong: Vec<FieldError>,
}

impl Reader<'_> {
    fn text(&self, field: &str) -> &str {
        self.said.get(field).map(String::as_str).unwrap_or_default()
    }

    fn refuse(&mut self, field: &'static str, detail: impl Into<String>) {
        let error = FieldError::new(field, format!("{field}.invalid"), detail);
        self.wrong.push(error);
    }

    /// What else is wrong, but for fields of which that is known.
    fn also(&mut self, others: impl IntoIterator<Item = FieldError>) {
        for other in others {
            if !self.wrong.iter().any(|wrong| wrong.field == other.field) {
                self.wrong.push(other);
            }
        }
    }

    fn asset(&mut self, id: AssetId) -> Asset {
        let name = self.text("name").to_owned();
        let is_one_line = !name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > NAME_MAX || !is_one_line {
            self.refuse(
                "name",
                format!("has 1 to {NAME_MAX} characters, on one line"),
            );
        }
        let scale = scale(self.text("scale"));
        if scale.is_none() {
            self.refuse("scale", "is a whole number from 0 to 18");
        }
        Asset {
            id,
            name,
            scale: scale.unwrap_or(Scale::MAX),
            can_deposit: self.yes("deposit"),
            can_withdraw: self.yes("withdraw"),
            can_transfer: self.yes("transfer"),
        }
    }

    fn yes(&mut self, field: &'static str) -> bool {
        let is_yes = self.text(field) == "yes";
        if !is_yes && self.text(field) != "no" {
            self.refuse(field, "is yes or no");
        }
        is_yes
    }

    /// A rate has the form of an amount.
    fn rate(&mut self) -> Option<BigDecimal> {
        match DecimalAmount::parse(self.text("rate")) {
            Ok(rate) => Some(rate.to_decimal().normalized()),
            Err(error) => {
                self.refuse("rate", error.to_string());
                None
            }
        }
    }

    fn fees(&mut self) -> NewFees {
        NewFees {
            percent: self.amount("percent").unwrap_or(DecimalAmount::ZERO),
            min: self.amount("min").unwrap_or(DecimalAmount::ZERO),
            max: self.amount("max"),
            absolute: self.amount("absolute").unwrap_or(DecimalAmount::ZERO),
        }
    }

    fn limits(&mut self) -> NewLimits {
        NewLimits {
            min_amount: self.amount("min_amount"),
            max_amount: self.amount("max_amount"),
            daily: self.amount("daily"),
            monthly: self.amount("monthly"),
            approval_above: self.amount("approval_above"),
        }
    }

    /// An amount, where nothing may be said and zero is a value.
    fn amount(&mut self, field: &'static str) -> Option<DecimalAmount> {
        let text = self.text(field);
        if text.is_empty() {
            return None;
        }
        match DecimalAmount::parse(text) {
            Ok(amount) => Some(amount),
            Err(ParseAmountError::Zero) => Some(DecimalAmount::ZERO),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }
}

fn scale(text: &str) -> Option<Scale> {
    Scale::try_new(text.parse().ok()?).ok()
}
