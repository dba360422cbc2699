//! Online state of a stranger's making: named as damaged, or read without harm; never a panic.

use std::cell::LazyCell;

use karat_core::{HEADED, Instant};
use karat_features::{FeatureError, ReadAt, StateBuilder};
use karat_serving::{ServingModel, StateNote};

use super::choice;
use crate::serving_app::{self, at};

thread_local! {
    static MODEL: LazyCell<ServingModel> = const { LazyCell::new(|| serving_app::serving_model(Vec::new())) };
}

/// States of two keys, whole and with a checkpoint before their last two months.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    MODEL.with(|model| {
        let view = &model.views()[0].view;
        let mut all = vec![
            b"\x02{\"commit\":1,\"at\":\"2021-10-01T00:00:00Z\",\"horizon\":\"6 months\",\"keys\":2,\"records\":5}"
                .to_vec(),
        ];
        for horizon in [None, Some("6 months")] {
            let horizon = horizon.map(|text| text.parse().expect("a length of time"));
            let mut builder =
                StateBuilder::new(view, view.retention(horizon).expect("a horizon that covers the window"));
            builder.push(&serving_app::payments()).expect("history of the view's columns");
            all.extend(builder.finish().iter().map(|(_, state)| [vec![0], state].concat()));
        }
        all
    })
}

/// Makes the checksums right.
fn seal(state: &mut [u8]) {
    let length = state.strip_prefix(&HEADED).and_then(|rest| rest.first_chunk());
    let Some(head) = length.map(|length| u32::from_le_bytes(*length) as usize) else {
        let sum = crc32fast::hash(&state[5..]);
        state[1..5].copy_from_slice(&sum.to_le_bytes());
        return;
    };
    if (12..=state.len()).contains(&head) {
        let sum = crc32fast::hash(&[&state[4..8], &state[12..head]].concat());
        state[8..12].copy_from_slice(&sum.to_le_bytes());
        if let Some((sum, rest)) = state[head..].split_first_chunk_mut::<4>() {
            *sum = crc32fast::hash(rest).to_le_bytes();
        }
    }
}

/// A first byte of 1 asks for the checksum to be made right; of 2, for the note beside the states.
pub(super) fn bytes(data: &[u8]) {
    let (choice, data) = choice(data);
    if choice % 3 == 2 {
        if let Ok(note) = StateNote::parse(data) {
            assert_eq!(StateNote::parse(&note.to_bytes()).ok(), Some(note));
        }
        return;
    }
    let mut state = data.to_vec();
    if choice % 3 == 1 && state.len() > 5 {
        seal(&mut state);
    }
    MODEL.with(|model| {
        let view = &model.views()[0].view;
        for as_of in [at(serving_app::NOW), Instant::ALWAYS, Instant::NEVER, at("2021-08-11T00:00:00Z")] {
            if let Ok(row) = view.read(&state, ReadAt::time(as_of)) {
                assert_eq!(row.values.len(), view.outputs().len());
            }
        }
        let mut builder = StateBuilder::new(view, view.retention(None).expect("all of it"));
        builder.push(&serving_app::payments()).expect("history of the view's columns");
        let states = builder.finish();
        states.updates(|_| Ok::<_, FeatureError>(Some(state.clone()))).for_each(drop);
    });
}
