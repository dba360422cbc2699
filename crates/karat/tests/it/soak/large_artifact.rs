//! An artifact of 2 GB (200 MB in a usual run) up and down again, in memory that does not grow with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use fastrand::Rng;
use karat_test_support::s3_server::S3Server;

use super::is_long;
use super::server::Server;
use crate::mlflow::project;
use crate::small::put;

const MB: u64 = 1 << 20;
const FILE: &str = "/api/2.0/mlflow-artifacts/artifacts/1/x/artifacts/large.bin";
/// More than this the server's memory does not grow, whatever comes through.
const GROWTH: u64 = 64 * MB;

#[test]
fn a_large_artifact_passes_to_a_folder_in_flat_memory() {
    let project = project();
    passes(&Server::start(project.path()));
    let kept = project.path().join(".karat/artifacts/mlflow/1/x/artifacts/large.bin");
    assert_eq!(kept.metadata().unwrap().len(), length());
}

#[test]
fn a_large_artifact_passes_to_a_bucket_in_flat_memory() {
    let Some(s3) = S3Server::start("a_large_artifact_passes_to_a_bucket_in_flat_memory") else { return };
    s3.make_bucket("lake");
    let project = project();
    put(project.path(), "karat.yaml", "name: tracking\nstores: {artifacts: \"s3://lake/x\"}\n");
    passes(&Server::try_start_with(project.path(), &s3.variables()).unwrap());
    assert_eq!(s3.keys("lake"), ["x/1/x/artifacts/large.bin"]);
}

fn length() -> u64 {
    if is_long() { 2_000 * MB } else { 200 * MB }
}

#[expect(clippy::print_stdout, reason = "how near it comes")]
fn passes(server: &Server) {
    // What every server needs for its first files.
    up(server, 8 * MB);
    down(server, 8 * MB);
    let before = server.peak();
    up(server, length());
    let between = server.peak();
    down(server, length());
    let after = server.peak();
    println!("{} MB: {} MB at first, {} MB up, {} MB down", length() / MB, before / MB, between / MB, after / MB);
    assert!(after - before < GROWTH, "it grew by {} MB", (after - before) / MB);
}

/// A megabyte of a file, like no other of it.
fn block(number: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(number);
    let mut block = vec![0; MB as usize];
    rng.fill(&mut block);
    block
}

fn up(server: &Server, length: u64) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(stream, "PUT {FILE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        .unwrap();
    for number in 0..length / MB {
        stream.write_all(&block(number)).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

fn down(server: &Server, length: u64) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(stream, "GET {FILE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(answer.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.to_ascii_lowercase().contains(&format!("content-length: {length}\r\n")), "{head}");
    let mut came = vec![0; MB as usize];
    for number in 0..length / MB {
        answer.read_exact(&mut came).unwrap();
        assert!(came == block(number), "megabyte {number} is another");
    }
    assert_eq!(answer.read(&mut came).unwrap(), 0);
}
