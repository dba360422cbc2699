use karat_project::spec::{self, ReasonMode, Reasons};
use karat_serving::{Reason, ReasonGroup, Which, arithmetic, gave_reasons, reasons_of};
use serde_json::{Value as Json, json};

use karat_test_support::serving_app::{App, endpoint, serving_model, with_threshold};

/// Half of the rows get the second label.
fn app(mode: ReasonMode, most: u8, groups: Vec<ReasonGroup>) -> App {
    let decided = App::new().predict(json!({"rows": rows()}));
    let mut scores: Vec<f64> = decided.iter().map(|answer| answer.score()).collect();
    scores.sort_by(f64::total_cmp);
    let model = with_threshold(serving_model(groups), scores[scores.len() / 2]);
    App::serving(spec::Endpoint { reasons: Reasons { mode, most }, ..endpoint() }, model)
}

fn rows() -> Vec<Json> {
    let mut rows = Vec::new();
    for late in 0..7 {
        for job in ["a", "b", "c"] {
            rows.push(json!({"share_late": f64::from(late) / 6.0, "income": 900 + 700 * late, "late_last_6": late,
                "job": job, "own_car": late % 2 == 0, "age": 20 + 9 * late}));
        }
    }
    rows
}

/// The reasons of every row, with the side of the threshold each is on.
fn asked(app: &App, which: Option<&str>) -> Vec<(usize, Vec<Reason>)> {
    let mut request = json!({"rows": rows()});
    if let Some(which) = which {
        request["reasons"] = which.into();
    }
    let decided = app.predict(request);
    let answers = decided.iter().map(|answer| {
        let side = answer.model().side(answer.score());
        (side, answer.reasons().map(Reason::from).collect())
    });
    answers.collect()
}

#[test]
fn endpoints_say_which_answers_carry_reasons_and_requests_may_ask_for_others() {
    let always = app(ReasonMode::Always, 4, vec![]);
    let all = asked(&always, None);
    assert!(all.iter().all(|(_, reasons)| reasons.len() == 4));
    let sides: Vec<usize> = all.iter().map(|(side, _)| *side).collect();
    assert!(sides.contains(&0) && sides.contains(&1), "{sides:?}");
    assert!(all.iter().flat_map(|(_, reasons)| reasons).any(|reason| reason.contribution < 0.0));

    let adverse = asked(&always, Some("adverse"));
    for ((_, adverse), (_, all)) in adverse.iter().zip(&asked(&app(ReasonMode::Always, 255, vec![]), None)) {
        let mut raising: Vec<Reason> = all.iter().filter(|reason| reason.contribution > 0.0).cloned().collect();
        raising.truncate(4);
        assert_eq!(*adverse, raising);
    }
    assert!(asked(&always, Some("none")).iter().all(|(_, reasons)| reasons.is_empty()));

    let when_adverse = asked(&app(ReasonMode::Adverse, 4, vec![]), None);
    for ((side, reasons), (_, adverse)) in when_adverse.iter().zip(&adverse) {
        assert_eq!(reasons, if *side == 1 { adverse } else { &[][..] });
    }
    let on_request = app(ReasonMode::OnRequest, 2, vec![]);
    assert!(asked(&on_request, None).iter().all(|(_, reasons)| reasons.is_empty()));
    for ((_, two), (_, four)) in asked(&on_request, Some("all")).iter().zip(&all) {
        assert_eq!(two[..], four[..2], "two at most");
    }
}

fn payments() -> ReasonGroup {
    ReasonGroup {
        name: "payments".to_owned(),
        words: "how earlier months were paid".to_owned(),
        code: Some("R07".to_owned()),
        inputs: vec![2, 0],
    }
}

#[test]
fn a_group_is_one_reason_whose_contribution_is_the_sum() {
    let single = asked(&app(ReasonMode::Always, 255, vec![]), None);
    let grouped = app(ReasonMode::Always, 255, vec![payments()]);
    for (((_, reasons), (_, single)), row) in asked(&grouped, None).iter().zip(&single).zip(rows()) {
        assert_eq!((reasons.len(), single.len()), (5, 6));
        let of = |name: &str| single.iter().find(|reason| reason.feature == name).unwrap().contribution;
        let group = reasons.iter().find(|reason| reason.feature == "payments").unwrap();
        assert_eq!(group.contribution.to_bits(), (of("late_last_6") + of("share_late")).to_bits());
        let value = json!({"late_last_6": row["late_last_6"], "share_late": row["share_late"].as_f64()});
        assert_eq!((&group.value, group.code.as_deref()), (&value, Some("R07")));
        let direction = if group.contribution >= 0.0 { "raises" } else { "lowers" };
        assert_eq!(group.text, format!("how earlier months were paid {direction} the risk"));
        assert!(reasons.iter().all(|reason| !["late_last_6", "share_late"].contains(&reason.feature.as_str())));
    }
}

#[test]
fn groups_that_share_an_input_or_take_none_of_the_models_are_refused() {
    for inputs in [vec![2, 2], vec![6]] {
        let groups = vec![ReasonGroup { inputs, ..payments() }];
        assert!(std::panic::catch_unwind(|| serving_model(groups)).is_err());
    }
}

#[test]
fn replay_makes_the_reasons_that_an_answer_did_not_carry_and_holds_those_it_did() {
    for groups in [vec![], vec![payments()]] {
        let app = app(ReasonMode::OnRequest, 4, groups);
        let given = asked(&app, Some("all"));
        for which in [None, Some("all"), Some("adverse"), Some("none")] {
            let before = app.logged().len();
            asked(&app, which);
            for (record, (_, given)) in app.logged()[before..].iter().zip(&given) {
                assert_eq!(arithmetic(record, &app.model), [], "{which:?}");
                if matches!(which, None | Some("none")) {
                    assert_eq!(record.explained.unwrap().which, Which::None);
                    let made = reasons_of(record, &app.model);
                    let bits = |reasons: &[Reason]| -> Vec<(String, u64)> {
                        reasons.iter().map(|r| (r.feature.clone(), r.contribution.to_bits())).collect()
                    };
                    assert_eq!(bits(&made), bits(given));
                    assert_eq!(&made, given, "words, codes and values too");
                }
            }
        }
    }
}

#[test]
fn an_answer_that_nothing_told_against_gave_its_reasons_and_they_are_none() {
    let app = app(ReasonMode::OnRequest, 2, vec![]);
    let adverse = asked(&app, Some("adverse"));
    let logged = app.logged();
    let (record, _) = logged.iter().zip(&adverse).min_by_key(|(record, _)| record.reasons.len()).unwrap();
    let mut record = record.clone();
    // As if none of them had raised the score.
    record.reasons.clear();
    assert!(gave_reasons(&record));
    assert!(reasons_of(&record, &app.model).is_empty(), "none were to be made");
    record.explained.as_mut().unwrap().which = Which::None;
    assert!(!gave_reasons(&record));
    assert_eq!(reasons_of(&record, &app.model).len(), 2, "as many as the endpoint gives");
    record.explained.as_mut().unwrap().most = 0;
    assert_eq!(reasons_of(&record, &app.model).len(), 4);
}

#[test]
fn a_reason_that_was_left_out_of_the_log_is_missed() {
    let app = App::new();
    app.predict(json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}));
    let mut record = app.logged().pop().unwrap();
    record.reasons.pop();
    let differences = arithmetic(&record, &app.model);
    assert_eq!(differences.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["reason 4"]);
    // A record of before `explained` carries all that it could.
    record.explained = None;
    assert_eq!(arithmetic(&record, &app.model), []);
}
