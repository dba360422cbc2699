//! Materialize, serve, one client explained, its replay.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use karat_jobs::{Workspace, deploy, materialize, query, replay};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::own::{self, Asked};
use super::place::{Found, Told};
use super::story::Story;
use super::{http, report};
use crate::commands::serve_registrar::Registrations;
use crate::commands::{features, replay as replaying, serve};
use crate::output::{duration, indent, percent, quoted, table};

/// Requests of the documents name it too, so that nothing drifts with today's date.
const AS_OF: &str = "2021-10-01T00:00:00Z";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the replay.
    Once,
    /// With Ctrl-C.
    ServeOn,
}

/// Whether the replay held.
pub async fn tell(
    workspace: &Arc<Workspace>,
    found: &Found,
    port: Option<u16>,
    ending: Ending,
    story: &mut Story,
) -> Result<bool> {
    story.step("Materialize: the same features, ready to be read by key");
    let done = materialize::run(workspace, &[]).await?;
    story.say(&indent(&features::materialized(&done)));
    story.end_step();

    story.step("Serve: decisions over HTTP");
    let log = deploy::open_log(workspace)?;
    let listener = listen(workspace, port, story).await?;
    let address = listener.local_addr()?;
    let deployed = deploy::run(workspace, log).await?;
    let interrupted = serve::signalled()?;
    story.say(&format!("listening on {}", serve::url(&listener)?));
    story.end_step();

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let registrar = Arc::new(Registrations::of(workspace, None));
    let served = serve::serve(workspace.clone(), registrar, listener, deployed, async {
        // A sender that was dropped means the same.
        stopped.await.ok();
    });
    let story = async {
        let outcome = one_decision(workspace, found, address, ending, story).await;
        if outcome.is_ok() && ending == Ending::ServeOn {
            interrupted.await;
        }
        drop(stop);
        outcome
    };
    let (served, told) = tokio::join!(served, story);
    served?;
    told
}

/// The port asked for, or the next free one.
async fn listen(workspace: &Workspace, port: Option<u16>, story: &mut Story) -> Result<TcpListener> {
    let server = &workspace.project.config().server;
    let first = port.unwrap_or(server.port);
    for port in first..=first.saturating_add(100) {
        match TcpListener::bind((server.host.as_str(), port)).await {
            Ok(listener) => {
                if port != first {
                    story.say(&format!("port {first} is taken: {port} is the next free one"));
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("{}:{port} cannot be listened on", server.host)),
        }
    }
    serve::bind(&server.host, 0).await
}

async fn one_decision(
    workspace: &Workspace,
    found: &Found,
    address: SocketAddr,
    ending: Ending,
    story: &mut Story,
) -> Result<bool> {
    let asked = match found.told {
        Told::Example => Asked {
            body: format!(r#"{{"key": {}, "as_of": "{AS_OF}"}}"#, pensioner(workspace).await?),
            who: "client".to_owned(),
            chance_of: "a late month".to_owned(),
        },
        Told::Own => own::asked(workspace, &found.model).await?,
    };
    story.step(&format!("Explain: one {}, as of a moment", asked.who));
    let path = format!("/v1/endpoints/{}/predict", found.endpoint);
    let body = &asked.body;
    let begun = Instant::now();
    let answer = http::post(address, &path, body).await?;
    let took = begun.elapsed().as_secs_f64();
    story.say(&format!("POST {path} {body}"));
    explain(&answer, &asked, story);
    story.say(&format!("answered over HTTP in {}", duration(took)));
    story.end_step();

    story.step("Replay: that very decision, computed again");
    let prediction = answer["prediction_id"].as_str().context("an answer has an id")?;
    let replayed = replay::run(workspace, prediction).await?;
    story.say(&format!("prediction {prediction}"));
    story.say(&replaying::verdicts(&replayed));
    story.keep("prediction", &answer);
    story.keep("replay", json!({"arithmetic": replayed.arithmetic, "history": replayed.history}));
    story.end_step();
    report::tell(workspace, &found.model, prediction, story).await?;
    close(found, address, body, ending, story);
    Ok(replayed.holds())
}

/// A client on record in the last month whose job start the contract nulled; of these, the one late most often.
async fn pensioner(workspace: &Workspace) -> Result<i64> {
    let sql = "SELECT client_id FROM loans GROUP BY client_id \
               ORDER BY bool_and(job_start_date IS NULL) DESC, max(month) DESC, \
               sum(CASE WHEN late THEN 1 ELSE 0 END) DESC, client_id LIMIT 1";
    let answered = query::run(workspace, sql).await?;
    let batch = answered.batches.iter().find(|batch| batch.num_rows() > 0).context("the loans have no client")?;
    Ok(batch.column(0).as_primitive::<Int64Type>().value(0))
}

fn explain(answer: &Json, asked: &Asked, story: &mut Story) {
    let score = answer["score"].as_f64().unwrap_or(f64::NAN);
    let threshold = answer["threshold"].as_f64().unwrap_or(f64::NAN);
    let side = if score >= threshold { "at or over" } else { "under" };
    story.say(&format!(
        "{} {} by {}/{}: {} ({} chance of {}, {side} the threshold of {})",
        asked.who,
        quoted(&answer["key"]),
        quoted(&answer["model"]["name"]),
        quoted(&answer["model"]["version"]),
        quoted(&answer["label"]),
        percent(score),
        asked.chance_of,
        percent(threshold)
    ));
    let features = answer["features"].as_object().into_iter().flatten();
    let features = features.map(|(name, value)| [name.clone(), quoted(value)]);
    story.say(&indent(&table(["feature", "value"], &[1], features)));
    story.say("because");
    for reason in list(&answer["reasons"]) {
        let contribution = reason["contribution"].as_f64().unwrap_or(f64::NAN);
        story.say(&format!("   {} ({contribution:+.3})", quoted(&reason["text"])));
    }
    let failures = list(&answer["qa_failures"]);
    if !failures.is_empty() {
        story.say("to be known before trusting it (qa_failures; each is a log line and a metric too)");
    }
    for failure in failures {
        story.say(&format!(
            "   {} is {}: {}",
            quoted(&failure["feature"]),
            quoted(&failure["value"]),
            quoted(&failure["check"])
        ));
    }
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How to go on: what is printed can be typed.
fn close(found: &Found, address: SocketAddr, body: &str, ending: Ending, story: &mut Story) {
    let program = program();
    let flag = &found.flag;
    story.keep("url", format!("http://{address}"));
    story.say(&format!("The whole story took {}.", story.total()));
    match ending {
        Ending::Once => story.say(&format!("To go on:\n  {program} serve{flag} --port {}", address.port())),
        Ending::ServeOn => {
            story.say(&format!("Serving on http://{address} until Ctrl-C (pages at http://{address}/docs). Try:"))
        }
    }
    story.say(&format!(
        "  curl -s http://{address}/v1/endpoints/{}/predict -H 'content-type: application/json' -d '{}'",
        found.endpoint,
        body.replace('\'', r"'\''")
    ));
    story.say(&format!(
        "  {program} query{flag} \"SELECT prediction_id, key, score, label FROM predictions ORDER BY at DESC LIMIT 5\""
    ));
}

/// As it was called, when it is not on the PATH.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.contains('/') { called } else { "karat".to_owned() }
}
