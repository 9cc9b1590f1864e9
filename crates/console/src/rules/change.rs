//! Changing a rule: the form, what would change, and the change.

use std::str::FromStr;

use actix_web::{HttpResponse, web};
use bursar_app::{Error, FieldError, Grant, NewFees, NewLimits};
use bursar_domain::{Asset, BigDecimal, DecimalAmount, ParseAmountError, Scale};
use bursar_ports::Permission;
use maud::{Markup, html};

use super::{
    rule::Rule,
    sheet::{Field, Said, Shape, Sheet},
};
use crate::{
    Posted,
    desk::{Desk, Reply},
    fault::Fault,
    flash::Done,
    forms,
    layout::{Place, wide},
};

/// The longest rate that is read, in characters.
const RATE_MAX: usize = 64;

/// `GET /console/rules/edit?rule=fees:withdrawal:btc`: the form and, once it says something, what that
/// would change. It changes nothing.
pub(crate) async fn edit(desk: Desk, said: web::Query<Said>) -> HttpResponse {
    desk.answer(form(&desk, &said).await)
}

/// `POST /console/rules/edit`: changes it.
pub(crate) async fn make(desk: Desk, posted: Posted<Said>) -> HttpResponse {
    desk.answer(change(&desk, &posted.form).await)
}

fn rule_of(said: &Said) -> Result<Rule, Fault> {
    let target = said.get("rule").map(String::as_str).unwrap_or_default();
    Rule::from_target(target).ok_or(Fault::NoPage)
}

async fn form(desk: &Desk, said: &Said) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let rule = rule_of(said)?;
    let sheet = Sheet::of(desk, &grant, rule).await?;
    let asked = said.len() > 1;
    let wrong = if asked { check(&sheet, said) } else { vec![] };
    let verb = if sheet.is_new { "Add" } else { "Change" };
    let title = format!("{verb} {}", rule.title());
    let body = html! {
        h1 { (title) }
        @if asked && wrong.is_empty() { (preview(desk, &sheet, said)) }
        (fields(&sheet, said, &wrong, asked))
        p { a href="/console/rules" { "Back to the rules, and change nothing" } }
    };
    Ok(Reply::page(Place::Rules, title, body))
}

fn fields(sheet: &Sheet, said: &Said, wrong: &[FieldError], asked: bool) -> Markup {
    let again = asked && wrong.is_empty();
    html! {
        @if again { h2 { "Something else" } }
        form class="filters" method="get" action="/console/rules/edit" {
            input type="hidden" name="rule" value=(sheet.rule.target());
            @for field in &sheet.fields { (input(field, said, wrong)) }
            div class="send" { button class=[(!again).then_some("primary")] { "See what would change" } }
        }
    }
}

fn input(field: &Field, said: &Said, wrong: &[FieldError]) -> Markup {
    let value = said.get(field.name).unwrap_or(&field.now);
    let fault = wrong.iter().find(|wrong| wrong.field == field.name);
    let id = format!("e-{}", field.name);
    html! {
        div {
            label for=(id) { (field.label) }
            @match field.shape {
                Shape::YesNo => select id=(id) name=(field.name) {
                    option value="yes" selected[value != "no"] { "Yes" }
                    option value="no" selected[value == "no"] { "No" }
                },
                Shape::Text | Shape::Decimal => input id=(id) name=(field.name) type="text" value=(value) autocomplete="off"
                    inputmode=[(field.shape == Shape::Decimal).then_some("decimal")]
                    aria-describedby={ "h-" (field.name) } aria-invalid=[fault.map(|_| "true")];,
            }
            p id={ "h-" (field.name) } class="hint" {
                @if let Some(fault) = fault { strong class="fault" { "This " (fault.detail) ". " } }
                (field.hint)
            }
        }
    }
}

/// What would change, and the row of the audit log that it makes.
fn preview(desk: &Desk, sheet: &Sheet, said: &Said) -> Markup {
    let changed =
        |field: &&Field| said.get(field.name).map(|text| text.trim()) != Some(field.now.as_str());
    let changes: Vec<&Field> = sheet.fields.iter().filter(changed).collect();
    if changes.is_empty() {
        return html! { p class="notice" { "It says that already: nothing would change." } };
    }
    let told = |text: &str| html! { @if text.is_empty() { span class="muted" { "nothing" } } @else { (text) } };
    html! {
        section aria-labelledby="would" {
            h2 id="would" { "This would change" }
            (wide("What would change", &html! {
                table class="list" {
                    thead { tr { th scope="col" { "Field" } th scope="col" { "Now" } th scope="col" { "From then on" } } }
                    tbody {
                        @for field in changes {
                            tr {
                                th scope="row" { (field.label) }
                                td { (told(&field.now)) }
                                td { strong { (told(said.get(field.name).map(|text| text.trim()).unwrap_or_default())) } }
                            }
                        }
                    }
                }
            }))
            p {
                "The audit log will say: " bdi { (desk.visitor.operator) } " did " code { (sheet.rule.action()) } " to "
                code { (sheet.rule.target()) } ", with " code { (desk.visitor.principal.origin.credential) } "."
            }
            form method="post" action="/console/rules/edit" class="acts" {
                (forms::csrf(&desk.visitor))
                input type="hidden" name="rule" value=(sheet.rule.target());
                input type="hidden" name="was" value=(sheet.digest());
                @for field in &sheet.fields {
                    input type="hidden" name=(field.name) value=(said.get(field.name).unwrap_or(&field.now));
                }
                button class="act primary" { b { "Make this change" } " " span { "It binds every transfer from the next one on." } }
            }
        }
    }
}

async fn change(desk: &Desk, said: &Said) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let rule = rule_of(said)?;
    let sheet = Sheet::of(desk, &grant, rule).await?;
    if said.get("was") != Some(&sheet.digest()) {
        return Err(Fault::Overtaken {
            now: html! { "Somebody else has changed " (rule.title()) " meanwhile." },
            link: rule.link().to_string(),
        });
    }
    let wrong = check(&sheet, said);
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong).into());
    }
    write(desk, &grant, rule, said).await?;
    Ok(Reply::done(Done::ChangedRule, "/console/rules"))
}

async fn write(desk: &Desk, grant: &Grant, rule: Rule, said: &Said) -> Result<(), Fault> {
    let app = desk.app();
    let text = |name: &str| said.get(name).map(|text| text.trim()).unwrap_or_default();
    let some = |name: &str| amount(text(name)).ok().flatten();
    let yes = |name: &str| text(name) == "yes";
    match rule {
        Rule::Asset(id) => {
            let asset = Asset {
                id,
                name: text("name").to_owned(),
                scale: scale(text("scale")).unwrap_or(Scale::MAX),
                can_deposit: yes("deposit"),
                can_withdraw: yes("withdraw"),
                can_transfer: yes("transfer"),
            };
            app.put_asset(grant, asset).await?;
        }
        Rule::Rate(id) => {
            let rate = rate(text("rate")).ok_or(Fault::BadAddress)?;
            app.put_rate(grant, id, rate, None).await?;
        }
        Rule::Fees(kind, asset) => {
            let fees = NewFees {
                percent: some("percent").unwrap_or(DecimalAmount::ZERO),
                min: some("min").unwrap_or(DecimalAmount::ZERO),
                max: some("max"),
                absolute: some("absolute").unwrap_or(DecimalAmount::ZERO),
            };
            app.put_fees(grant, kind, asset, fees).await?;
        }
        Rule::Limits(kind, asset) => {
            let limits = NewLimits {
                min_amount: some("min_amount"),
                max_amount: some("max_amount"),
                daily: some("daily"),
                monthly: some("monthly"),
                approval_above: some("approval_above"),
            };
            app.put_limits(grant, kind, asset, limits).await?;
        }
    }
    Ok(())
}

/// The fields that cannot be, each with what is wrong.
fn check(sheet: &Sheet, said: &Said) -> Vec<FieldError> {
    let faulty = |field: &Field| {
        let text = said
            .get(field.name)
            .map(|text| text.trim())
            .unwrap_or_default();
        let detail = match (sheet.rule, field.name) {
            (Rule::Asset(_), "name") if text.is_empty() || text.chars().count() > 100 => {
                "has 1 to 100 characters".to_owned()
            }
            (Rule::Asset(_), "scale") => match scale(text) {
                Some(_) => return None,
                None => "is a whole number from 0 to 18".to_owned(),
            },
            (Rule::Asset(_), _) => return None,
            (Rule::Rate(_), _) => match rate(text) {
                Some(_) => return None,
                None => "is a plain decimal number greater than zero".to_owned(),
            },
            (Rule::Fees(_, _) | Rule::Limits(_, _), name) => match amount(text) {
                Err(error) => error.to_string(),
                Ok(Some(amount)) if name != "percent" => {
                    amount.to_amount(sheet.scale).err()?.to_string()
                }
                Ok(_) => return None,
            },
        };
        Some(FieldError::new(
            field.name,
            format!("{}.invalid", field.name),
            detail,
        ))
    };
    sheet.fields.iter().filter_map(faulty).collect()
}

/// An amount, where nothing may be said and zero is a value.
fn amount(text: &str) -> Result<Option<DecimalAmount>, ParseAmountError> {
    if text.is_empty() {
        return Ok(None);
    }
    match DecimalAmount::parse(text) {
        Err(ParseAmountError::Zero) => Ok(Some(DecimalAmount::ZERO)),
        read => read.map(Some),
    }
}

fn scale(text: &str) -> Option<Scale> {
    Scale::try_new(text.parse().ok()?).ok()
}

/// Digits alone: an exponent would make a number of any size out of a few characters.
fn rate(text: &str) -> Option<BigDecimal> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let short = !text.is_empty() && text.len() <= RATE_MAX;
    let rate = (plain && short).then(|| BigDecimal::from_str(text).ok())?;
    rate.filter(|rate| *rate > 0)
}
