//! Runs a target over its corpus and mutations of it, the same ones every time; what makes it fail is kept as a file.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Target;
use crate::repository;

/// An input that takes longer is a defect as well.
const SLOWEST: Duration = Duration::from_secs(10);
const LONGEST: usize = 64 << 10;

/// How much is tried beyond the corpus.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// As many inputs as the target says, made from its name: the same ones every time.
    Usual,
    /// So long, beginning at a seed of the caller's.
    For { time: Duration, seed: u64 },
}

impl Budget {
    /// As `KARAT_FUZZ_SECONDS` and `KARAT_FUZZ_SEED` say; usual without the first.
    pub fn from_environment() -> Budget {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        match number("KARAT_FUZZ_SECONDS") {
            Some(seconds) => {
                let seed = number("KARAT_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
                Budget::For { time: Duration::from_secs(seconds), seed }
            }
            None => Budget::Usual,
        }
    }
}

/// The files of a target's corpus, in the order of their names.
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder("corpus", target)).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file of the corpus is readable")).collect()
}

/// How many inputs were tried. Panics with the place of the file that holds the input, when one fails.
pub fn drive(target: &Target, budget: Budget) -> u64 {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "fuzz/corpus/{} has no files: KARAT_BLESS=1 writes the first", target.name);
    corpus.iter().for_each(|input| attempt(target, input));
    let seed = match budget {
        Budget::Usual => u64::from(crc32fast::hash(target.name.as_bytes())),
        Budget::For { seed, .. } => seed,
    };
    let mut rng = Rng::with_seed(seed);
    let begun = Instant::now();
    let mut tried = corpus.len() as u64;
    loop {
        let done = match budget {
            Budget::Usual => tried >= u64::from(target.inputs),
            Budget::For { time, .. } => begun.elapsed() >= time,
        };
        if done {
            return tried;
        }
        attempt(target, &mutated(target, &corpus, &mut rng));
        tried += 1;
    }
}

fn attempt(target: &Target, input: &[u8]) {
    // A stack that overflows ends the process without a word: then this says on what.
    if std::env::var_os("KARAT_FUZZ_TRACE").is_some() {
        keep(target, "trace", input);
    }
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = begun.elapsed();
    if let Err(panic) = outcome {
        let path = keep(target, &format!("crash-{:08x}", crc32fast::hash(input)), input);
        let said =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
        let mut shown = String::new();
        input.iter().take(300).for_each(|byte| write!(shown, "{}", byte.escape_ascii()).expect("a string takes all"));
        panic!("{}: {}\ninput: {shown}\nkept in {}", target.name, said.unwrap_or_default(), path.display());
    }
    if took > SLOWEST {
        let path = keep(target, &format!("slow-{:08x}", crc32fast::hash(input)), input);
        panic!("{}: {took:?} for one input, kept in {}", target.name, path.display());
    }
}

/// Where cargo-fuzz keeps such files, too.
fn keep(target: &Target, name: &str, input: &[u8]) -> PathBuf {
    let folder = folder("artifacts", target);
    let path = folder.join(name);
    // Where it cannot be kept, the panic's message still shows its beginning.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input));
    path
}

fn folder(kind: &str, target: &Target) -> PathBuf {
    repository().join("fuzz").join(kind).join(target.name)
}

/// What a careless or malicious hand leaves anywhere.
const SHARDS: [&[u8]; 16] = [
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b"'",
    b"\xef\xbb\xbf",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"0",
    "ž\u{2028}".as_bytes(),
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\x7f",
];

fn mutated(target: &Target, corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..1 + rng.usize(..4) {
        let at = rng.usize(..=bytes.len());
        let end = (at + 1 + rng.usize(..32)).min(bytes.len());
        match rng.u8(..9) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + rng.usize(..6)));
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            4 if at < bytes.len() => bytes[at] = rng.u8(..),
            5 => {
                let shard = SHARDS[rng.usize(..SHARDS.len())];
                bytes.splice(at..at, shard.iter().copied());
            }
            6 => {
                let other = &corpus[rng.usize(..corpus.len())];
                let from = rng.usize(..=other.len());
                let to = (from + rng.usize(..200)).min(other.len());
                let instead = if rng.bool() { at..end } else { at..at };
                bytes.splice(instead, other[from..to].iter().copied());
            }
            _ if !target.words.is_empty() => {
                let word = target.words[rng.usize(..target.words.len())];
                let instead = if rng.bool() { word_at(&bytes, at) } else { at..at };
                bytes.splice(instead, word.bytes());
            }
            _ => bytes.insert(at, rng.u8(..)),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// The letters and digits around a place.
fn word_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let before = bytes[..at].iter().rev().take_while(|byte| inside(byte)).count();
    let after = bytes[at..].iter().take_while(|byte| inside(byte)).count();
    at - before..at + after
}
