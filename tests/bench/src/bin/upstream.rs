//! An upstream that costs next to nothing: answers every POST with one small result.
//! `upstream LISTEN`

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BODY: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"{\"success\":true}"}]}}"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or_default()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut held = Vec::new();
    loop {
        while let Some(length) = request_length(&held) {
            held.drain(..length);
            stream.write_all(answer.as_bytes()).await?;
        }
        if stream.read_buf(&mut held).await? == 0 {
            return Ok(());
        }
    }
}

/// The length of the whole request at the beginning of `held`, once it is there.
fn request_length(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&held[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|l| l.strip_prefix("content-length:"));
    let length = length.map_or(0, |l| l.trim().parse().unwrap_or(0));
    (held.len() >= head + length).then_some(head + length)
}
