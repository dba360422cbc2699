//! The demo's own request to its own server: one HTTP/1.1 exchange.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Posts JSON and gives the answer's JSON; anything but 200 is an error with what the server said.
pub async fn post(address: std::net::SocketAddr, path: &str, body: &str) -> Result<Json> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let (status, body) = parse(&answer)?;
    if status != 200 {
        bail!("the server answered {status}: {}", String::from_utf8_lossy(body));
    }
    serde_json::from_slice(body).context("the answer is no JSON")
}

/// The status and the body of an answer that ended with its connection.
fn parse(answer: &[u8]) -> Result<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("the answer has no headers")?;
    let head = std::str::from_utf8(&answer[..end]).context("the answer's headers are no text")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let status = status.context("the answer has no status")?;
    let header = |wanted: &str| {
        let named = |line: &str| {
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| v.trim().to_owned())
        };
        head.lines().skip(1).find_map(named)
    };
    let body = &answer[end + 4..];
    match header("content-length").map(|length| length.parse::<usize>()) {
        Some(Ok(length)) if body.len() == length => Ok((status, body)),
        Some(_) => bail!("the answer was cut short"),
        None => bail!("the answer does not say how long it is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(answer).unwrap(), (404, b"{}".as_slice()));
        for broken in ["", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\n{}", "x\r\n\r\n"] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
