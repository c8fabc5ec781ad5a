//! Clients that are slow, each in its own way, and what they may not do to others.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const BIG: usize = 8 << 20;

fn bounds() -> Bounds {
    let short = Duration::from_millis(100);
    Bounds { connections: 512, bytes: 64 << 20, head: short, body: short, answer: short }
}

fn long() -> Bounds {
    Bounds { head: PATIENCE, body: PATIENCE, answer: PATIENCE, ..bounds() }
}

/// An answer that is never over.
struct Endless;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

/// A service of a few paths within these bounds; what waits at `/gate` goes on with the semaphore.
async fn serving(bounds: Bounds) -> (SocketAddr, Arc<Semaphore>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let passes = Arc::clone(&gate);
    let router = Router::new()
        .route("/swallow", post(async || "taken"))
        .route("/big", get(async || "x".repeat(BIG)))
        .route("/endless", get(async || Body::new(Endless)))
        .route("/gate", get(async move || drop(passes.acquire().await)))
        .layer(from_fn(share))
        .layer(from_fn_with_state(1 << 20, take_body));
    tokio::spawn(run(listener, router, bounds, std::future::pending()));
    (address, gate)
}

/// A client whose kernel takes few bytes before it reads.
async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut client = connect(address).await;
    client.write_all(text.as_bytes()).await.unwrap();
    client
}

/// The status of the answer, or 0 where the connection ends before.
async fn status(client: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    match tokio::time::timeout(PATIENCE, client.read_exact(&mut line)).await.unwrap() {
        Ok(_) => String::from_utf8_lossy(&line[9..]).parse().unwrap(),
        Err(_) => 0,
    }
}

async fn ask(address: SocketAddr, path: &str, user: &str) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nX-User-ID: {user}\r\nX-Organization-ID: o\r\n\r\n");
    status(&mut send(address, &head).await).await
}

const PROMISED: &str = "POST /swallow HTTP/1.1\r\nContent-Length: 9999\r\n\r\n";
const CHUNKS: &str = "POST /swallow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_slow_client_is_cut_off_whatever_it_does_slowly() {
    let (address, _gate) = serving(bounds()).await;
    for (what, first, drop) in [
        ("nothing at all", "", ""),
        ("a head by the byte", "GET /big HTTP/1.1\r\nx: ", "y"),
        ("heads that are never whole", "", "\r\n"),
        ("nothing after an answer", "GET /nowhere HTTP/1.1\r\n\r\n", ""),
        ("a body that does not come", PROMISED, ""),
        ("a body by the byte", PROMISED, "y"),
        ("chunks", CHUNKS, "1\r\ny\r\n"),
        ("an answer that is not taken", "GET /big HTTP/1.1\r\n\r\n", "\r\n"),
        ("an endless answer that is not taken", "GET /endless HTTP/1.1\r\n\r\n", "\r\n"),
    ] {
        let mut client = send(address, first).await;
        let is_taken = !what.contains("answer that is not taken");
        let ended = async {
            let mut rest = [0; 1024];
            loop {
                if !drop.is_empty() && client.write_all(drop.as_bytes()).await.is_err() {
                    return;
                }
                let read = tokio::time::timeout(Duration::from_millis(20), client.read(&mut rest));
                if !is_taken {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else if let Ok(Ok(0) | Err(_)) = read.await {
                    return;
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "{what}: still connected");
    }
}

#[tokio::test]
async fn who_takes_a_big_answer_slowly_has_the_time_for_answers() {
    let (address, _gate) = serving(Bounds { answer: PATIENCE, ..bounds() }).await;
    let mut client = send(address, "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    let started = std::time::Instant::now();
    let (mut taken, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        // Far beyond the deadline for heads, which would be next.
        if started.elapsed() < SCAN * 4 {
            tokio::time::sleep(SCAN / 10).await;
        }
        match client.read(&mut piece).await.unwrap() {
            0 => break,
            more => taken += more,
        }
    }
    assert!(taken > BIG);
}

#[tokio::test]
async fn a_late_body_is_told() {
    let (address, _gate) = serving(bounds()).await;
    assert_eq!(status(&mut send(address, PROMISED).await).await, 408);
}

#[tokio::test]
async fn a_client_that_keeps_us_waiting_makes_room_for_one_that_does_not() {
    let (address, _gate) = serving(Bounds { connections: 4, ..long() }).await;
    for held in ["", "GET /", PROMISED, CHUNKS, "GET /nowhere HTTP/1.1\r\n\r\n"] {
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(send(address, held).await);
        }
        assert_eq!(ask(address, "/nowhere", "a").await, 404, "{held:?}");
    }
}

#[tokio::test]
async fn where_everybody_is_busy_the_next_is_told_and_served_later() {
    let (address, gate) = serving(Bounds { connections: 1, ..long() }).await;
    let gated = "GET /gate HTTP/1.1\r\n\r\n";
    let mut busy = send(address, gated).await;
    // Until its head is there, it may have to make room itself.
    while ask(address, "/nowhere", "a").await != 503 {
        busy = send(address, gated).await;
    }
    gate.add_permits(1);
    assert_eq!(status(&mut busy).await, 200);
    assert_eq!(ask(address, "/nowhere", "a").await, 404);
}

#[tokio::test]
async fn one_caller_takes_a_quarter_of_what_is_done_at_once() {
    let (address, gate) = serving(Bounds { connections: 16, ..long() }).await;
    let of = |user: &str| {
        format!("GET /gate HTTP/1.1\r\nX-User-ID: {user}\r\nX-Organization-ID: o\r\n\r\n")
    };
    let mut greedy = Vec::new();
    for _ in 0..4 {
        greedy.push(send(address, &of("greedy")).await);
    }
    while ask(address, "/nowhere", "greedy").await != 503 {}
    assert_eq!(ask(address, "/nowhere", "good").await, 404);
    // What is left behind is given back: by an answer, and by a client that leaves.
    drop(greedy.pop());
    while ask(address, "/nowhere", "greedy").await != 404 {}
    gate.add_permits(3);
    for client in &mut greedy {
        assert_eq!(status(client).await, 200);
    }
    assert_eq!(ask(address, "/nowhere", "greedy").await, 404);
}

#[tokio::test]
async fn bytes_that_are_held_for_long_make_room_for_others() {
    let (address, _gate) = serving(Bounds { bytes: BIG + 1000, ..long() }).await;
    let mut held = send(address, "GET /big HTTP/1.1\r\n\r\n").await;
    assert_eq!(status(&mut held).await, 200);
    let body = format!("{PROMISED}half of it");
    let mut half = send(address, &body).await;
    // Only one such answer has room at a time.
    let mut good = send(address, "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, good.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.len() > BIG);
    let mut rest = Vec::new();
    let is_cut = held.read_to_end(&mut rest).await.is_err() || rest.len() < BIG;
    assert!(is_cut, "the answer that nobody took is still there");
    drop(half.shutdown().await);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_before_it_comes() {
    let (address, _gate) = serving(long()).await;
    let head = "POST /swallow HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n";
    assert_eq!(status(&mut send(address, head).await).await, 413);
    let chunk = format!("{CHUNKS}100001\r\n{}", "x".repeat(0x10_0001));
    let mut client = connect(address).await;
    // It may be cut off before all is sent.
    drop(client.write_all(chunk.as_bytes()).await);
    assert!(matches!(status(&mut client).await, 413 | 0));
}

#[tokio::test]
async fn a_client_that_is_quick_is_not_cut_off() {
    let (address, _gate) = serving(long()).await;
    let body = "x".repeat(1 << 20);
    let whole = format!("POST /swallow HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut client = connect(address).await;
    for _ in 0..3 {
        client.write_all(whole.as_bytes()).await.unwrap();
        assert_eq!(status(&mut client).await, 200);
        let mut rest = String::new();
        while !rest.ends_with("taken") {
            let mut piece = [0; 1];
            client.read_exact(&mut piece).await.unwrap();
            rest.push(char::from(piece[0]));
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused() {
    let (address, _gate) = serving(long()).await;
    let head = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(40_000));
    let mut client = connect(address).await;
    drop(client.write_all(head.as_bytes()).await);
    assert!(matches!(status(&mut client).await, 431 | 0));
}

#[test]
fn what_was_taken_is_given_back() {
    let room = Arc::new(Room::new(long()));
    let seat = Seat::take(&room).unwrap();
    let handle = seat.handle();
    handle.is_asked();
    assert!(handle.holds_body(100) && handle.takes_share("a".to_owned()));
    assert!(handle.holds_answer(50));
    assert_eq!(room.held(), (1, 150, 1));
    handle.has_answered();
    assert_eq!(room.held(), (1, 50, 0), "it is still to be written");
    handle.has_written();
    assert_eq!(room.held(), (1, 0, 0));
    assert!(handle.holds_body(7) && handle.takes_share("a".to_owned()));
    drop(seat);
    assert_eq!(room.held(), (0, 0, 0));
    assert!(!handle.holds_body(1), "its connection is gone");
}
