use serde_json::{Value as Json, json as value};

use super::API;
use super::victim::{Victim, encoded};
use crate::mlflow::project;
use crate::support::Server;

#[test]
fn page_tokens_that_are_forged_or_borrowed_are_refused() {
    let project = project();
    let server = Server::start(project.path());
    let victim = Victim::new(&server);
    let before = victim.state();
    let runs = |body: Json| {
        let mut asked = value!({"experiment_ids": [victim.experiment], "max_results": 1});
        asked.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        asked
    };
    let searches: [(&str, Json); 6] = [
        ("runs/search", runs(value!({}))),
        ("runs/search", runs(value!({"filter": "metrics.m > 0"}))),
        ("runs/search", runs(value!({"order_by": ["metrics.m DESC"]}))),
        ("runs/search", value!({"experiment_ids": [victim.experiment, "0"], "max_results": 1})),
        ("experiments/search", value!({"max_results": 1})),
        ("logged-models/search", value!({"experiment_ids": [victim.experiment], "max_results": 1})),
    ];
    let lists = [
        "registered-models/search?max_results=1".to_owned(),
        "registered-models/search?max_results=1&order_by=name%20DESC".to_owned(),
        "model-versions/search?max_results=1".to_owned(),
        format!("metrics/get-history?max_results=1&run_id={}&metric_key=m", victim.run),
    ];
    let asked = |search: usize, token: Option<&str>| match searches.get(search) {
        Some((path, body)) => {
            let mut body = body.clone();
            if let Some(token) = token {
                body["page_token"] = token.into();
            }
            ("POST", format!("{API}/{path}"), body.to_string())
        }
        None => {
            let token = token.map(|token| format!("&page_token={}", encoded(token))).unwrap_or_default();
            ("GET", format!("{API}/{}{token}", lists[search - searches.len()]), String::new())
        }
    };
    let all = 0..searches.len() + lists.len();
    let tokens: Vec<String> = all
        .clone()
        .map(|search| {
            let (method, path, body) = asked(search, None);
            let (status, found) = server.request(method, &path, &body);
            assert_eq!(status, 200, "{path}: {found}");
            found["next_page_token"].as_str().unwrap_or_else(|| panic!("{path}: {found}")).to_owned()
        })
        .collect();
    let forged = [
        "x",
        "!",
        "eyJvZmZzZXQiOjF9",
        "eyJvZmZzZXQiOi0xfQ==",
        "bnVsbA==",
        "W10=",
        "e30=",
        "../../x",
        "' OR 1=1 --",
        "-1",
        "99999999999999999999",
    ];
    for search in all.clone() {
        let refused = |token: &str| {
            let (method, path, body) = asked(search, Some(token));
            victim.refused(method, &path, body.as_bytes());
        };
        forged.iter().for_each(|token| refused(token));
        refused(&"A".repeat(15_000));
        for (other, token) in tokens.iter().enumerate().filter(|(other, _)| *other != search) {
            let (method, path, body) = asked(search, Some(token));
            let status = victim.send(method, &path, body.as_bytes());
            assert_eq!(status, 400, "the token of {other} in {search}: {path} {body}");
        }
        // A letter more, less, or another one.
        let own = &tokens[search];
        refused(&own[..own.len() / 2]);
        for at in 0..own.len() {
            let mut bytes = own.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let (method, path, body) = asked(search, Some(std::str::from_utf8(&bytes).unwrap()));
            victim.send(method, &path, body.as_bytes());
        }
        let (method, path, body) = asked(search, Some(own));
        assert_eq!(victim.send(method, &path, body.as_bytes()), 200, "its own token is taken: {path}");
    }
    assert_eq!(victim.state(), before);
}
