//! Sign-ins at the provider that open nothing, whoever tries them.

use bursar_testkit::identity_provider::{CLIENT_SECRET, Signature};
use serde_json::json;

use super::{
    super::{super::issuer::now, READER},
    CALLBACK, PROVIDER, Scene, come_back, refused,
};

#[tokio::test]
async fn what_was_not_begun_in_this_browser_opens_nothing() {
    let scene = Scene::new().await;
    let not_begun = "was not begun in this browser";
    let mut attacker = scene.browser();
    // Somebody who would have others act in the attacker's session sends them where it ends.
    let theirs = scene.at_the_provider(&mut attacker, "").await;
    let mut nobody = scene.browser();
    refused(come_back(&mut nobody, &theirs).await, 403, not_begun);
    let mut victim = scene.browser();
    scene.at_the_provider(&mut victim, "").await;
    let began = victim.cookies[PROVIDER].clone();
    refused(come_back(&mut victim, &theirs).await, 403, not_begun);
    assert!(!victim.cookies.contains_key(PROVIDER));
    for path in [
        CALLBACK.to_owned(),
        format!("{CALLBACK}?code=code-1"),
        format!("{CALLBACK}?code=code-1&state="),
        format!("{CALLBACK}?state=x&error=access_denied"),
        theirs.replace("state=", "state=x&state="),
    ] {
        victim.cookies.insert(PROVIDER.to_owned(), began.clone());
        refused(come_back(&mut victim, &path).await, 403, not_begun);
    }
    // Two cookies are none: somebody has meddled with them.
    let own = scene.at_the_provider(&mut victim, "").await;
    let twice = format!("{began}; {PROVIDER}={}", victim.cookies[PROVIDER]);
    victim.cookies.insert(PROVIDER.to_owned(), twice);
    refused(come_back(&mut victim, &own).await, 403, not_begun);
    // The provider was never asked, and the attacker's own code is good still.
    assert_eq!(scene.server.redeemed(), [""; 0]);
    come_back(&mut attacker, &theirs).await.is(200);
    assert!(attacker.is_in().await && !victim.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn nobody_but_the_sign_in_page_begins_one() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    let page = browser.get("/console/sign-in/provider").await;
    page.leads_to("/console/sign-in?next=%2Fconsole%2Fsign-in%2Fprovider");
    let form = browser.get("/console/sign-in").await.is(200);
    let csrf = form.hidden("csrf");
    for csrf in ["", "x"] {
        let fields = [("csrf", csrf)];
        let page = browser.post("/console/sign-in/provider", &fields).await;
        assert!(page.is(403).text.contains("out of date"));
    }
    let (fields, elsewhere) = (
        [("csrf", csrf.as_str())],
        [("sec-fetch-site", "cross-site")],
    );
    let page = browser.post_with("/console/sign-in/provider", &fields, &elsewhere);
    page.await.is(403);
    let page = browser.post_with(CALLBACK, &fields, &elsewhere);
    page.await.is(403);
    assert!(!browser.cookies.contains_key(PROVIDER));
    // Who is in needs none.
    scene.sign_in(&mut browser).await.is(200);
    let page = browser
        .post("/console/sign-in/provider", &[("csrf", "x")])
        .await;
    page.leads_to("/console");
    scene.service.stopped().await;
}

#[tokio::test]
async fn what_is_not_the_provider_s_word_opens_nothing() {
    let scene = Scene::new().await;
    let not_accepted = "was not accepted.";
    let mut browser = scene.browser();
    let good = json!({});
    for (signature, claims) in [
        (Signature::AnotherKey, good.clone()),
        (Signature::PublicKeyAsSecret, good.clone()),
        (Signature::ClientSecret, good.clone()),
        (Signature::None, good.clone()),
        (Signature::Own, json!({"nonce": "another"})),
        (Signature::Own, json!({"aud": "another"})),
        (Signature::Own, json!({"iss": "https://evil.example"})),
        (Signature::Own, json!({"exp": now() - 61})),
    ] {
        scene.server.conduct(|conduct| {
            conduct.signature = signature;
            conduct.claims = claims.clone();
        });
        let page = scene.sign_in(&mut browser).await;
        refused(page, 401, not_accepted);
    }
    scene.server.conduct(|conduct| {
        conduct.signature = Signature::Own;
        conduct.claims = good;
        conduct.told_issuer = Some("https://evil.example".to_owned());
    });
    refused(scene.sign_in(&mut browser).await, 401, not_accepted);
    let issuer = scene.server.issuer().to_owned();
    scene
        .server
        .conduct(|conduct| conduct.told_issuer = Some(issuer));
    // A code that somebody else used before.
    let back = scene.at_the_provider(&mut browser, "").await;
    let thief = browser.clone();
    come_back(&mut browser, &back).await.is(200);
    refused(
        come_back(&mut thief.clone(), &back).await,
        401,
        not_accepted,
    );
    let log = scene.service.log();
    assert!(
        log.contains("the ID token: it is of another sign-in"),
        "{log}"
    );
    for secret in ["code-1", CLIENT_SECRET, "eyJ", "nobody-uses-this"] {
        assert!(!log.contains(secret), "{secret}");
    }
    scene.service.stopped().await;
}

#[tokio::test]
async fn whoever_is_refused_is_told_what_to_do() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    for (error, words) in [
        (
            "access_denied",
            "Example ID says that the sign-in was denied.",
        ),
        ("server_error", "Example ID could not sign you in."),
        ("<script>", "Example ID could not sign you in."),
    ] {
        scene
            .server
            .conduct(|conduct| conduct.error = Some(error.to_owned()));
        refused(scene.sign_in(&mut browser).await, 401, words);
    }
    scene.server.conduct(|conduct| {
        conduct.error = None;
        "stranger<b>".clone_into(&mut conduct.subject);
    });
    let page = scene.sign_in(&mut browser).await;
    assert!(page.text.contains(scene.server.issuer()), "{}", page.text);
    refused(
        page,
        403,
        "bursar operator link NAME --subject 'stranger&lt;b&gt;'",
    );
    scene
        .operator(&["link", "anna", "--subject", "subject-7"])
        .await;
    let taken = [
        "create",
        "ben",
        "--permission",
        READER,
        "--subject",
        "subject-7",
    ];
    let taken = scene.try_operator(&taken).await;
    assert!(
        taken.stderr.contains("subject: another operator"),
        "{}",
        taken.stderr
    );
    // A name at the provider is nobody's name here.
    let anna = "anna".to_owned();
    scene.server.conduct(|conduct| conduct.subject = anna);
    refused(
        scene.sign_in(&mut browser).await,
        403,
        "which operator you are",
    );
    scene
        .server
        .conduct(|conduct| conduct.token_answer = Some((500, String::new())));
    refused(
        scene.sign_in(&mut browser).await,
        503,
        "Example ID does not answer.",
    );
    scene.service.stopped().await;
}
