//! Word of what happens, as it happens.

use std::{pin::pin, time::Duration};

use actix_web::{App, HttpMessage, body::MessageBody, dev::Service, test};
use bursar_console::configure;
use bursar_domain::{Status, Version};
use bursar_ports::{Event, Happening, Step};
use bursar_testkit::fakes::locked;
use futures_util::future::poll_fn;

use crate::{
    browser::Browser,
    world::{ALICE, NOW, OLGA, World, operator},
};

#[actix_web::test]
async fn what_happens_is_told_in_one_line_from_where_the_page_was() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let transfer = world.transfer(id).await;
    let step = |number| Event {
        number,
        at: NOW,
        what: Happening::Step(Step {
            transfer: transfer.clone(),
            version: Version::FIRST,
            status: Status::Completed,
            reversed: false,
        }),
    };
    *locked(&world.events.events) = vec![step(1), step(2), step(3)];
    world.console.live().reach(3);
    let page = Browser::of(&world, operator(OLGA))
        .get("/console/queue")
        .await
        .ok();
    assert!(page.body.contains("<body data-after=\"3\">"));
    let console = world.console.clone();
    let app = App::new().configure(|service| configure(service, console));
    let service = test::init_service(app).await;
    let request = test::TestRequest::get()
        .uri("/console/events?after=1")
        .to_request();
    request.extensions_mut().insert(operator(OLGA));
    let response = service.call(request).await.expect("it answers");
    assert_eq!(
        response.headers().get("content-type").unwrap(),
        "text/event-stream"
    );
    let mut body = pin!(response.into_body());
    let mut text = String::new();
    let told =
        format!("id: 2\ndata: deposit.completed {id}\n\nid: 3\ndata: deposit.completed {id}\n\n");
    let read = async {
        while !text.contains(&told) {
            let piece = poll_fn(|context| body.as_mut().poll_next(context)).await;
            let piece = piece.expect("the stream goes on");
            let Ok(piece) = piece else {
                panic!("the stream can be read");
            };
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert!(read.is_ok(), "{text}");
    world.console.live().end();
}
