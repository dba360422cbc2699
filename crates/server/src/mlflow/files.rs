//! A file as it leaves: whole, or one range of it, with a piece in memory at a time.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karat_history::files::FilesError;

use super::error::MlflowError;
use super::paths::Place;
use super::raw;

/// What a request asks for of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Range {
        first: u64,
        length: u64,
    },
    /// Behind its end.
    Nowhere,
}

/// The file at `place`, which clients know as `path`. A range counts where the file is still the one that was meant
/// (`if-range`); what is no range of bytes is passed over, several at once are answered with the whole.
pub async fn send(place: &Place, path: &str, headers: &HeaderMap) -> Result<Response, MlflowError> {
    let opened = place.store.open(&place.path).await.map_err(|error| match error {
        // As the client named it.
        FilesError::Missing { .. } => FilesError::Missing { path: path.to_owned() },
        FilesError::IsFolder { .. } => FilesError::IsFolder { path: path.to_owned() },
        other => other,
    })?;
    let (length, mark) = (opened.bytes, opened.mark.clone());
    let (status, first, sent) = match part(headers, length, &mark) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Range { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
        Part::Nowhere => return Ok(nowhere(length)),
    };
    let pieces = opened.read(first..first + sent).await?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut response = raw(status, HeaderValue::from_static(kind(name)), Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(name));
    if let Ok(mark) = HeaderValue::try_from(mark)
        && !mark.is_empty()
    {
        headers.insert(header::ETAG, mark);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        headers.insert(header::CONTENT_RANGE, content_range(&format!("{first}-{}", first + sent - 1), length));
    }
    Ok(response)
}

fn part(headers: &HeaderMap, length: u64, mark: &str) -> Part {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = match (text(header::RANGE), text(header::IF_RANGE)) {
        (Some(range), None) => range,
        (Some(range), Some(meant)) if meant.trim() == mark => range,
        _ => return Part::Whole,
    };
    range(asked, length).unwrap_or(Part::Whole)
}

/// Of `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH` (RFC 9110, 14.1.2).
fn range(asked: &str, length: u64) -> Option<Part> {
    let (unit, range) = asked.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // No sign, and nothing else that a number may have in Rust.
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, end) = match (first.is_empty(), last.is_empty()) {
        (true, _) => (length.saturating_sub(number(last)?), length),
        (false, true) => (number(first)?, length),
        (false, false) => {
            let (first, last): (u64, u64) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, length.min(last.saturating_add(1)))
        }
    };
    Some(match first < end {
        true => Part::Range { first, length: end - first },
        false => Part::Nowhere,
    })
}

fn nowhere(length: u64) -> Response {
    let problem = MlflowError::invalid(format!("the range begins behind the artifact's end: it has {length} bytes"));
    let mut response = (StatusCode::RANGE_NOT_SATISFIABLE, problem.json()).into_response();
    response.headers_mut().insert(header::CONTENT_RANGE, content_range("*", length));
    response
}

fn content_range(part: &str, length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes {part}/{length}")).expect("digits, `-`, `*` and `/` are fit for a header")
}

/// As browsers and clients expect it of a name; never anything that a browser would run.
fn kind(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "json" => "application/json",
        "txt" | "log" | "md" | "py" | "yaml" | "yml" | "html" | "htm" | "svg" | "js" | "csv" | "tsv" => "text/plain",
        "" if name == "MLmodel" => "text/plain",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

fn disposition(name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let text = match plain == name {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let of = |first, length| Some(Part::Range { first, length });
        for (asked, expected) in [
            ("bytes=0-0", of(0, 1)),
            ("bytes=0-", of(0, 10)),
            ("bytes=3-5", of(3, 3)),
            ("Bytes = 3-5", of(3, 3)),
            ("bytes=7-99", of(7, 3)),
            ("bytes=9-", of(9, 1)),
            ("bytes=-3", of(7, 3)),
            ("bytes=-99", of(0, 10)),
            ("bytes=10-", Some(Part::Nowhere)),
            ("bytes=10-20", Some(Part::Nowhere)),
            ("bytes=-0", Some(Part::Nowhere)),
            ("bytes=0-18446744073709551615", of(0, 10)),
            // No ranges of bytes, or more than one.
            ("bytes=5-3", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=18446744073709551616-", None),
            ("rows=0-1", None),
            ("bytes", None),
            ("", None),
        ] {
            assert_eq!(range(asked, 10), expected, "{asked}");
        }
        assert_eq!(range("bytes=0-", 0), Some(Part::Nowhere));
        assert_eq!(range("bytes=-5", 0), Some(Part::Nowhere));
    }

    #[test]
    fn a_range_counts_only_of_the_file_that_was_meant() {
        let asked = |meant: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=1-2"))]);
            headers.extend(meant.map(|mark| (header::IF_RANGE, HeaderValue::from_static(mark))));
            part(&headers, 10, "\"a-1\"")
        };
        let range = Part::Range { first: 1, length: 2 };
        assert_eq!((asked(None), asked(Some("\"a-1\"")), asked(Some("\"a-2\""))), (range, range, Part::Whole));
        assert_eq!(asked(Some("Sun, 22 Nov 2026 09:00:00 GMT")), Part::Whole);
    }
}
