//! Where a store is: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`.

use ::redis::{ConnectionInfo, IntoConnectionInfo, parse_redis_url};
use karat_core::{ErrorKind, OnlineError};

const DEFAULT_PREFIX: &str = "karat";

/// Not `Debug`: it holds the password.
pub(super) struct Address {
    pub info: ConnectionInfo,
    /// What every key of the store begins with.
    pub prefix: String,
    /// For people: without user and password.
    pub place: String,
}

impl Address {
    pub fn parse(uri: &str) -> Result<Address, OnlineError> {
        let mut url = parse_redis_url(uri).ok_or_else(|| wrong("it is none"))?;
        if !matches!(url.scheme(), "redis" | "rediss") || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it is none"));
        }
        let mut prefix = DEFAULT_PREFIX.to_owned();
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "prefix" if is_prefix(&value) => prefix = value.into_owned(),
                "prefix" => return Err(wrong("a prefix is letters, digits, `_`, `-` and `.`")),
                _ => return Err(wrong(&format!("`{name}` is not known"))),
            }
        }
        url.set_query(None);
        let scheme = url.scheme().to_owned();
        // What the library says of a mistake may repeat what was written, and with it the password.
        let info = url.into_connection_info().map_err(|_| wrong("its database is no number, or its host no host"))?;
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
        let mut place = format!("{scheme}://{}/{}", info.addr(), info.redis_settings().db());
        if prefix != DEFAULT_PREFIX {
            place.push_str(&format!("?prefix={prefix}"));
        }
        Ok(Address { info, prefix, place })
    }
}

fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn wrong(what: &str) -> OnlineError {
    let message = format!(
        "the address of the online store is wrong ({what}): write \
         redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME], rediss:// for TLS"
    );
    OnlineError { kind: ErrorKind::Invalid, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_show_where_and_never_the_password() {
        let address = Address::parse("redis://ann:se%40cret@cache.example:6380/3?prefix=loans").unwrap();
        assert_eq!(
            (address.place.as_str(), address.prefix.as_str()),
            ("redis://cache.example:6380/3?prefix=loans", "loans")
        );
        assert_eq!(address.info.redis_settings().password(), Some("se@cret"));
        assert_eq!(Address::parse("rediss://cache").unwrap().place, "rediss://cache:6379/0");
        assert_eq!(Address::parse("redis://127.0.0.1").unwrap().prefix, "karat");
    }

    #[test]
    fn mistakes_are_named_and_never_the_password() {
        for (uri, what) in [
            ("unguessable", "it is none"),
            ("redis://", "it is none"),
            ("http://:unguessable@host", "it is none"),
            ("redis://:unguessable@host/first", "its database is no number"),
            ("redis://:unguessable@host/?prefix=a:b", "a prefix is"),
            ("redis://:unguessable@host/?prefix=", "a prefix is"),
            ("redis://:unguessable@host/?timeout=3", "`timeout` is not known"),
        ] {
            let error = Address::parse(uri).err().unwrap_or_else(|| panic!("{uri} is an address"));
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.message.contains(what) && !error.message.contains("unguessable"), "{uri}: {error}");
        }
    }
}
