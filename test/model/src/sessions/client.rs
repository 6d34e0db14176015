//! The client, and the ingestors between it and the log.

use super::state::{Appended, Part, State};
use super::{Event, Naive, Sessions};
use crate::step::Step;

impl Sessions {
    pub(super) fn client(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
        let config = &self.0;
        let low = if config.is(Naive::LowIsNext) { state.next } else { state.low() };
        let mut to = |event, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            next.air.sort_unstable();
            steps.push(Step { event, next });
        };
        let send = |state: &mut State, number| {
            state.air.extend((0..config.parts).map(|part| Part { number, part, low }));
        };
        let is_good = !state.is_late;
        if is_good
            && state.next <= config.batches
            && (state.next < state.low() + config.window || config.is(Naive::NoWindow))
        {
            to(Event::Sends { number: state.next, low }, &|state| {
                send(state, state.next);
                state.next += 1;
            });
        }
        for number in (1..state.next).filter(|number| state.is_open(*number)) {
            if is_good && state.retries > 0 {
                to(Event::Retries { number, low }, &|state| {
                    send(state, number);
                    state.retries -= 1;
                });
            }
            if state.give_ups > 0 {
                to(Event::GivesUp(number), &|state| {
                    state.given_up |= 1 << number;
                    state.give_ups -= 1;
                });
            }
            let durable = state.durable.iter().take(usize::from(config.parts)).filter(|bits| **bits >> number & 1 == 1);
            let enough = if config.is(Naive::AcknowledgesHalf) { 1 } else { usize::from(config.parts) };
            if durable.count() >= enough {
                to(Event::Acknowledged(number), &|state| state.acknowledged |= 1 << number);
            }
        }
        if config.ends && is_good {
            to(Event::SessionEnds, &|state| state.is_late = true);
        }
    }

    pub(super) fn ingestors(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
        for (at, part) in state.air.iter().enumerate() {
            if at > 0 && state.air[at - 1] == *part {
                continue;
            }
            let mut next = state.clone();
            next.air.remove(at);
            next.log.push(Appended { part: *part, is_late: state.is_late });
            if !state.is_late || self.0.is(Naive::LateAcknowledged) {
                next.durable[usize::from(part.part)] |= 1 << part.number;
            }
            steps.push(Step { event: Event::Appends(*part, state.log.len()), next });
        }
    }
}
