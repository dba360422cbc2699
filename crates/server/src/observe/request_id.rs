use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not the client's to put into every line of a log.
const LONGEST: usize = 128;

/// Names one request in answers and log lines: the client's `x-request-id` where it is printable, else one of ours.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    pub fn of(headers: &HeaderMap) -> RequestId {
        let is_fit = |id: &[u8]| !id.is_empty() && id.len() <= LONGEST && id.iter().all(u8::is_ascii_graphic);
        match headers.get(HEADER).filter(|id| is_fit(id.as_bytes())) {
            Some(id) => RequestId(id.clone()),
            None => {
                let made = HeaderValue::from_str(new(&mut [0; 32]));
                RequestId(made.expect("hexadecimal digits make a header"))
            }
        }
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("it is printable")
    }

    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// 128 random bits, which need not be secret, as W3C's trace ids are written.
fn new(text: &mut [u8; 32]) -> &str {
    let bits = fastrand::u128(1..);
    for (place, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(bits >> (124 - 4 * place)) as usize & 15];
    }
    std::str::from_utf8(text).expect("hexadecimal digits are text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ids_are_kept_and_others_replaced() {
        let of = |given: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(given).unwrap());
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of(b"order-17/a"), "order-17/a");
        for unfit in [b"".as_slice(), b"two words", &[b'x'; 129], b"caf\xc3\xa9"] {
            let made = of(unfit);
            assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
        }
        assert_ne!(of(b""), of(b""));
    }
}
