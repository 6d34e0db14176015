//! A processor: takes over at the tail, drops repeats, commits with its state, or loses and begins again.

use super::state::{Processor, Seen, State, Tail};
use super::{Event, Naive, Sessions};
use crate::step::Step;

impl Sessions {
    pub(super) fn processor(&self, state: &State, at: usize, steps: &mut Vec<Step<Event, State>>) {
        let tail = &state.tail;
        let mut to = |event, processor, tail: Tail| {
            let mut next = state.clone();
            next.processors[at] = Some(processor);
            next.processors.sort_unstable();
            next.tail = tail;
            steps.push(Step { event, next });
        };
        let at_tail = |tail: &Tail| Processor {
            start: tail.next,
            position: tail.next,
            low: tail.seen.low,
            parts: tail.seen.parts.clone(),
            rows: Vec::new(),
        };
        let Some(processor) = &state.processors[at] else {
            return to(Event::Assigned { processor: at, next: tail.next }, at_tail(tail), tail.clone());
        };
        let seen = Seen { low: processor.low, parts: processor.parts.clone() };
        if let Some(message) = state.log.get(processor.position) {
            let mut after = seen.clone();
            let counts = after.take(&self.0, *message);
            let mut rows = processor.rows.clone();
            if counts {
                rows.push((processor.position, (message.part.number, message.part.part)));
            }
            let event = Event::Reads { processor: at, part: message.part, counts };
            let (position, Seen { low, parts }) = (processor.position + 1, after);
            to(event, Processor { start: processor.start, position, low, parts, rows }, tail.clone());
        }
        if processor.position > processor.start && processor.start == tail.next {
            let mut committed = tail.clone();
            committed.next = processor.position;
            committed.taken.extend(processor.rows.iter().map(|(_, part)| *part));
            committed.seen = if self.0.is(Naive::Unsaved) { Seen::default() } else { seen };
            let event = Event::Commits { processor: at, start: processor.start, next: processor.position };
            let after = Processor { start: processor.position, rows: Vec::new(), ..processor.clone() };
            to(event, after, committed);
        } else if processor.position > processor.start {
            let mut again = at_tail(tail);
            if self.0.is(Naive::KeepsState) {
                again = Processor { low: seen.low, parts: seen.parts, ..again };
            }
            to(Event::Loses { processor: at, next: tail.next }, again, tail.clone());
        }
    }
}
