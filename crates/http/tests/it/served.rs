//! The server itself, over real connections.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use actix_web::{dev::ServerHandle, rt};
use bursar_http::Listeners;

use crate::world::{ALICE, DEPOSIT, OPERATOR, World};

/// Serves a world on a port of its own.
fn serve(world: &World) -> (ServerHandle, SocketAddr) {
    let (handle, addresses) = serve_on(world, None);
    let address = addresses.first().copied();
    (handle, address.expect("one listener has one address"))
}

/// The same, with another one for operators.
fn serve_on(world: &World, operators: Option<TcpListener>) -> (ServerHandle, Vec<SocketAddr>) {
    let listeners = Listeners {
        clients: free_port(),
        operators,
    };
    let (server, addresses) =
        bursar_http::server(&world.config, world.state.clone(), listeners, |_| {})
            .expect("the listeners can be used");
    let handle = server.handle();
    rt::spawn(server);
    (handle, addresses)
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port is free")
}

/// Sends bytes, optionally keeps the connection open, and reads to the end.
async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> String {
    let talk = move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&bytes)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = actix_web::web::block(talk).await.expect("the thread ends");
    answer.expect("the server answers")
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

#[actix_web::test]
async fn a_deposit_over_a_real_connection() {
    let world = World::new();
    let (handle, address) = serve(&world);
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":1}}"#);
    let headers = "Content-Type: application/json\r\nX-Request-Id: over-tcp\r\n";
    let answer = exchange(address, request(&format!("POST {DEPOSIT}"), headers, &body)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: over-tcp\r\n"), "{answer}");
    assert!(answer.contains(r#"{"id":1,"asset":"btc","#), "{answer}");
    handle.stop(true).await;
    assert!(
        TcpStream::connect(address).is_err(),
        "the port is still open"
    );
}

#[actix_web::test]
async fn a_megabyte_is_refused_and_the_refusal_arrives() {
    let world = World::new();
    let (handle, address) = serve(&world);
    let body = format!(r#"{{"amount":{}}}"#, "1".repeat(1_000_000));
    let headers = "Content-Type: application/json\r\n";
    let answer = exchange(address, request(&format!("POST {DEPOSIT}"), headers, &body)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body.too_large"), "{answer}");
    handle.stop(true).await;
}

/// Nobody waits for the rest of a bulk of which it is known that it will be refused.
#[actix_web::test]
async fn a_stranger_is_answered_before_its_bulk_has_arrived() {
    let world = World::new();
    let (handle, address) = serve(&world);
    for length in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let head = format!(
            "POST /internal-transfer/bulk HTTP/1.1\r\nHost: x\r\n\
             Content-Type: application/json\r\n{length}\r\n\r\n"
        );
        let begun = " ".repeat(100_000);
        let begun = if length.ends_with("chunked") {
            format!("F4240\r\n{begun}")
        } else {
            begun
        };
        let answer = exchange(address, format!("{head}{begun}").into_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{length}: {answer}");
        assert!(answer.contains("credentials.missing"), "{length}: {answer}");
    }
    handle.stop(true).await;
}

#[actix_web::test]
async fn a_body_that_never_comes_does_not_hold_the_connection() {
    let mut world = World::new();
    world.config.body_read_timeout = Duration::from_millis(50);
    let (handle, address) = serve(&world);
    let head = format!(
        "POST {DEPOSIT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{"
    );
    let answer = exchange(address, head.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("body.timeout"), "{answer}");
    handle.stop(true).await;
}

/// The status that a path is answered with.
async fn status_at(address: SocketAddr, path: &str) -> String {
    let answer = exchange(address, request(&format!("GET {path}"), "", "")).await;
    let status = answer.split(' ').nth(1);
    status.expect("an answer begins with its status").to_owned()
}

#[actix_web::test]
async fn what_is_for_operators_may_have_a_listener_of_its_own() {
    let world = World::new();
    let (handle, addresses) = serve_on(&world, Some(free_port()));
    let &[clients, operators] = addresses.as_slice() else {
        panic!("{addresses:?}");
    };
    for path in ["/admin/v1/stops", "/metrics", "/docs/"] {
        assert_eq!(status_at(clients, path).await, "404", "{path}");
        assert_eq!(status_at(operators, path).await, "200", "{path}");
    }
    for path in [
        "/health/live",
        "/openapi.json",
        "/back-api/api/v2/transfers",
    ] {
        assert_eq!(status_at(clients, path).await, "200", "{path}");
        assert_eq!(status_at(operators, path).await, "200", "{path}");
    }
    handle.stop(true).await;
}

/// A rule of a proxy for `/admin` knows it by these letters alone.
#[actix_web::test]
async fn what_is_for_operators_is_found_under_its_plain_name_alone() {
    let world = World::new();
    let (handle, address) = serve(&world);
    assert_eq!(status_at(address, "/admin/v1/stops").await, "200");
    for path in [
        "/%61dmin/v1/stops",
        "/admin%2Fv1/stops",
        "//admin/v1/stops",
        "/./admin/v1/stops",
        "/m%65trics",
        // No text of the database could be it.
        "/admin/v1/operators/%00/sessions",
    ] {
        assert_eq!(status_at(address, path).await, "404", "{path}");
    }
    handle.stop(true).await;
}
