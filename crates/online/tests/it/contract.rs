//! What every [`OnlineStore`] must do, as one suite that runs on each back end: `contract::check(&store)`.
//!
//! Panics at the first breach. The store may hold other definitions; the suite's own begin empty.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use karat_core::{Digest, ErrorKind, HEADED, OnlineError, OnlineStore, StateOf, kept_key};

type States = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn check(store: &dyn OnlineStore) {
    what_was_never_written_is_absent(store);
    a_put_is_read_back_and_adds_to_what_is_there(store);
    writing_twice_is_writing_once(store);
    a_put_after_a_note_is_done_only_after_that_note(store);
    updates_of_many_writers_are_all_there(store);
    a_replace_tells_its_note_last(store);
    a_replace_leaves_nothing_of_before(store);
    keys_scan_in_byte_order(store);
    keys_of_any_length_are_told_apart(store);
    definitions_do_not_mix(store);
    several_definitions_are_read_at_once(store);
    the_head_of_a_state_is_enough_for_those_that_answer(store);
    a_write_appears_when_it_returns_and_not_before(store);
    a_state_filled_in_parts_appears_when_it_is_finished(store);
    what_is_filled_goes_on_only_from_its_own_note(store);
    fillers_of_one_state_take_turns(store);
    readers_never_see_half_a_put(store);
}

fn ok<T>(result: Result<T, karat_core::OnlineError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn definition(store: &dyn OnlineStore, name: &str) -> Digest {
    let digest = Digest::of(format!("contract: {name}"));
    ok(store.drop_definition(&digest));
    digest
}

fn read(store: &dyn OnlineStore, definition: &Digest, key: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let called = ok(store.read(definition, key, &mut |state| found = Some(state.to_vec())));
    assert_eq!(called, found.is_some(), "read says whether it called");
    let (mut noted, mut calls) = (None, 0);
    let known = ok(store.read_noted(definition, key, &mut |note, state| {
        noted = Some((note.to_vec(), state.map(<[u8]>::to_vec)));
        calls += 1;
    }));
    assert_eq!((known, calls), (noted.is_some(), usize::from(known)));
    found
}

fn scan(store: &dyn OnlineStore, definition: &Digest) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    ok(store.scan(definition, &mut |key, state| entries.push((key.to_vec(), state.to_vec()))));
    entries
}

fn put(store: &dyn OnlineStore, definition: &Digest, note: &[u8], states: &States) {
    let mut entries = states.iter().map(|(key, state)| (key.clone(), state.clone()));
    ok(store.put(definition, &note.to_vec(), &mut entries));
}

fn states<const N: usize>(states: [(&[u8], &[u8]); N]) -> States {
    states.into_iter().map(|(key, state)| (key.to_vec(), state.to_vec())).collect()
}

/// Everything a reader can ask about a definition agrees with `expected`.
fn assert_holds(store: &dyn OnlineStore, definition: &Digest, note: &[u8], expected: &States) {
    assert_eq!(ok(store.note(definition)).as_deref(), Some(note), "note");
    assert_eq!(scan(store, definition), expected.clone().into_iter().collect::<Vec<_>>(), "scan");
    for (key, state) in expected {
        let mut noted = None;
        ok(store
            .read_noted(definition, key, &mut |note, state| noted = Some((note.to_vec(), state.map(<[u8]>::to_vec)))));
        assert_eq!(noted, Some((note.to_vec(), Some(state.clone()))), "read with its note");
        assert_eq!(read(store, definition, key).as_ref(), Some(state), "read of {key:?}");
    }
    let counts: BTreeMap<Digest, u64> = ok(store.definitions()).into_iter().collect();
    assert_eq!(counts.get(definition), Some(&(expected.len() as u64)), "number of keys");
}

fn assert_absent(store: &dyn OnlineStore, definition: &Digest) {
    assert_eq!(read(store, definition, b"key"), None);
    assert_eq!(ok(store.note(definition)), None);
    assert_eq!(scan(store, definition), vec![]);
    assert!(ok(store.definitions()).iter().all(|(digest, _)| digest != definition));
}

fn what_was_never_written_is_absent(store: &dyn OnlineStore) {
    let absent = definition(store, "absent");
    assert_absent(store, &absent);
    ok(store.drop_definition(&absent));
    put(store, &absent, b"", &states([(b"one", b"1")]));
    assert_eq!(read(store, &absent, b"two"), None);
    assert_eq!(read(store, &absent, b"on"), None, "a prefix of a key is another key");
    assert_eq!(read(store, &absent, b""), None);
    ok(store.drop_definition(&absent));
    assert_absent(store, &absent);
}

fn a_put_is_read_back_and_adds_to_what_is_there(store: &dyn OnlineStore) {
    let definition = definition(store, "put");
    put(store, &definition, b"first", &states([(b"a", b"1"), (b"b", b""), (b"", b"the empty key")]));
    assert_holds(store, &definition, b"first", &states([(b"a", b"1"), (b"b", b""), (b"", b"the empty key")]));
    put(store, &definition, b"second", &states([(b"b", b"2"), (b"c", &[9; 100_000])]));
    let both = states([(b"a", b"1"), (b"b", b"2"), (b"c", &[9; 100_000]), (b"", b"the empty key")]);
    assert_holds(store, &definition, b"second", &both);
    put(store, &definition, b"third", &States::new());
    assert_holds(store, &definition, b"third", &both);
}

/// One key under each definition.
fn under<'a>(definitions: &'a [Digest], key: &'a [u8]) -> Vec<StateOf<'a>> {
    definitions.iter().map(|definition| StateOf { definition, key }).collect()
}

/// A state that says its head is so long.
fn headed(length: u32, rest: &[u8]) -> Vec<u8> {
    [&HEADED[..], &length.to_le_bytes(), rest].concat()
}

/// Who asks for the whole gets it, who answers at least the head.
fn assert_holds_headed(store: &dyn OnlineStore, definition: &Digest, expected: &States) {
    assert_eq!(scan(store, definition), expected.clone().into_iter().collect::<Vec<_>>(), "scan");
    for (key, state) in expected {
        assert_eq!(read(store, definition, key).as_ref(), Some(state), "a read is of all");
        let asked = [StateOf { definition, key }];
        let enough = |found: Option<&[u8]>| {
            let found = found.expect("it was written");
            assert!(state.starts_with(found) && found.len() >= state.len().min(12), "{found:?} of {state:?}");
        };
        ok(store.read_each(&asked, &mut |_, _, found| enough(found)));
        for (_, _, found) in ok(crate::fetch(store, &asked)) {
            enough(found.as_deref());
        }
    }
}

fn the_head_of_a_state_is_enough_for_those_that_answer(store: &dyn OnlineStore) {
    let definition = definition(store, "head");
    let (head, whole, longer) = (headed(12, b"read"), headed(12, b"readchanged"), headed(14, b"more readmore changed"));
    // Of a length that is not its own, a state is what it is.
    let (beyond, within, short) = (headed(u32::MAX, b"all"), headed(7, b"all"), HEADED.to_vec());
    let of = |of: [&Vec<u8>; 5]| -> States { (b'a'..).map(|key| vec![key]).zip(of.map(Clone::clone)).collect() };
    let all = of([&whole, &head, &beyond, &short, &within]);
    put(store, &definition, b"note", &all);
    assert_holds_headed(store, &definition, &all);
    let plain = b"plain".to_vec();
    for next in [of([&longer, &whole, &head, &plain, &whole]), of([&plain, &head, &longer, &whole, &short]), all] {
        put(store, &definition, b"next", &next);
        assert_holds_headed(store, &definition, &next);
    }
    let instead = of([&head, &longer, &plain, &within, &whole]);
    ok(store.replace(&definition, &b"instead".to_vec(), &mut instead.clone().into_iter()));
    assert_holds_headed(store, &definition, &instead);
    let (first, second) = (b"1".to_vec(), b"2".to_vec());
    assert!(ok(store.begin_filling(&definition, None, &first)));
    let filled = of([&longer, &whole, &whole, &head, &longer]);
    assert!(ok(store.fill(&definition, &first, &second, &mut filled.into_iter())));
    let over = of([&whole, &plain, &longer, &head, &head]);
    let mut entries = over.clone().into_iter();
    assert!(ok(store.finish_filling(&definition, &second, &mut entries, &mut || Ok(b"filled".to_vec()))));
    assert_holds_headed(store, &definition, &over);
}

fn several_definitions_are_read_at_once(store: &dyn OnlineStore) {
    let all = ["each: one", "each: never written", "each: two"].map(|name| definition(store, name));
    put(store, &all[0], b"first", &states([(b"a", b"1")]));
    put(store, &all[2], b"second", &states([(b"a", b"2"), (b"b", b"3")]));
    let of_keys = |asked: &[StateOf<'_>]| {
        let mut found = Vec::new();
        ok(store.read_each(asked, &mut |place, note, state| {
            found.push((place, note.to_vec(), state.map(<[u8]>::to_vec)));
        }));
        assert_eq!(ok(crate::fetch(store, asked)), found, "what is fetched is what is read");
        found
    };
    let each = |definitions: &[Digest], key: &[u8]| of_keys(&under(definitions, key));
    let (first, second) = (b"first".to_vec(), b"second".to_vec());
    let both = vec![(0, first.clone(), Some(b"1".to_vec())), (2, second.clone(), Some(b"2".to_vec()))];
    assert_eq!(each(&all, b"a"), both);
    assert_eq!(each(&all, b"b"), [(0, first, None), (2, second.clone(), Some(b"3".to_vec()))]);
    let twice = [all[2].clone(), all[2].clone()];
    assert_eq!(each(&twice, b"x"), [(0, second.clone(), None), (1, second, None)]);
    assert!(each(&[], b"a").is_empty());
    let [one, _, two] = &all;
    let of = |definition, key| StateOf { definition, key };
    let asked = [of(two, b"b" as &[u8]), of(one, b"a"), of(two, b"a"), of(one, b"b")];
    let (first, second) = (b"first".to_vec(), b"second".to_vec());
    assert_eq!(
        of_keys(&asked),
        [
            (0, second.clone(), Some(b"3".to_vec())),
            (1, first.clone(), Some(b"1".to_vec())),
            (2, second, Some(b"2".to_vec())),
            (3, first, None),
        ],
        "each under its own key"
    );
    let never = &all[1];
    let keys: [&[u8]; 2] = [b"a", b"b"];
    let runs: Vec<StateOf<'_>> = [two, never, one].into_iter().flat_map(|one| keys.map(|key| of(one, key))).collect();
    let found = of_keys(&runs).into_iter().map(|(place, note, state)| (place, note[0], state));
    let wanted = [(0, b's', Some(b"2")), (1, b's', Some(b"3")), (4, b'f', Some(b"1")), (5, b'f', None)];
    let wanted = wanted.map(|(place, note, state)| (place, note, state.map(|state| state.to_vec())));
    assert_eq!(found.collect::<Vec<_>>(), wanted, "several keys of a definition after each other");
    let long = of_keys(&[of(one, b"a" as &[u8]), of(two, &[0; 481])]);
    assert_eq!(long.into_iter().map(|(_, _, state)| state).collect::<Vec<_>>(), [Some(b"1".to_vec()), None]);
    // One write to each in turn; the second never lags behind by more than the one that came between.
    let (begin, end) = (AtomicU64::new(0), AtomicBool::new(false));
    let pair = ["each: left", "each: right"].map(|name| definition(store, name));
    pair.iter().for_each(|one| put(store, one, b"", &states([(b"a", &0_u64.to_be_bytes())])));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::SeqCst) {
                let mut seen = [0; 2];
                ok(store.read_each(&under(&pair, b"a"), &mut |place, _, state| {
                    seen[place] = u64::from_be_bytes(state.unwrap().try_into().unwrap());
                }));
                assert!(seen[0] == seen[1] || seen[0] == seen[1] + 1, "of one moment: {seen:?}");
                let fetched = ok(crate::fetch(store, &under(&pair, b"a")));
                let seen = [0, 1].map(|place| {
                    let (_, _, state) = &fetched[place];
                    u64::from_be_bytes(state.as_deref().unwrap().try_into().unwrap())
                });
                assert!(seen[0] == seen[1] || seen[0] == seen[1] + 1, "fetched of one moment: {seen:?}");
                begin.fetch_add(1, Ordering::SeqCst);
            }
        });
        for n in 1..=200_u64 {
            pair.iter().for_each(|one| put(store, one, b"", &states([(b"a", &n.to_be_bytes())])));
        }
        while begin.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        end.store(true, Ordering::SeqCst);
    });
}

fn writing_twice_is_writing_once(store: &dyn OnlineStore) {
    let definition = definition(store, "twice");
    let entries = states([(b"a", b"1"), (b"b", b"2")]);
    put(store, &definition, b"note", &entries);
    put(store, &definition, b"note", &entries);
    assert_holds(store, &definition, b"note", &entries);
}

fn a_put_after_a_note_is_done_only_after_that_note(store: &dyn OnlineStore) {
    let definition = definition(store, "after");
    let put_after = |expected: &[u8], note: &[u8], states: &States| {
        let mut entries = states.iter().map(|(key, state)| (key.clone(), state.clone()));
        ok(store.put_after(&definition, &expected.to_vec(), &note.to_vec(), &mut entries))
    };
    assert!(!put_after(b"", b"first", &states([(b"a", b"1")])), "a definition never written has no note");
    assert_absent(store, &definition);
    put(store, &definition, b"first", &states([(b"a", b"1")]));
    assert!(!put_after(b"", b"second", &states([(b"a", b"2")])));
    assert_holds(store, &definition, b"first", &states([(b"a", b"1")]));
    let many: States = (0..200_u8).map(|n| (vec![n], vec![n; 50])).collect();
    assert!(!put_after(b"firs", b"second", &many));
    assert_holds(store, &definition, b"first", &states([(b"a", b"1")]));
    assert!(put_after(b"first", b"second", &states([(b"a", b"2"), (b"b", b"3")])));
    assert_holds(store, &definition, b"second", &states([(b"a", b"2"), (b"b", b"3")]));
    assert!(put_after(b"second", b"third", &many));
    assert_holds(store, &definition, b"third", &many);
}

/// Each reads a state and puts one made of it, as often as somebody else was faster.
fn updates_of_many_writers_are_all_there(store: &dyn OnlineStore) {
    const WRITERS: u64 = 4;
    const UPDATES: u64 = 25;
    let definition = definition(store, "updates");
    put(store, &definition, &0_u64.to_le_bytes(), &states([(b"sum", &0_u64.to_le_bytes())]));
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let definition = &definition;
            scope.spawn(move || {
                for update in 0..UPDATES {
                    loop {
                        let before = ok(store.note(definition)).expect("it has one");
                        let sum = number(&read(store, definition, b"sum").expect("it has one"));
                        let after = (number(&before) + 1).to_le_bytes().to_vec();
                        let more = (sum + writer * UPDATES + update).to_le_bytes().to_vec();
                        let mut entries = [(b"sum".to_vec(), more)].into_iter();
                        if ok(store.put_after(definition, &before, &after, &mut entries)) {
                            break;
                        }
                    }
                }
            });
        }
    });
    let all = WRITERS * UPDATES;
    assert_eq!(number(&ok(store.note(&definition)).expect("it has one")), all);
    assert_eq!(number(&read(store, &definition, b"sum").expect("it has one")), all * (all - 1) / 2);
}

fn a_replace_tells_its_note_last(store: &dyn OnlineStore) {
    let definition = definition(store, "replace with");
    put(store, &definition, b"old", &states([(b"a", b"1")]));
    let taken = std::cell::Cell::new(0_u8);
    let mut entries = (0..150_u8).map(|n| (vec![n % 100], vec![n; 40])).inspect(|_| taken.set(taken.get() + 1));
    let mut note = || Ok(vec![taken.get()]);
    ok(store.replace_with(&definition, &mut entries, &mut note));
    // Of entries with one key the last counts.
    let expected: States = (50..150_u8).map(|n| (vec![n % 100], vec![n; 40])).collect();
    assert_holds(store, &definition, &[150], &expected);
    // Entries that were not all there replace nothing.
    let mut some = (0..70_u8).map(|n| (vec![n], vec![0; 40]));
    let broken = || OnlineError { kind: ErrorKind::Internal, message: "a file cannot be read".to_owned() };
    let error = store.replace_with(&definition, &mut some, &mut || Err(broken())).unwrap_err();
    assert_eq!((error.kind, error.message), (ErrorKind::Internal, broken().message));
    assert_holds(store, &definition, &[150], &expected);
    put(store, &definition, &[151], &states([(b"a", b"2")]));
}

fn a_replace_leaves_nothing_of_before(store: &dyn OnlineStore) {
    let definition = definition(store, "replace");
    put(store, &definition, b"old", &states([(b"a", b"1"), (b"b", b"2")]));
    for new in [states([(b"b", b"3"), (b"c", b"4")]), States::new()] {
        ok(store.replace(&definition, &b"new".to_vec(), &mut new.clone().into_iter()));
        assert_holds(store, &definition, b"new", &new);
    }
}

fn keys_scan_in_byte_order(store: &dyn OnlineStore) {
    let definition = definition(store, "order");
    let keys: [&[u8]; 9] =
        [&[0xff; 480], b"b", &[0xff], b"", b"a\0", &[0; 9], b"a", &[0x80, 1], &[0xff, 0xff, 0xff, 0xff]];
    let expected: States = keys.iter().map(|key| (key.to_vec(), key.to_vec())).collect();
    let mut entries = keys.iter().map(|key| (key.to_vec(), key.to_vec()));
    ok(store.put(&definition, &Vec::new(), &mut entries));
    assert_holds(store, &definition, b"", &expected);
}

fn keys_of_any_length_are_told_apart(store: &dyn OnlineStore) {
    let definition = definition(store, "long keys");
    let long = |length: usize, last: u8| [vec![1; length - 1], vec![last]].concat();
    let keys =
        [long(480, 1), long(481, 1), long(481, 2), long(482, 1), long(100_000, 1), long(100_000, 2), vec![1; 10]];
    let entries =
        |state: u8| keys.iter().zip(state..).map(|(key, state)| (key.clone(), vec![state])).collect::<Vec<_>>();
    for (state, replaced) in [(10, false), (50, true)] {
        let mut entries = entries(state).into_iter();
        ok(match replaced {
            true => store.replace(&definition, &b"note".to_vec(), &mut entries),
            false => store.put(&definition, &b"note".to_vec(), &mut entries),
        });
        for (key, state) in keys.iter().zip(state..) {
            assert_eq!(read(store, &definition, key), Some(vec![state]), "of {} bytes", key.len());
        }
        assert_eq!(read(store, &definition, &long(100_000, 3)), None);
        let mut kept: Vec<Vec<u8>> = keys.iter().map(|key| kept_key(key).into_owned()).collect();
        kept.sort();
        let scanned: Vec<Vec<u8>> = scan(store, &definition).into_iter().map(|(key, _)| key).collect();
        assert_eq!(scanned, kept);
    }
}

fn definitions_do_not_mix(store: &dyn OnlineStore) {
    let (one, other) = (definition(store, "one"), definition(store, "other"));
    put(store, &one, b"one", &states([(b"a", b"1"), (b"b", b"1")]));
    put(store, &other, b"other", &states([(b"a", b"2")]));
    assert_holds(store, &one, b"one", &states([(b"a", b"1"), (b"b", b"1")]));
    assert_holds(store, &other, b"other", &states([(b"a", b"2")]));
    ok(store.drop_definition(&one));
    assert_absent(store, &one);
    assert_holds(store, &other, b"other", &states([(b"a", b"2")]));
}

fn a_write_appears_when_it_returns_and_not_before(store: &dyn OnlineStore) {
    let definition = definition(store, "appears");
    let old: States = (0..50_u8).map(|n| (vec![n], vec![1])).collect();
    put(store, &definition, b"old", &old);
    let new = |first: u8, state: u8| (first..200).map(move |n| (vec![n], vec![state; 300]));
    let unchanged = |entry: (Vec<u8>, Vec<u8>)| {
        assert_eq!(read(store, &definition, &entry.0), old.get(&entry.0).cloned(), "seen before the write returned");
        assert_eq!(ok(store.note(&definition)).as_deref(), Some(b"old".as_slice()));
        entry
    };
    ok(store.put(&definition, &b"old".to_vec(), &mut new(200, 0)));
    ok(store.put(&definition, &b"new".to_vec(), &mut new(25, 2).map(unchanged)));
    let mut both = old.clone();
    both.extend(new(25, 2));
    assert_holds(store, &definition, b"new", &both);

    let unchanged = |entry: (Vec<u8>, Vec<u8>)| {
        assert_eq!(read(store, &definition, &entry.0), both.get(&entry.0).cloned(), "seen before the write returned");
        assert_eq!(scan(store, &definition).len(), both.len());
        entry
    };
    ok(store.replace(&definition, &b"newest".to_vec(), &mut new(100, 3).map(unchanged)));
    assert_holds(store, &definition, b"newest", &new(100, 3).collect());
}

fn numbered(keys: std::ops::Range<u8>, state: u8) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    keys.map(move |n| (vec![n], vec![state; 60]))
}

fn a_state_filled_in_parts_appears_when_it_is_finished(store: &dyn OnlineStore) {
    let definition = definition(store, "filled");
    let note = |text: &str| text.as_bytes().to_vec();
    let filling = || ok(store.filling(&definition));
    // The first is new to readers, the second is instead of what they have, and of what was put meanwhile.
    let mut before: Option<(Vec<u8>, States)> = None;
    for round in 1..3_u8 {
        let unseen = |before: &Option<(Vec<u8>, States)>| match before {
            None => assert_absent(store, &definition),
            Some((note, states)) => assert_holds(store, &definition, note, states),
        };
        assert_eq!(filling(), None);
        assert!(ok(store.begin_filling(&definition, None, &note("0"))));
        assert_eq!(filling(), Some(note("0")));
        unseen(&before);
        assert!(ok(store.fill(&definition, &note("0"), &note("1"), &mut numbered(0..40, round))));
        unseen(&before);
        // A part that is written again counts once.
        assert!(ok(store.fill(&definition, &note("1"), &note("1"), &mut numbered(40..90, round))));
        assert_eq!(filling(), Some(note("1")));
        unseen(&before);
        if let Some((said, states)) = &mut before {
            put(store, &definition, b"put meanwhile", &numbered(0..3, 77).collect());
            *said = note("put meanwhile");
            states.extend(numbered(0..3, 77));
        }
        assert!(ok(store.fill(&definition, &note("1"), &note("2"), &mut numbered(40..100, round))));
        assert_eq!(filling(), Some(note("2")));
        unseen(&before);
        let taken = std::cell::Cell::new(0_u8);
        let mut over = numbered(95..120, round + 10).inspect(|_| {
            unseen(&before);
            taken.set(taken.get() + 1);
        });
        assert!(ok(store.finish_filling(&definition, &note("2"), &mut over, &mut || Ok(vec![taken.get()]))));
        assert_eq!(filling(), None);
        let whole: States = numbered(0..95, round).chain(numbered(95..120, round + 10)).collect();
        assert_holds(store, &definition, &[25], &whole);
        before = Some((vec![25], whole));
    }
    put(store, &definition, b"after", &States::new());
}

fn what_is_filled_goes_on_only_from_its_own_note(store: &dyn OnlineStore) {
    let definition = definition(store, "filled after");
    let (first, second, third) = (b"first".to_vec(), b"second".to_vec(), b"third".to_vec());
    let untaken = || std::iter::from_fn(|| -> Option<(Vec<u8>, Vec<u8>)> { panic!("no entry is asked for") });
    let untold = &mut || -> Result<Vec<u8>, OnlineError> { panic!("no note is asked for") };
    assert!(!ok(store.fill(&definition, &first, &second, &mut untaken())));
    assert!(!ok(store.finish_filling(&definition, &first, &mut untaken(), untold)));
    assert!(!ok(store.begin_filling(&definition, Some(&first), &second)));
    assert_eq!(ok(store.filling(&definition)), None);

    assert!(ok(store.begin_filling(&definition, None, &first)));
    assert!(ok(store.fill(&definition, &first, &second, &mut numbered(0..50, 1))));
    assert!(
        !ok(store.begin_filling(&definition, None, &third))
            && !ok(store.begin_filling(&definition, Some(&first), &third))
    );
    assert!(!ok(store.fill(&definition, &first, &third, &mut untaken())));
    assert!(!ok(store.finish_filling(&definition, &first, &mut untaken(), untold)));
    assert_eq!(ok(store.filling(&definition)), Some(second.clone()));

    // Begun anew, nothing is left of it.
    assert!(ok(store.begin_filling(&definition, Some(&second), &third)));
    assert!(ok(store.fill(&definition, &third, &third, &mut numbered(50..60, 2))));
    assert!(ok(store.finish_filling(&definition, &third, &mut std::iter::empty(), &mut || Ok(first.clone()))));
    assert_holds(store, &definition, &first, &numbered(50..60, 2).collect());

    // An empty one is one, too; a state replaced or dropped meanwhile is not filled any more.
    assert!(ok(store.begin_filling(&definition, None, &first)));
    assert!(ok(store.finish_filling(&definition, &first, &mut std::iter::empty(), &mut || Ok(second.clone()))));
    assert_holds(store, &definition, &second, &States::new());
    assert!(ok(store.begin_filling(&definition, None, &first)));
    assert!(ok(store.fill(&definition, &first, &second, &mut numbered(0..50, 1))));
    ok(store.replace(&definition, &third, &mut numbered(3..4, 3)));
    assert_eq!(ok(store.filling(&definition)), None);
    assert_holds(store, &definition, &third, &numbered(3..4, 3).collect());
    assert!(ok(store.begin_filling(&definition, None, &first)));
    assert!(ok(store.fill(&definition, &first, &second, &mut numbered(0..50, 1))));
    ok(store.drop_definition(&definition));
    assert_eq!(ok(store.filling(&definition)), None);
    assert_absent(store, &definition);
}

/// Several fill the parts of one state, each in turn the next that is missing, and others write meanwhile.
fn fillers_of_one_state_take_turns(store: &dyn OnlineStore) {
    const PARTS: u8 = 12;
    let (definition, other) = (definition(store, "fillers"), definition(store, "fillers: other"));
    assert!(ok(store.begin_filling(&definition, None, &vec![0])));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(note) = ok(store.filling(&definition)) else { return };
                    if note[0] == PARTS {
                        let mut over = numbered(240..241, 9);
                        ok(store.finish_filling(&definition, &note, &mut over, &mut || Ok(b"whole".to_vec())));
                        return;
                    }
                    let (from, next) = (note[0] * 20, vec![note[0] + 1]);
                    ok(store.fill(&definition, &note, &next, &mut numbered(from..from + 20, note[0])));
                }
            });
        }
        for n in 0..10_u8 {
            put(store, &other, &[n], &states([(b"a", &[n])]));
        }
    });
    let parts = (0..PARTS).flat_map(|part| numbered(part * 20..part * 20 + 20, part));
    assert_holds(store, &definition, b"whole", &parts.chain(numbered(240..241, 9)).collect());
    assert_holds(store, &other, &[9], &states([(b"a", &[9])]));
}

/// A put writes one version under every key: whoever has seen a version at one key sees none older at another.
fn readers_never_see_half_a_put(store: &dyn OnlineStore) {
    const KEYS: u64 = 40;
    let definition = definition(store, "halves");
    let put_version = |version: u64| {
        let mut entries = (0..KEYS).map(|n| (n.to_be_bytes().to_vec(), version.to_le_bytes().to_vec()));
        ok(store.put(&definition, &version.to_le_bytes().to_vec(), &mut entries));
    };
    let version_at = |n: u64| {
        let state = read(store, &definition, &n.to_be_bytes()).expect("every version has every key");
        u64::from_le_bytes(state.try_into().expect("a version is eight bytes"))
    };
    put_version(0);
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for start in 0..3 {
            let (done, reads, version_at, definition) = (&done, &reads, &version_at, &definition);
            scope.spawn(move || {
                let (mut newest, mut n) = (0, start);
                while !done.load(Ordering::Relaxed) {
                    let version = version_at(n % KEYS);
                    assert!(version >= newest, "key {n} is at {version} after another was seen at {newest}");
                    let one_moment = ok(store.read_noted(definition, &(n % KEYS).to_be_bytes(), &mut |note, state| {
                        assert_eq!(Some(note), state, "the note is of the moment of the state");
                    }));
                    assert!(one_moment);
                    (newest, n) = (version, n + 7);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 1..=30 {
            put_version(version);
            assert_eq!(version_at(version % KEYS), version, "a write is seen once it returned");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
}
