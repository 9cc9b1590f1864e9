//! Users: finding one, what it has, stopping it, and its credentials.

use bursar_domain::{AccountKey, Kind, Limits, UserStatus};
use bursar_ports::{AccountBalance, Permission, Token, TokenHash};
use bursar_testkit::{build, fakes::locked};
use uuid::Uuid;

use crate::{
    browser::Browser,
    world::{ALICE, BOB, NOW, OLGA, OTTO, World, operator},
};

#[actix_web::test]
async fn a_user_is_found_by_a_part_of_its_name_or_by_its_id() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let text = browser.get("/console/users?q=lic").await.ok().text();
    assert!(
        text.contains("alice@example.com") && !text.contains("bob@"),
        "{text}"
    );
    let page = browser.get(&format!("/console/users?q={ALICE}")).await;
    assert_eq!(page.leads(), format!("/console/users/{ALICE}"));
    let text = browser.get("/console/users?q=nobody").await.ok().text();
    assert!(text.contains("Nobody is called like that."), "{text}");
}

#[actix_web::test]
async fn a_users_page_tells_what_it_has_and_may_still_move() {
    let world = World::new();
    let btc = build::asset_id("btc");
    *locked(&world.query.user_balances) = vec![AccountBalance {
        account: AccountKey::user(ALICE, btc),
        available: 123_456_789_012,
        held: 25_000_000,
        updated_at: NOW,
    }];
    world.rule_book.put(|rules| {
        let limits = Limits {
            daily: Some(build::amount(500_000_000)),
            ..Limits::default()
        };
        rules.limits.insert((Kind::Withdrawal, Some(btc)), limits);
    });
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    let text = page.text();
    assert!(text.contains("1234.56789012"), "{text}");
    assert!(text.contains("Withdrawal, BTC5 BTC of 5"), "{text}");
    assert!(page.body.contains("1<i>234</i>.567<i>890</i><i>12</i>"));
}

#[actix_web::test]
async fn a_user_is_frozen_and_let_go_on_with_a_reason() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    assert!(
        page.text()
            .contains("Nothing comes in or goes out from the moment you press it")
    );
    let path = format!("/console/users/{ALICE}/status");
    let silent = browser.press(&page, &path, &[("reason", " ")]).await;
    assert_eq!(silent.status, 400);
    let done = browser
        .press(&page, &path, &[("reason", "stolen phone")])
        .await;
    assert_eq!(done.leads(), format!("/console/users/{ALICE}"));
    assert_eq!(
        locked(&world.directory.users)[&ALICE].status,
        UserStatus::Frozen
    );
    let audit = locked(&world.directory.audited)[0].clone();
    assert_eq!((audit.action, audit.actor.as_str()), ("user.put", OLGA));
    assert!(audit.after.unwrap().contains("\"reason\":\"stolen phone\""));
    let again = browser.press(&page, &path, &[("reason", "twice")]).await;
    assert_eq!(again.leads(), done.leads(), "pressed twice, it is done");
    assert_eq!(
        locked(&world.directory.users)[&ALICE].status,
        UserStatus::Frozen
    );
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    browser
        .press(&page, &path, &[("reason", "found")])
        .await
        .leads();
    assert_eq!(
        locked(&world.directory.users)[&ALICE].status,
        UserStatus::Active
    );
}

/// What was changed meanwhile is not reverted, and what was terminated does not come back.
#[actix_web::test]
async fn freezing_changes_the_status_alone_and_only_the_one_that_was_shown() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let path = format!("/console/users/{ALICE}/status");
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    let email = "new@example.com".to_owned();
    locked(&world.directory.users)
        .get_mut(&ALICE)
        .unwrap()
        .email
        .clone_from(&email);
    let frozen = browser.press(&page, &path, &[("reason", "why")]).await;
    frozen.leads();
    let frozen = locked(&world.directory.users)[&ALICE].clone();
    assert_eq!((frozen.status, frozen.email), (UserStatus::Frozen, email));
    // Somebody else lets the user go on and freezes it again, which looks the same.
    let seen = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    let otto = Browser::of(&world, operator(OTTO));
    for status in [UserStatus::Active, UserStatus::Frozen] {
        let page = otto.get(&format!("/console/users/{ALICE}")).await.ok();
        otto.press(&page, &path, &[("reason", "why")]).await.leads();
        assert_eq!(locked(&world.directory.users)[&ALICE].status, status);
    }
    let late = browser.press(&seen, &path, &[("reason", "why")]).await;
    assert_eq!(late.status, 409);
    let text = late.text();
    assert!(
        text.contains("was stopped anew, and stays Frozen"),
        "{text}"
    );
    let stands = locked(&world.directory.users)[&ALICE].status;
    assert_eq!(stands, UserStatus::Frozen);
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    locked(&world.directory.users)
        .get_mut(&ALICE)
        .unwrap()
        .status = UserStatus::Terminated;
    let late = browser.press(&page, &path, &[("reason", "why")]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("The user is now Terminated."));
    let forged = [
        ("csrf", "token-of-olga"),
        ("was", "Terminated"),
        ("status", "Active"),
        ("reason", "why"),
    ];
    assert_eq!(browser.post(&path, &forged).await.status, 400);
}

/// Nobody lets a user go on without saying which freeze is to end.
#[actix_web::test]
async fn a_form_that_names_no_freeze_ends_none() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let path = format!("/console/users/{ALICE}/status");
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    browser
        .press(&page, &path, &[("reason", "why")])
        .await
        .leads();
    let forged = [
        ("csrf", "token-of-olga"),
        ("was", "Frozen"),
        ("status", "Active"),
        ("reason", "why"),
    ];
    let of_no_number = [&forged[..], &[("revision", "first")][..]].concat();
    for fields in [&forged[..], &of_no_number[..]] {
        assert_eq!(browser.post(&path, fields).await.status, 400);
        let stands = locked(&world.directory.users)[&ALICE].status;
        assert_eq!(stands, UserStatus::Frozen);
    }
}

#[actix_web::test]
async fn a_token_is_revoked() {
    let world = World::new();
    let id = Uuid::from_u128(9);
    locked(&world.credentials.tokens).push(Token {
        id,
        hash: TokenHash([0; 32]),
        subject: "alice-token".to_owned(),
        user: Some(ALICE),
        permissions: vec![Permission::AllowTransfer],
        created_at: NOW,
        expires_at: NOW,
        revoked_at: None,
    });
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/users/{ALICE}")).await.ok();
    assert!(page.text().contains("alice-token"));
    let done = browser
        .press(&page, &format!("/console/tokens/{id}/revoke"), &[])
        .await;
    assert_eq!(done.leads(), format!("/console/users/{ALICE}"));
    assert_eq!(locked(&world.credentials.tokens)[0].revoked_at, Some(NOW));
}

/// However many keys, tokens, assets and limits there are, each is on one of the pages.
#[actix_web::test]
async fn the_lists_of_a_user_go_on_on_other_pages() {
    let world = crate::crowd::crowded().await;
    let browser = Browser::of(&world, operator(OLGA));
    let of_list = async |list: &str, what: &str| {
        let mut found = 0;
        let mut next = Some(format!("/console/users/{BOB}"));
        while let Some(path) = next {
            let page = browser.get(&path).await.ok();
            found += page.body.matches(what).count();
            let document = page.document();
            let leads_on = format!("/console/users/{BOB}?{list}=");
            next = document
                .all("a")
                .filter_map(|(_, tag)| tag.attribute("href"))
                .find(|href| href.starts_with(&leads_on))
                .and_then(|href| href.split('#').next())
                .map(str::to_owned);
        }
        found
    };
    assert_eq!(of_list("key", "Access key <code>").await, 100);
    assert_eq!(of_list("token", ">Token <bdi>").await, 100);
    assert_eq!(of_list("limits", "Internal, ASSET-").await, 197);
    let balances = of_list("balances", "<th scope=\"row\">ASSET-").await;
    assert_eq!(balances, 197);
}
