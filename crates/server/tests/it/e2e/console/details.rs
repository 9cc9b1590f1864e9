//! Rows of transfers that open to what is looked for first, and close again.

use serde_json::json;

use super::{super::receiver::Receiver, at_work::Office, browser::operator, chromium::Window};

const ENTER: &str = "\u{E007}";
const TAB: &str = "\u{E004}";
const ESCAPE: &str = "\u{E00C}";

fn button(id: &str) -> String {
    format!("#rows tr[data-id=\"{id}\"] button.peek")
}

/// Whether a row is open, as its button says it: the row below it is the one that it names.
async fn is_open(window: &Window, id: &str) -> bool {
    let script = format!(
        "const button = document.querySelector('{}');
         const below = button.closest('tr').nextElementSibling;
         const named = document.getElementById(button.getAttribute('aria-controls'));
         const open = button.getAttribute('aria-expanded') === 'true';
         return [open, named !== null, below?.className === 'details' && (!open || below === named)];",
        button(id)
    );
    let said = window.run(&script).await;
    assert!(
        said == json!([true, true, true]) || said == json!([false, false, false]),
        "what is said and what is there differ: {said}"
    );
    said[0] == true
}

/// Where the focus is: on the button of a row, or below the row with this id.
async fn focus(window: &Window) -> String {
    let script = "
        const at = document.activeElement;
        const below = at.closest('tr.details');
        if (below) return `below ${below.previousElementSibling.dataset.id}`;
        return `${at.className} ${at.closest('tr')?.dataset.id}`;";
    window.run(script).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_row_opens_by_keyboard_to_what_is_looked_for_first_and_closes_again() {
    let office = Office::open().await;
    let receiver = Receiver::start().await;
    let first = office
        .withdrawal("12.50", Some(&receiver.url("/hook")))
        .await;
    receiver.expect("/hook", 1).await;
    let second = office.withdrawal("7", None).await;
    let anna = office.anna().await;
    anna.open("/console/transfers").await;
    anna.find(&button(&first)).await;
    assert!(!is_open(&anna, &first).await);
    // The newest stands first.
    anna.press("jj").await;
    assert_eq!(focus(&anna).await, format!("peek {first}"));
    anna.press(ENTER).await;
    anna.sees(&format!("The whole story of transfer {first}"))
        .await;
    for words in ["trader0@example.com", "12.5", "Delivered"] {
        anna.sees(words).await;
    }
    assert!(is_open(&anna, &first).await && !is_open(&anna, &second).await);
    assert_eq!(focus(&anna).await, format!("peek {first}"));
    // Tab goes on through the row to what opened, and Escape comes back out of it.
    for _ in 0..3 {
        anna.press(TAB).await;
    }
    assert_eq!(focus(&anna).await, format!("below {first}"));
    anna.press(ESCAPE).await;
    assert!(!is_open(&anna, &first).await);
    assert_eq!(focus(&anna).await, format!("peek {first}"));
    // What is open is no row of its own: k goes to the row above.
    anna.press(ENTER).await;
    assert!(is_open(&anna, &first).await);
    anna.press("k").await;
    assert_eq!(focus(&anna).await, format!("peek {second}"));
    anna.press("j").await;
    anna.press(ENTER).await;
    assert!(!is_open(&anna, &first).await);
    anna.assert_quiet().await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_row_opens_by_pointer_and_leads_to_the_whole_story() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    anna.open(&format!("/console/users/{}", office.alice().id))
        .await;
    anna.click(&button(&id)).await;
    anna.sees("Nobody was told.").await;
    // Times in it are told as the others on the page are.
    let untold = "return document.querySelectorAll('tr.details time:not([title])').length";
    assert_eq!(anna.run(untold).await, json!(0));
    anna.click(&button(&id)).await;
    assert!(!is_open(&anna, &id).await);
    anna.click(&button(&id)).await;
    anna.click("tr.details p a").await;
    anna.find(".story").await;
    assert_eq!(anna.path().await, format!("/console/transfers/{id}"));
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn what_cannot_be_shown_in_a_row_is_said_there() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    anna.open("/console/transfers").await;
    anna.find(&button(&id)).await;
    let out = operator(office.database.url(), &["disable", "anna"]).await;
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    anna.click(&button(&id)).await;
    anna.sees("This cannot be shown here now").await;
    anna.click("tr.details a").await;
    anna.sees("Sign in").await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn without_script_the_number_leads_to_the_same() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    anna.without_script().await;
    anna.open("/console/transfers").await;
    anna.click(&format!("#rows tr[data-id=\"{id}\"] th a"))
        .await;
    anna.find(".story").await;
    assert_eq!(anna.path().await, format!("/console/transfers/{id}"));
    anna.close().await;
    office.close().await;
}
