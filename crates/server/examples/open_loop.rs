//! Load that does not wait: requests begin at their times whether or not those before were answered, and a latency
//! counts from when a request was due. `open_loop ADDRESS PATH RATE SECONDS KEYS_FILE [CONNECTIONS]` prints one line of
//! JSON. Each line of the file is a request's body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

struct Plan {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    rate: f64,
    seconds: f64,
    connections: usize,
}

fn plan() -> Option<Plan> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, rate, seconds, file, rest @ ..] = arguments.as_slice() else { return None };
    let bodies = std::fs::read_to_string(file).ok()?;
    let request = |body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    Some(Plan {
        address: address.parse().ok()?,
        requests: bodies.lines().map(request).collect(),
        rate: rate.parse().ok()?,
        seconds: seconds.parse().ok()?,
        connections: rest.first().map_or(Some(64), |connections| connections.parse().ok())?,
    })
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the benchmark")]
async fn main() -> std::io::Result<()> {
    let Some(plan) = plan() else {
        eprintln!("open_loop ADDRESS PATH RATE SECONDS BODIES_FILE [CONNECTIONS]");
        std::process::exit(2);
    };
    let plan = Arc::new(plan);
    let (due, waiting) = async_channel(plan.connections);
    let (done, mut answered) = mpsc::unbounded_channel();
    for (place, waiting) in waiting.into_iter().enumerate() {
        tokio::spawn(client(plan.clone(), place, waiting, done.clone()));
    }
    drop(done);
    let begun = Instant::now();
    let count = (plan.rate * plan.seconds) as usize;
    let rate = plan.rate;
    // On a thread of its own: a runtime's timer wakes to the millisecond, a thread's sleep to some tens of microseconds.
    // What is late by that much is counted from its own time all the same.
    std::thread::spawn(move || {
        for number in 0..count {
            let at = begun + Duration::from_secs_f64(number as f64 / rate);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            due[number % due.len()].send((number, at)).ok();
        }
    });
    let (mut latencies, mut wrong) = (Vec::with_capacity(count), 0);
    while let Some((status, latency)) = answered.recv().await {
        if status == 200 { latencies.push(latency) } else { wrong += 1 }
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).map_or(0, Duration::as_micros);
    println!(
        "{{\"sent\": {count}, \"answered\": {}, \"not_200\": {wrong}, \"seconds\": {:.3}, \"p50_us\": {}, \"p90_us\": {}, \
         \"p99_us\": {}, \"p999_us\": {}, \"max_us\": {}}}",
        latencies.len(),
        begun.elapsed().as_secs_f64(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        latencies.last().map_or(0, Duration::as_micros)
    );
    Ok(())
}

type Due = (usize, Instant);

fn async_channel(count: usize) -> (Vec<mpsc::UnboundedSender<Due>>, Vec<mpsc::UnboundedReceiver<Due>>) {
    (0..count).map(|_| mpsc::unbounded_channel()).unzip()
}

/// One connection: what is due on it, one after the other.
async fn client(
    plan: Arc<Plan>,
    place: usize,
    mut due: mpsc::UnboundedReceiver<Due>,
    done: mpsc::UnboundedSender<(u16, Duration)>,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    while let Some((number, at)) = due.recv().await {
        let request = &plan.requests[(number.wrapping_mul(7919) + place) % plan.requests.len()];
        stream.write_all(request).await?;
        let mut read = 0;
        let status = loop {
            read += stream.read(&mut buffer[read..]).await?;
            if let Some(status) = whole(&buffer[..read]) {
                break status;
            }
        };
        done.send((status, at.elapsed())).ok();
    }
    Ok(())
}

/// The status, once head and body are there.
fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    (answer.len() >= end + 4 + length).then(|| head.split(' ').nth(1)?.parse().ok()).flatten()
}
