use karat_serving::{InputOrigin, Pinned, ReasonGroup};
use karat_test_support::serving_app::serving_model;

fn taking(inputs: &[&str]) -> Pinned {
    let mut pinned = serving_model(Vec::new()).pinned;
    pinned.inputs.retain(|input| inputs.contains(&input.name.as_str()));
    pinned
}

#[test]
fn what_no_input_takes_is_not_computed() {
    let pinned = taking(&["income", "late_last_6", "own_car"]);
    let narrowed = pinned.narrowed().unwrap();
    let compiled = narrowed.compile().unwrap();
    let names: Vec<&str> = compiled[0].outputs().iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["late_last_6", "own_car"]);
    let origins: Vec<InputOrigin> = narrowed.inputs.iter().map(|input| input.origin).collect();
    let output = |output| InputOrigin::View { view: 0, output };
    assert_eq!(origins, [InputOrigin::Request, output(0), output(1)]);
    assert!(compiled[0].source_columns().column("job").is_none(), "nor read");
    assert_eq!(narrowed.views[0].digest, pinned.views[0].digest);
}

#[test]
fn a_view_that_nothing_is_taken_of_has_a_feature_still() {
    let narrowed = taking(&["income"]).narrowed().unwrap();
    assert_eq!(narrowed.compile().unwrap()[0].outputs().len(), 1);
}

#[test]
fn what_reasons_say_is_part_of_what_a_version_is_and_earlier_versions_are_known_without_it() {
    let pinned = serving_model(Vec::new()).pinned;
    let (identity, earlier) = (pinned.identity(), pinned.values_identity());
    assert!(pinned.may_be(&identity) && pinned.may_be(&earlier));
    let group = ReasonGroup { name: "late".to_owned(), words: "late".to_owned(), code: None, inputs: vec![0] };
    let mut reworded = [pinned.clone(), pinned.clone(), pinned.clone().with_groups(vec![group])];
    reworded[0].inputs[0].words.push('!');
    reworded[1].inputs[0].code = Some("R99".to_owned());
    for other in reworded {
        assert_ne!(other.identity(), identity);
        assert!(!other.may_be(&identity) && other.has_values_of(&identity) && other.has_values_of(&earlier));
    }
}
