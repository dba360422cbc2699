//! States that are not what was written: an error each, never a panic and never a silent value.

use karat_core::Instant;
use karat_features::{FeatureError, ReadAt, Retention, StateBuilder};
use proptest::prelude::*;

use crate::histories::{batch, cases};

fn resealed(mut state: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&state[5..]);
    state[1..5].copy_from_slice(&sum.to_le_bytes());
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
            if damaged != state {
                prop_assert!(matches!(view.read(&damaged, at), Err(FeatureError::Corrupt(_))));
                // With the checksum made right again, whatever comes must be no panic.
                let forged = resealed(damaged);
                let _ = view.read(&forged, at);
                let updates = states.updates(|_| Ok::<_, FeatureError>(Some(forged.clone())));
                updates.for_each(drop);
            }
            let short = &state[..cut.index(state.len())];
            prop_assert!(matches!(view.read(short, at), Err(FeatureError::Corrupt(_))));
            if short.len() > 6 {
                let _ = view.read(&resealed(short.to_vec()), at);
            }
        }
    }
}
