//! Names: what is looked up is judged as a whole, once, and is what is connected to.

use std::{net::IpAddr, sync::Arc};

use bursar_callback::{Connections, HttpNotifier, NotifierConfig};
use bursar_ports::{Notifier, Undelivered};

use crate::{
    receiver::{Receiver, Script},
    scene::{
        BRIEF, NAME, Names, Outcome, Says, config, config_with_port, delivered, no_trust,
        notification, says,
    },
};

/// A receiver over plain http, by a name that is a developer's.
struct Scene {
    receiver: Receiver,
    names: Arc<Names>,
    notifier: HttpNotifier,
}

impl Scene {
    async fn set(answers: &[Says]) -> Self {
        let mut config = config();
        config.urls.http_hosts = vec![NAME.to_owned()];
        Self::with(config, answers).await
    }

    async fn with(config: NotifierConfig, answers: &[Says]) -> Self {
        let names = Names::of(NAME, answers);
        Self {
            receiver: Receiver::start(Script::answer("200 OK", "", "").repeated()).await,
            notifier: HttpNotifier::with(config, names.clone(), no_trust()),
            names,
        }
    }

    async fn attempt(&self) -> Outcome {
        let url = format!("http://{NAME}:{}/", self.receiver.port());
        self.notifier.notify(notification(url)).await
    }

    fn connections(&self) -> Connections {
        self.notifier.connections()
    }
}

#[tokio::test]
async fn the_address_that_was_looked_up_is_the_one_that_is_called() {
    let mut scene = Scene::set(&[says(&["127.0.0.1"])]).await;
    assert_eq!(scene.attempt().await, delivered(200));
    let request = scene.receiver.request().await;
    let host = format!("host: {NAME}:{}", scene.receiver.port());
    assert!(request.contains(&host), "{request}");
    assert_eq!(scene.names.asked(), 1);
}

#[tokio::test]
async fn an_unknown_name_is_told_as_such() {
    for answer in [Says::Unknown, Says::Nothing] {
        let scene = Scene::set(&[answer]).await;
        assert_eq!(scene.attempt().await, Err(Undelivered::Dns));
        assert_eq!(scene.connections(), Connections::default());
    }
    // The system's own resolver says so too.
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier
        .notify(notification("https://nowhere.invalid/".to_owned()))
        .await;
    assert_eq!(outcome, Err(Undelivered::Dns));
}

#[tokio::test]
async fn a_slow_name_server_is_not_waited_for() {
    let mut config = config();
    config.urls.http_hosts = vec![NAME.to_owned()];
    config.resolve_timeout = BRIEF;
    let scene = Scene::with(config, &[Says::Hang, says(&["127.0.0.1"])]).await;
    assert_eq!(scene.attempt().await, Err(Undelivered::Dns));
    assert_eq!(scene.attempt().await, delivered(200));
}

#[tokio::test]
async fn a_name_that_turns_inwards_is_looked_up_again_and_refused() {
    let mut config = config();
    config.urls.http_hosts = vec![NAME.to_owned()];
    config.urls.allow_cidrs = vec!["127.0.0.1".parse().unwrap()];
    // What is allowed first plays the public address; then the name is bound anew.
    for inner in [
        "127.0.0.2",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.2",
    ] {
        let answers = [says(&["127.0.0.1"]), says(&[inner]), says(&["127.0.0.1"])];
        let scene = Scene::with(config.clone(), &answers).await;
        assert_eq!(scene.attempt().await, delivered(200));
        assert_eq!(scene.attempt().await, Err(Undelivered::Denied), "{inner}");
        assert_eq!(scene.attempt().await, delivered(200));
        assert_eq!(scene.names.asked(), 3);
        assert_eq!(
            scene.connections(),
            Connections {
                begun: 2,
                denied: 1
            }
        );
        assert_eq!(scene.receiver.connections(), 2);
    }
}

/// Between judging and connecting nobody asks again: a server that says something else each time
/// gains nothing.
#[tokio::test]
async fn a_name_that_changes_with_every_question_is_asked_once() {
    let mut config = config();
    config.urls.http_hosts = vec![NAME.to_owned()];
    config.urls.allow_cidrs = vec!["127.0.0.1".parse().unwrap()];
    let answers = [
        says(&["127.0.0.1"]),
        says(&["127.0.0.2"]),
        says(&["127.0.0.2"]),
    ];
    let scene = Scene::with(config, &answers).await;
    assert_eq!(scene.attempt().await, delivered(200));
    assert_eq!(scene.names.asked(), 1);
}

#[tokio::test]
async fn one_inner_address_among_public_ones_refuses_the_name() {
    for answer in [
        &["8.8.8.8", "127.0.0.2"][..],
        &["10.1.2.3", "8.8.8.8"],
        &["2606:4700::1111", "::1", "8.8.8.8"],
        &["8.8.8.8", "fe80::1"],
        &["8.8.8.8", "1.1.1.1", "168.63.129.16"],
        &["8.8.8.8", "64:ff9b::7f00:1"],
    ] {
        let port = 8_443;
        let names = Names::of(NAME, &[says(answer)]);
        let strict = NotifierConfig::default();
        let notifier = HttpNotifier::with(strict, names, no_trust());
        let url = format!("https://{NAME}:{port}/");
        let outcome = notifier.notify(notification(url)).await;
        assert_eq!(outcome, Err(Undelivered::Denied), "{answer:?}");
        assert_eq!(
            notifier.connections(),
            Connections {
                begun: 0,
                denied: 1
            }
        );
    }
}

#[tokio::test]
async fn more_than_sixteen_addresses_are_a_trick() {
    let many = |count| Says::Addresses(vec![IpAddr::from([127, 0, 0, 1]); count]);
    let scene = Scene::set(&[many(16), many(17), many(100_000)]).await;
    assert_eq!(scene.attempt().await, delivered(200));
    for _ in 0..2 {
        assert_eq!(scene.attempt().await, Err(Undelivered::Denied));
    }
    assert_eq!(
        scene.connections(),
        Connections {
            begun: 1,
            denied: 2
        }
    );
}

#[tokio::test]
async fn nobody_at_the_address_is_no_connection() {
    let url = Receiver::start(Script::silent()).await.gone().await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Connect));
}

/// `localhost` has two addresses on many machines, and a receiver that listens on one of them.
#[tokio::test]
async fn when_nobody_is_at_the_first_address_the_other_family_is_tried_once() {
    for (answer, outcome, begun) in [
        (&["::1", "127.0.0.1"][..], delivered(200), 2),
        (&["127.0.0.1", "::1"], delivered(200), 1),
        (&["127.0.0.2", "127.0.0.1"], Err(Undelivered::Connect), 1),
        (
            &["127.0.0.2", "127.0.0.3", "::1"],
            Err(Undelivered::Connect),
            2,
        ),
    ] {
        let scene = Scene::set(&[says(answer)]).await;
        assert_eq!(scene.attempt().await, outcome, "{answer:?}");
        assert_eq!(scene.connections().begun, begun, "{answer:?}");
    }
}

#[tokio::test]
async fn bursar_does_not_call_itself() {
    let receiver = Receiver::start(Script::answer("200 OK", "", "")).await;
    let own = NotifierConfig {
        own_listeners: vec![receiver.address()],
        ..config()
    };
    let notifier = HttpNotifier::try_new(own).unwrap();
    let outcome = notifier.notify(notification(receiver.url())).await;
    assert_eq!(outcome, Err(Undelivered::Denied));
    let own = NotifierConfig {
        own_addresses: vec!["127.0.0.1".parse().unwrap()],
        ..config_with_port(receiver.port())
    };
    let names = Names::of(NAME, &[says(&["127.0.0.1"])]);
    let notifier = HttpNotifier::with(own, names, no_trust());
    let url = format!("https://{NAME}:{}/", receiver.port());
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Denied));
    assert_eq!(receiver.connections(), 0);
}
