//! Who a request comes from, by the token it carries.

use std::fmt;

use axum::http::{HeaderMap, StatusCode, header};
use karat_core::Digest;
use karat_project::spec::Server;

use crate::error::Problem;

/// The people of `server.people`.
pub struct People {
    /// Of tokens their digests, so that how long a comparison takes tells nothing about a token.
    known: Vec<(Digest, String)>,
}

impl From<&Server> for People {
    fn from(server: &Server) -> People {
        let known = server.people.iter().map(|(name, token)| (Digest::of(token.reveal()), name.clone()));
        People { known: known.collect() }
    }
}

impl People {
    /// Whose token the request carries, if anybody's.
    pub fn find(&self, headers: &HeaderMap) -> Option<&str> {
        let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = sent.split_once(' ')?;
        let digest = Digest::of(token.trim());
        let found = self.known.iter().find(|(known, _)| *known == digest);
        found.filter(|_| scheme.eq_ignore_ascii_case("bearer")).map(|(_, name)| name.as_str())
    }

    /// The same, of a request that somebody has to answer for.
    pub fn who(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let missing = || {
            let message = match self.known.is_empty() {
                true => "nobody is known here who may decide about models: `server.people` in karat.yaml names them",
                false => "send the token of one of `server.people`: `Authorization: Bearer TOKEN`",
            };
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        };
        self.find(headers).map(str::to_owned).ok_or_else(missing)
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|(_, name)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use karat_project::spec::Secret;

    use super::*;

    #[test]
    fn only_a_whole_token_is_somebodys() {
        let token = |text: &str| Secret::new(text.to_owned());
        let people = IndexMap::from([
            ("rita".to_owned(), token("0123456789abcdef")),
            ("otto".to_owned(), token("fedcba9876543210")),
        ]);
        let people = People::from(&Server { people, ..Server::default() });
        let who = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            people.find(&headers).map(str::to_owned)
        };
        assert_eq!(who("Bearer 0123456789abcdef").as_deref(), Some("rita"));
        assert_eq!(who("bearer fedcba9876543210").as_deref(), Some("otto"));
        for other in ["Bearer 0123456789abcde", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer ", "Bearer x"] {
            assert_eq!(who(other), None, "{other}");
        }
        assert_eq!(people.who(&HeaderMap::new()).unwrap_err().status, 401);
        let nobody = People::from(&Server::default()).who(&HeaderMap::new()).unwrap_err();
        assert!(nobody.status == 401 && nobody.detail.contains("server.people"), "{nobody:?}");
        assert!(!format!("{people:?}").contains("0123"));
    }
}
