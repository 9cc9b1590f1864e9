//! The server itself, over real connections.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use actix_web::{dev::ServerHandle, rt};

use crate::world::{ALICE, DEPOSIT, OPERATOR, World};

/// Serves a world on a port of its own.
fn serve(world: &World) -> (ServerHandle, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (server, addresses) =
        bursar_http::server(&world.config, world.state.clone(), vec![listener], |_| {})
            .expect("the listener can be used");
    let handle = server.handle();
    rt::spawn(server);
    let address = addresses.first().copied();
    (handle, address.expect("one listener has one address"))
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
