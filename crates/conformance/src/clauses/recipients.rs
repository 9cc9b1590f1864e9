//! §2, who a recipient is, and what a sender learns about it.

use serde_json::json;

use crate::{
    answer::{keys, text},
    clause::clauses,
    scene::{INTERNAL, NOBODY, Scene, User, send},
};

clauses! { "2.2 Recipients",
    "Documented: recipient's user ID or email; decision: or username": a_recipient_is_an_id_an_email_or_a_username
        = "`recipient` may be a user id, an email or a username.",
    "Decision: unique without regard to case": a_recipient_is_found_in_any_case
        = "Ids, emails and usernames are found in any case.",
    "Documented: `sender`, `recipient`: user ID": a_successful_transfer_names_both_ids
        = "After success `sender` and `recipient` are the users' ids, however they were given.",
    "Decision: an address is no way to an id without paying": an_unsuccessful_transfer_shows_the_recipient_as_typed
        = "Until it succeeds a recipient given by email or username is shown as typed.",
    "Decision: no oracle for who has an account": an_unknown_recipient_is_one_answer
        = "Unknown, frozen and terminated recipients are one answer: accepted, then `rejected` with `recipient.unavailable`.",
    "Decision: sender-side reasons first": the_senders_reasons_are_judged_first
        = "Without money the reason is `balance.insufficient`, whoever the recipient.",
    "Decision: nothing moves": an_unavailable_recipient_costs_nothing
        = "A transfer to an unavailable recipient leaves the sender's money where it was.",
    "Decision: usernames are unique without regard to case": usernames_and_emails_are_unique
        = "A username or email that another user has, in any case, is 422 `username.taken` or `email.taken`.",
    "Decision: a name resolves to one user": usernames_cannot_look_like_ids_or_emails
        = "A username with `@` is 400 `username.invalid`, one that is a user id 400 `username.is_id`.",
    "Documented: `recipient` is a required string": what_is_no_recipient_is_refused
        = "An empty recipient is 400 `recipient.missed`, one that is no text `recipient.invalid`.",
}

async fn a_recipient_is_an_id_an_email_or_a_username(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for name in [&other.id, &other.email, &other.name] {
        let answer = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "1", name))
            .await
            .ok();
        assert_eq!(answer.text("status"), "success", "{name}");
    }
    assert_eq!(scene.balance(&other, "BTC").await.0, "3.00000000");
}

async fn a_recipient_is_found_in_any_case(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for name in [&other.id, &other.email, &other.name] {
        let body = send("btc", "1", &name.to_uppercase());
        let answer = user.own.waiting().post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("status"), "success", "{name}");
    }
}

async fn a_successful_transfer_names_both_ids(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for name in [&other.id, &other.email, &other.name] {
        let answer = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "1", name))
            .await
            .ok();
        assert_eq!(answer.text("sender"), user.id);
        assert_eq!(answer.text("recipient"), other.id);
    }
}

async fn an_unsuccessful_transfer_shows_the_recipient_as_typed(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    for name in [&other.email, &other.name, &other.email.to_uppercase()] {
        let pending = user.own.post(INTERNAL, send("btc", "9", name)).await.ok();
        assert_eq!(pending.text("recipient"), **name);
        let rejected = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "9", name))
            .await
            .ok();
        assert_eq!(rejected.text("recipient"), **name);
        let path = format!("{INTERNAL}/{}", rejected.text("code"));
        assert_eq!(user.own.get(&path).await.ok().text("recipient"), **name);
    }
}

/// Recipients who cannot receive, one of each kind.
async fn unable(scene: &Scene) -> Vec<String> {
    let (frozen, terminated) = (scene.user().await, scene.user().await);
    scene.put_user(&frozen, "Frozen").await;
    scene.put_user(&terminated, "Terminated").await;
    vec![
        NOBODY.to_owned(),
        "nobody@example.com".to_owned(),
        "nobody at all".to_owned(),
        frozen.id,
        frozen.email,
        terminated.name,
    ]
}

async fn an_unknown_recipient_is_one_answer(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let mut shapes = vec![];
    for name in unable(&scene).await {
        let pending = user.own.post(INTERNAL, send("btc", "1", &name)).await.ok();
        assert_eq!(pending.text("status"), "pending", "{name}");
        let answer = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "1", &name))
            .await
            .ok();
        assert_eq!(
            answer.text("reason_code"),
            "recipient.unavailable",
            "{name}"
        );
        assert_eq!(answer.text("recipient"), name);
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        shapes.push((keys(&answer.text), answer.text("reason_message"), headers));
    }
    shapes.dedup();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
}

async fn the_senders_reasons_are_judged_first(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    for name in unable(&scene).await {
        let answer = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "2", &name))
            .await
            .ok();
        assert_eq!(answer.text("reason_code"), "balance.insufficient", "{name}");
    }
}

async fn an_unavailable_recipient_costs_nothing(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let answer = user
        .own
        .waiting()
        .post(INTERNAL, send("btc", "1", NOBODY))
        .await
        .ok();
    assert_eq!(answer.text("status"), "rejected");
    let whole = ("1.00000000".to_owned(), "0.00000000".to_owned());
    assert_eq!(scene.balance(&user, "BTC").await, whole);
}

/// What putting a user with this name and email answers.
async fn put(scene: &Scene, user: &User, name: &str, email: &str) -> crate::answer::Answer {
    let body = json!({"username": name, "email": email, "roles": [], "status": "Active"});
    let path = format!("/admin/v1/users/{}", user.id);
    scene.admin().put(&path, body).await
}

async fn usernames_and_emails_are_unique(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    for name in [other.name.clone(), other.name.to_uppercase()] {
        put(&scene, &user, &name, &user.email)
            .await
            .refused(422, "username.taken");
    }
    for email in [other.email.clone(), other.email.to_uppercase()] {
        put(&scene, &user, &user.name, &email)
            .await
            .refused(422, "email.taken");
    }
    // Nobody needs an email, so any number of users may have none.
    for user in [&user, &other] {
        let answer = put(&scene, user, &user.name, "").await.ok();
        assert_eq!(text(&answer.json(), "email"), "");
    }
}

async fn usernames_cannot_look_like_ids_or_emails(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    let answer = put(&scene, &user, "a@example.com", &user.email).await;
    answer.refused(400, "username.invalid");
    let answer = put(&scene, &user, &other.id, &user.email).await;
    answer.refused(400, "username.is_id");
}

async fn what_is_no_recipient_is_refused(scene: Scene) {
    let user = scene.user().await;
    let answer = user.own.post(INTERNAL, send("btc", "1", "")).await;
    answer.refused(400, "recipient.missed");
    let body = json!({"currency_code": "btc", "amount": 1, "recipient": 7});
    user.own
        .post(INTERNAL, body)
        .await
        .refused(400, "recipient.invalid");
}
