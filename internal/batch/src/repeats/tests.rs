use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::{IdempotencyKey, SessionPart};

const OPENED_NS: i64 = 1_700_000_000_000_000_000;

fn part(session: u8, number: u64, oldest_unacknowledged: u64, part: u32, parts: u32) -> Origin {
    Origin::Session(SessionPart {
        id: [session; 16],
        opened_at_ns: OPENED_NS,
        partitions: 4,
        number,
        oldest_unacknowledged,
        part,
        parts,
    })
}

fn key(hash: u8, first_seen_ns: i64, part: u32, parts: u32) -> Origin {
    Origin::Key(IdempotencyKey { hash: [hash; 32], first_seen_ns, partitions: 4, part, parts })
}

/// Saves and loads, as a claim lost or a takeover does.
fn reload(saved: &mut BTreeMap<String, String>, repeats: &mut Repeats) -> Repeats {
    for (id, state) in repeats.take_changes() {
        match state {
            Some(state) => saved.insert(id, state),
            None => saved.remove(&id),
        };
    }
    Repeats::load(saved.iter().map(|(id, state)| (id.as_str(), state.as_str()))).unwrap()
}

#[test]
fn a_late_retry_counts_although_higher_numbers_came_first() {
    let mut repeats = Repeats::default();
    let mut take = |number, low| repeats.take(&part(1, number, low, 0, 1), OPENED_NS);
    assert_eq!(take(4, 4), Verdict::New);
    assert_eq!(take(6, 4), Verdict::New);
    assert_eq!(take(5, 5), Verdict::New, "5 was lost on its way; that 6 came says nothing");
    assert_eq!(take(5, 5), Verdict::Repeat);
    assert_eq!(take(6, 5), Verdict::Repeat);
    assert_eq!(take(4, 4), Verdict::Repeat, "below the mark");
    assert_eq!(take(7, 7), Verdict::New);
    assert_eq!(take(6, 5), Verdict::Repeat, "a copy that was long under way");
}

#[test]
fn parts_are_told_apart_and_the_first_batch_under_a_number_counts() {
    let mut repeats = Repeats::default();
    let mut take = |at, parts| repeats.take(&part(1, 1, 1, at, parts), OPENED_NS);
    assert_eq!((take(0, 3), take(2, 3)), (Verdict::New, Verdict::New));
    assert_eq!((take(0, 3), take(1, 2)), (Verdict::Repeat, Verdict::Repeat));
    assert_eq!((take(1, 3), take(1, 3)), (Verdict::New, Verdict::Repeat));
    assert_eq!(take(0, 1), Verdict::Repeat, "all of it is there");
}

#[test]
fn messages_past_the_end_are_late_by_the_logs_time_and_states_go_after_them() {
    let mut repeats = Repeats::default();
    let mut saved = BTreeMap::new();
    let end_ns = OPENED_NS + SESSION_END_NS;
    assert_eq!(repeats.take(&part(1, 1, 1, 0, 1), OPENED_NS), Verdict::New);
    assert_eq!(repeats.take(&part(1, 2, 1, 0, 1), end_ns), Verdict::Late);
    assert_eq!(repeats.take(&part(1, 1, 1, 0, 1), end_ns - 1), Verdict::Repeat, "append times may step back");
    repeats = reload(&mut saved, &mut repeats);
    assert_eq!(repeats.len(), 1);
    assert_eq!(repeats.take(&Origin::None, end_ns + MARGIN_NS), Verdict::New);
    repeats = reload(&mut saved, &mut repeats);
    assert!(repeats.is_empty() && saved.is_empty());
    assert_eq!(repeats.take(&part(1, 1, 1, 0, 1), end_ns + MARGIN_NS), Verdict::Late, "never taken as new");
}

#[test]
fn a_key_is_one_request_for_ten_minutes_and_another_use_after_them() {
    let (start_ns, late_ns) = (OPENED_NS, OPENED_NS + KEY_GOOD_NS);
    let mut repeats = Repeats::default();
    assert_eq!(repeats.take(&key(1, start_ns, 0, 2), start_ns), Verdict::New);
    assert_eq!(repeats.take(&key(1, start_ns + 1, 0, 2), start_ns + 1), Verdict::Repeat);
    assert_eq!(
        repeats.take(&key(1, start_ns + 1, 1, 2), start_ns + 1),
        Verdict::New,
        "the first attempt broke off here"
    );
    assert_eq!(
        repeats.take(&key(1, start_ns + 2, 0, 1), start_ns + 2),
        Verdict::Repeat,
        "another body: the first counts"
    );
    assert_eq!(repeats.take(&key(2, start_ns, 0, 1), start_ns), Verdict::New, "another tenant's or key's");
    // Received in time, appended after it: by then the state must still be there.
    assert_eq!(repeats.take(&key(1, late_ns - 1, 0, 2), late_ns + KEY_GOOD_NS - 2), Verdict::Repeat);
    assert_eq!(repeats.take(&key(1, start_ns, 0, 2), late_ns), Verdict::Late, "stalled on its way for ten minutes");
    assert_eq!(repeats.take(&key(1, late_ns, 0, 2), late_ns), Verdict::New);
    assert_eq!(repeats.take(&key(1, late_ns, 0, 2), late_ns), Verdict::Repeat);
    let mut saved = BTreeMap::new();
    repeats = reload(&mut saved, &mut repeats);
    assert_eq!(repeats.take(&key(1, late_ns + 5, 0, 2), late_ns + 5), Verdict::Repeat);
    repeats.take(&Origin::None, late_ns + 2 * KEY_GOOD_NS + MARGIN_NS);
    assert!(reload(&mut saved, &mut repeats).is_empty());
}

#[test]
fn what_is_saved_stays_as_it_is_and_strangers_are_refused() {
    let mut repeats = Repeats::default();
    for (number, at, parts) in [(3, 0, 1), (5, 0, 1), (6, 0, 1), (9, 1, 3)] {
        repeats.take(&part(0xab, number, 3, at, parts), OPENED_NS);
    }
    repeats.take(&key(0xcd, OPENED_NS, 1, 4), OPENED_NS);
    let changes = repeats.take_changes();
    let expected = [
        ("ab".repeat(16), "[1,1700000000000000000,3,[[3,3],[5,6]],[[9,3,[[1,1]]]]]".to_owned()),
        ("cd".repeat(32), "[1,1700000000000000000,4,[[1,1]]]".to_owned()),
    ];
    assert_eq!(changes, expected.map(|(id, state)| (id, Some(state))));
    assert!(repeats.take_changes().is_empty());
    let id = "ab".repeat(16);
    for (id, state) in [
        ("", "[1,1,1,[],[]]"),
        ("xy", "[1,1,1,[],[]]"),
        (&id[1..], "[1,1,1,[],[]]"),
        (&id, ""),
        (&id, "{}"),
        (&id, "[2,1,1,[],[]]"),
        (&id, "[1,-1,1,[],[]]"),
        (&id, "[1,1,5,[[4,6]],[]]"),
        (&id, "[1,1,5,[[6,5]],[]]"),
        (&id, "[1,1,5,[[5,6],[7,7]],[]]"),
        (&id, "[1,1,5,[[5,400]],[]]"),
        (&id, "[1,1,5,[],[[5,2,[[2,2]]]]]"),
        (&id, "[1,1,5,[],[[5,0,[]]]]"),
        (&id, "[1,1,4,[[1,1]]]"),
    ] {
        assert!(matches!(Repeats::load([(id, state)]), Err(Error::State { .. })), "{id} {state}");
    }
}

#[test]
fn forgetting_many_takes_several_entries() {
    let mut repeats = Repeats::default();
    let mut saved = BTreeMap::new();
    for number in 0..(MAX_FORGOTTEN as u64 + 10) {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        let key = IdempotencyKey { hash, first_seen_ns: OPENED_NS, partitions: 1, part: 0, parts: 1 };
        assert_eq!(repeats.take(&Origin::Key(key), OPENED_NS), Verdict::New);
    }
    assert!(repeats.changed_bytes() > MAX_FORGOTTEN * 100);
    repeats = reload(&mut saved, &mut repeats);
    assert_eq!(repeats.changed_bytes(), 0);
    repeats.take(&Origin::None, OPENED_NS + 2 * KEY_GOOD_NS + MARGIN_NS);
    assert_eq!(repeats.take_changes().len(), MAX_FORGOTTEN);
    assert_eq!(repeats.take_changes().len(), 10);
    assert!(repeats.is_empty());
}

/// A message in a log: session, number, oldest unacknowledged, part; and how many parts its number has.
type Sent = (u8, u64, u64, u32);

fn parts_of(number: u64) -> u32 {
    1 + u32::try_from(number % 3).unwrap()
}

/// The rule, written as plainly as it is said: nothing is ever forgotten but what lies below the mark.
#[derive(Default)]
struct Plain {
    sessions: HashMap<u8, (u64, BTreeSet<(u64, u32)>)>,
}

impl Plain {
    fn is_new(&mut self, (session, number, low, part): Sent) -> bool {
        let (mark, seen) = self.sessions.entry(session).or_default();
        let is_new = number >= *mark && !seen.contains(&(number, part));
        if is_new {
            seen.insert((number, part));
        }
        *mark = low.max(*mark);
        is_new
    }
}

/// Draws of a client that sends, loses acknowledgements and tries again, and of ingestors that hold parts back.
#[derive(Clone, Debug)]
enum Draw {
    Send,
    Retry(usize),
    Append(usize),
    Acknowledge(usize),
    GiveUp,
    Reload,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = prop_oneof![
        4 => Just(Draw::Send),
        3 => any::<usize>().prop_map(Draw::Retry),
        9 => any::<usize>().prop_map(Draw::Append),
        5 => any::<usize>().prop_map(Draw::Acknowledge),
        1 => Just(Draw::GiveUp),
        1 => Just(Draw::Reload),
    ];
    prop::collection::vec(draw, 0..400)
}

/// What a rule says of a log, message by message, when a client of two sessions makes it. Fails as the judge of the protocol
/// would: a part taken twice, or an acknowledged batch that was not taken.
fn run(draws: &[Draw], window: u64, mut is_new: impl FnMut(Option<Sent>) -> bool) -> Result<(), String> {
    #[derive(Default)]
    struct Client {
        next: u64,
        done: BTreeSet<u64>,
        given_up: BTreeSet<u64>,
    }
    let mut clients: [Client; 2] = [Client { next: 1, ..Client::default() }, Client { next: 1, ..Client::default() }];
    let mut air: Vec<Sent> = Vec::new();
    let mut appended = BTreeSet::new();
    let mut taken: HashMap<(u8, u64, u32), u32> = HashMap::new();
    for (turn, draw) in draws.iter().enumerate() {
        let session = u8::try_from(turn % 2).unwrap();
        let client = &mut clients[usize::from(session)];
        let low = (1..client.next).find(|number| !client.done.contains(number)).unwrap_or(client.next);
        let open: Vec<u64> = (low..client.next).filter(|number| !client.done.contains(number)).collect();
        let mut send = |number| (0..parts_of(number)).for_each(|part| air.push((session, number, low, part)));
        match draw {
            Draw::Send if client.next < low + window => {
                send(client.next);
                client.next += 1;
            }
            Draw::Retry(at) if !open.is_empty() => send(open[at % open.len()]),
            Draw::Append(at) if !air.is_empty() => {
                let sent = air.swap_remove(at % air.len());
                if is_new(Some(sent)) {
                    *taken.entry((sent.0, sent.1, sent.3)).or_default() += 1;
                }
                appended.insert((sent.0, sent.1, sent.3));
            }
            Draw::Acknowledge(at) if !open.is_empty() => {
                let number = open[at % open.len()];
                if (0..parts_of(number)).all(|part| appended.contains(&(session, number, part))) {
                    client.done.insert(number);
                }
            }
            Draw::GiveUp if !open.is_empty() => {
                client.done.insert(open[0]);
                client.given_up.insert(open[0]);
            }
            Draw::Reload => {
                is_new(None);
            }
            _ => {}
        }
    }
    if let Some((what, _)) = taken.iter().find(|(_, times)| **times > 1) {
        return Err(format!("{what:?} was taken more than once"));
    }
    for (session, client) in (0..).zip(&clients) {
        for number in client.done.difference(&client.given_up) {
            if let Some(part) = (0..parts_of(*number)).find(|part| !taken.contains_key(&(session, *number, *part))) {
                return Err(format!("part {part} of batch {number} was acknowledged and not taken"));
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_acknowledged_part_is_taken_once_and_the_plain_rule_agrees(draws in draws(), window in 1_u64..20) {
        let (mut repeats, mut plain, mut saved) = (Repeats::default(), Plain::default(), BTreeMap::new());
        let mut agreed = Ok(());
        let mut bound = 0;
        let judged = run(&draws, window, |sent| {
            let Some(sent) = sent else {
                let length: usize = repeats.clone().take_changes().into_iter().map(|(id, state)| {
                    id.len() + state.map_or(0, |state| state.len()) + r#"{"session":"","state":""},"#.len()
                }).sum();
                if length > repeats.changed_bytes() || repeats.changed_bytes() > bound {
                    agreed = Err(format!("{length} bytes, {} estimated, {bound} at most", repeats.changed_bytes()));
                }
                bound = 0;
                repeats = reload(&mut saved, &mut repeats);
                return false;
            };
            let (session, number, low, at) = sent;
            let origin = part(session, number, low, at, parts_of(number));
            bound += repeats.cost(&origin);
            let verdict = repeats.take(&origin, OPENED_NS);
            if (verdict == Verdict::New) != plain.is_new(sent) {
                agreed = Err(format!("{sent:?}: {verdict:?}"));
            }
            verdict == Verdict::New
        });
        prop_assert_eq!(judged, Ok(()));
        prop_assert_eq!(agreed, Ok(()));
    }

    #[test]
    fn runs_are_a_set(numbers in prop::collection::vec(0_u64..40, 0..60), low in 0_u64..40) {
        let (mut runs, mut set) = (runs::Runs::default(), BTreeSet::new());
        for number in numbers {
            prop_assert_eq!(runs.contains(number), set.contains(&number));
            if set.insert(number) {
                runs.insert(number);
            }
            prop_assert!(runs.is_valid_to(39));
        }
        runs.drop_below(low);
        set.retain(|number| *number >= low);
        (0..41).for_each(|number| assert_eq!(runs.contains(number), set.contains(&number)));
    }
}

/// The rules that look right at first: each takes something twice or loses it in some run of the same client.
#[test]
fn simpler_rules_fail() {
    type Rule = fn(&mut HashMap<(u8, u32), Vec<u64>>, Sent) -> bool;
    // Whatever is not above the highest number is a repeat.
    let highest: Rule = |seen, (session, number, _, part)| {
        let seen = seen.entry((session, part)).or_default();
        let is_new = seen.last().is_none_or(|last| number > *last);
        if is_new {
            seen.push(number);
        }
        is_new
    };
    // The last few numbers, without a low mark.
    let last_few: Rule = |seen, (session, number, _, part)| {
        let seen = seen.entry((session, part)).or_default();
        let is_new = !seen.contains(&number);
        if is_new {
            seen.push(number);
            if seen.len() > 3 {
                seen.remove(0);
            }
        }
        is_new
    };
    // Numbers without parts.
    let no_parts: Rule = |seen, (session, number, _, _)| {
        let seen = seen.entry((session, 0)).or_default();
        let is_new = !seen.contains(&number);
        if is_new {
            seen.push(number);
        }
        is_new
    };
    // Everything counts.
    let none: Rule = |_, _| true;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let runs: Vec<Vec<Draw>> = (0..300).map(|_| draws().new_tree(&mut runner).unwrap().current()).collect();
    for (name, rule) in [("highest", highest), ("last few", last_few), ("no parts", no_parts), ("none", none)] {
        let fails = runs.iter().filter(|draws| {
            let mut seen = HashMap::new();
            run(draws, 8, |sent| sent.is_some_and(|sent| rule(&mut seen, sent))).is_err()
        });
        assert!(fails.count() > 0, "{name} was not found out");
    }
    // State kept through a claim that was lost, and state that entries do not save.
    let mut kept = Repeats::default();
    let first = part(1, 1, 1, 0, 1);
    assert_eq!(kept.take(&first, OPENED_NS), Verdict::New);
    assert_eq!(kept.take(&first, OPENED_NS), Verdict::Repeat, "kept: the replay of a lost flush would lose the record");
    assert_eq!(Repeats::default().take(&first, OPENED_NS), Verdict::New, "not saved: a retry would count twice");
}
