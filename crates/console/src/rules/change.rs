//! Changing a rule: the form, what would change, and the change.

use actix_web::{HttpResponse, web};
use bursar_app::{Error, FieldError};
use bursar_ports::Permission;
use maud::{Markup, html};

use super::{
    rule::Rule,
    sheet::{Field, Said, Shape, Sheet},
    wanted::Wanted,
};
use crate::{
    Posted,
    desk::{Desk, Reply},
    fault::Fault,
    flash::Done,
    forms,
    layout::{Place, wide},
};

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
    let said = sheet.completed(said);
    let wrong = if asked {
        Wanted::read(desk, &sheet, &said).err().unwrap_or_default()
    } else {
        vec![]
    };
    let verb = if sheet.is_new() { "Add" } else { "Change" };
    let title = format!("{verb} {}", rule.title());
    let body = html! {
        h1 { (title) }
        @if asked && wrong.is_empty() { (preview(desk, &sheet, &said)) }
        (fields(&sheet, &said, &wrong, asked))
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
    let value = said.get(field.name).map(String::as_str).unwrap_or_default();
    let fault = wrong.iter().find(|wrong| wrong.field == field.name);
    let id = format!("e-{}", field.name);
    html! {
        div {
            label for=(id) { (field.label) }
            @match field.shape {
                Shape::YesNo => select id=(id) name=(field.name) aria-describedby={ "h-" (field.name) } aria-invalid=[fault.map(|_| "true")] {
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
    let changed = |field: &&Field| said.get(field.name) != Some(&field.now);
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
                                td { strong { (told(said.get(field.name).map(String::as_str).unwrap_or_default())) } }
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
                @for (field, text) in said { input type="hidden" name=(field) value=(text); }
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
        return overtaken(desk, &sheet, said);
    }
    let wanted = Wanted::read(desk, &sheet, &sheet.completed(said)).map_err(Error::Invalid)?;
    match wanted.put(desk, &grant, sheet.in_force).await {
        // What this replica knew was older than what another one has written.
        Err(Fault::App(Error::Overtaken)) => {
            let now = Sheet::of(desk, &grant, rule).await?;
            overtaken(desk, &now, said)
        }
        other => other.map(|()| done()),
    }
}

fn done() -> Reply {
    Reply::done(Done::ChangedRule, "/console/rules")
}

/// What the form was made of is no more. Where the rule says by now what was wanted, as for whoever
/// pressed twice, it is done.
fn overtaken(desk: &Desk, now: &Sheet, said: &Said) -> Result<Reply, Fault> {
    let wanted = Wanted::read(desk, now, &now.completed(said));
    if wanted.is_ok_and(|wanted| wanted.is_in_force(&now.in_force)) {
        return Ok(done());
    }
    Err(Fault::Overtaken {
        now: html! { "Somebody else has changed " (now.rule.title()) " meanwhile." },
        link: now.rule.link().to_string(),
    })
}
