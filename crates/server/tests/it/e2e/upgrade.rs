//! The program of the release before and this one, one after the other and side by side, behind a
//! balancer at steady load: no request fails, whichever way replicas are replaced.
//!
//! `BURSAR_RELEASE_BEFORE` is that program, as `scripts/chaos` gives it.

use bursar_postgres::testing::TestDatabase;

use super::{
    exchange::Exchange,
    process::THIS,
    receiver::Receiver,
    rolling::{Plan, Scene, TRADERS},
    service::create_token_by,
    steady::Figures,
};

const REPLICAS: usize = 3;

/// The old program serves on the old schema and on the new one, which this one's first start makes of
/// it under load; and it comes back, as it does where a release is taken back.
#[tokio::test]
#[ignore = "needs the program of the release before"]
async fn a_release_takes_over_from_the_one_before_and_gives_back() {
    let before = std::env::var("BURSAR_RELEASE_BEFORE");
    let before = before.expect("BURSAR_RELEASE_BEFORE is the program of the release before");
    let plan = Plan::from_env();
    let database = TestDatabase::try_create_empty().await.unwrap();
    let mut scene = Scene::set_in(database, &before, REPLICAS, &[]).await;
    for place in 0..REPLICAS {
        scene.proxy.sends_to(place).await;
    }
    let admin = create_token_by(&before, scene.url(), "admin", "admin").await;
    let client = scene.proxy.client();
    let exchange = Exchange::open_by(admin, &client, TRADERS).await;
    exchange.fund_all(&client, "1000").await;
    let receiver = Receiver::start().await;
    let flow = scene.flow(&exchange, &receiver, "upgrade", &plan).await;
    for program in [THIS, &before, THIS] {
        program.clone_into(&mut scene.program);
        scene.restart_each(&flow.steady).await;
    }
    let mut figures = Figures::default();
    scene.none_failed(flow, &receiver, &mut figures).await;
    figures.save("upgrade", 3);
    scene.end().await;
}
