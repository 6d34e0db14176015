use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use stateright::{Checker as _, HasDiscoveries, Model};

use crate::step::Step;

/// A property that does not hold, and the shortest way there that was found.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one.
    pub property: &'static str,
    /// What happened, in order.
    pub trace: Vec<String>,
    /// The state at the end.
    pub state: String,
}

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// States found, each once.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether every reachable state was looked at.
    pub is_exhausted: bool,
    /// The first violation of each property that has one.
    pub violations: Vec<Violation>,
}

/// Explores the model breadth first, up to the first violation; of the property `sought`, if one is named. Gives up at
/// about `max_states` transitions.
pub fn check<M, E>(model: M, sought: Option<&'static str>, max_transitions: usize) -> Verdict
where
    M: Model<Action = Step<E, <M as Model>::State>> + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    E: Clone + Debug + PartialEq,
{
    let began = Instant::now();
    let until = match sought {
        Some(property) => HasDiscoveries::AnyOf([property].into()),
        None => HasDiscoveries::AnyFailures,
    };
    let checker = model.checker().threads(1).finish_when(until).target_state_count(max_transitions).spawn_bfs().join();
    let violations: Vec<Violation> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| Violation {
            property,
            state: format!("{:#?}", path.last_state()),
            trace: path.into_actions().iter().map(|step| format!("{step:?}")).collect(),
        })
        .collect();
    Verdict {
        states: checker.unique_state_count(),
        took: began.elapsed(),
        is_exhausted: violations.is_empty() && checker.state_count() < max_transitions,
        violations,
    }
}

/// Explores all states and looks from which of them no goal can be reached any more.
///
/// This is not stateright's `eventually`, which does not see a violation where paths join or end in a cycle: the graph is
/// kept, and walked backwards from the goals.
pub fn progress<M, E>(
    model: &M,
    property: &'static str,
    is_goal: impl Fn(&M::State) -> bool,
    max_states: usize,
) -> Verdict
where
    M: Model<Action = Step<E, <M as Model>::State>>,
    M::State: Clone + Debug + Hash + Eq,
    E: Debug,
{
    let began = Instant::now();
    let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    // States by fingerprint; a state's number is its place in `from` and `predecessors`.
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    let mut predecessors: Vec<Vec<u32>> = Vec::new();
    let mut first_from: Vec<Option<(u32, u32)>> = Vec::new();
    let mut reaches: Vec<bool> = Vec::new();
    let mut queue = VecDeque::new();
    let mut steps = Vec::new();
    for state in model.init_states() {
        numbers.insert(hasher.hash_one(&state), predecessors.len() as u32);
        predecessors.push(Vec::new());
        first_from.push(None);
        reaches.push(is_goal(&state));
        queue.push_back(state);
    }
    let mut at = 0_u32;
    while let Some(state) = queue.pop_front() {
        model.actions(&state, &mut steps);
        for (action, step) in steps.drain(..).enumerate() {
            let number = *numbers.entry(hasher.hash_one(&step.next)).or_insert_with(|| {
                predecessors.push(Vec::new());
                first_from.push(Some((at, action as u32)));
                reaches.push(is_goal(&step.next));
                queue.push_back(step.next);
                predecessors.len() as u32 - 1
            });
            predecessors[number as usize].push(at);
        }
        at += 1;
        if predecessors.len() > max_states {
            break;
        }
    }
    let mut back: Vec<u32> = (0..at).filter(|at| reaches[*at as usize]).collect();
    while let Some(number) = back.pop() {
        for before in &predecessors[number as usize] {
            if !std::mem::replace(&mut reaches[*before as usize], true) {
                back.push(*before);
            }
        }
    }
    let is_exhausted = queue.is_empty();
    let stuck = if is_exhausted { reaches.iter().position(|reaches| !reaches) } else { None };
    let violations = stuck.map(|stuck| replay(model, property, &first_from, stuck as u32)).into_iter().collect();
    Verdict { states: predecessors.len(), took: began.elapsed(), is_exhausted, violations }
}

/// Walks from the beginning to state `number`.
fn replay<M, E>(model: &M, property: &'static str, first_from: &[Option<(u32, u32)>], number: u32) -> Violation
where
    M: Model<Action = Step<E, <M as Model>::State>>,
    M::State: Clone + Debug,
    E: Debug,
{
    let mut actions = Vec::new();
    let mut at = number;
    while let Some((before, action)) = first_from[at as usize] {
        actions.push(action as usize);
        at = before;
    }
    let mut state = model.init_states().swap_remove(at as usize);
    let mut trace = Vec::new();
    for action in actions.into_iter().rev() {
        let mut steps = Vec::new();
        model.actions(&state, &mut steps);
        let step = steps.swap_remove(action);
        trace.push(format!("{:?}", step.event));
        state = step.next;
    }
    Violation { property, trace, state: format!("{state:#?}") }
}
