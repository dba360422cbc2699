//! States that are not what was written: an error each, never a panic and never a silent value.

use karat_core::{HEADED, Instant};
use karat_features::{FeatureError, ReadAt, Retention, StateBuilder};
use proptest::prelude::*;

use crate::histories::{batch, cases};

/// How many bytes answers read.
fn head(state: &[u8]) -> usize {
    let length = state.strip_prefix(&HEADED).and_then(|rest| rest.first_chunk());
    length.map_or(state.len(), |length| u32::from_le_bytes(*length) as usize)
}

/// With its checksums made right.
fn resealed(mut state: Vec<u8>) -> Vec<u8> {
    if !state.starts_with(&HEADED) {
        let sum = crc32fast::hash(&state[5..]);
        state[1..5].copy_from_slice(&sum.to_le_bytes());
        return state;
    }
    let end = head(&state);
    if (12..=state.len()).contains(&end) {
        let sum = crc32fast::hash(&[&state[4..8], &state[12..end]].concat());
        state[8..12].copy_from_slice(&sum.to_le_bytes());
        if state.len() >= end + 4 {
            let sum = crc32fast::hash(&state[end + 4..]);
            state[end..end + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_states_are_named_and_forged_ones_do_no_harm(
        case in cases(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let view = case.view();
        let retention = match case.horizon {
            Some(horizon) => view.retention(Some(horizon.parse().unwrap())).unwrap(),
            None => Retention::All,
        };
        let mut builder = StateBuilder::new(&view, retention);
        builder.push(&batch(&case.records, &case.rules)).unwrap();
        let states = builder.finish();
        let at = ReadAt::time(Instant::from_micros(case.readers[0].as_of));
        for (_, state) in states.iter() {
            let mut damaged = state.clone();
            for (index, byte) in &edits {
                let index = index.index(damaged.len());
                damaged[index] = *byte;
            }
            let read = head(&state);
            if damaged != state {
                if damaged[..read] == state[..read] {
                    prop_assert_eq!(view.read(&damaged, at), view.read(&state, at));
                    for (_, updated) in states.updates(|_| Ok::<_, FeatureError>(Some(damaged.clone()))) {
                        prop_assert!(matches!(updated, Err(FeatureError::Corrupt(_))));
                    }
                } else {
                    prop_assert!(matches!(view.read(&damaged, at), Err(FeatureError::Corrupt(_))));
                }
                // With the checksum made right again, whatever comes must be no panic.
                let forged = resealed(damaged);
                let _ = view.read(&forged, at);
                let updates = states.updates(|_| Ok::<_, FeatureError>(Some(forged.clone())));
                updates.for_each(drop);
            }
            let short = &state[..cut.index(state.len())];
            if short.len() < read {
                prop_assert!(matches!(view.read(short, at), Err(FeatureError::Corrupt(_))));
            }
            for (_, updated) in states.updates(|_| Ok::<_, FeatureError>(Some(short.to_vec()))) {
                prop_assert!(matches!(updated, Err(FeatureError::Corrupt(_))));
            }
            if short.len() > 12 {
                let _ = view.read(&resealed(short.to_vec()), at);
            }
        }
    }
}
