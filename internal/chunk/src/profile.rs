use loglake_model::{Level, LevelCounts, Window};

use crate::cursor::{Cursor, put_varint};

/// How many records of each level fall into each sixtieth of a chunk's window.
///
/// A count whose steps are whole sixtieths (minutes of the hourly window) is answered from it without reading a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeProfile {
    window: Window,
    /// The steps that hold a record, in order.
    steps: Vec<(u8, LevelCounts)>,
}

/// Adds the counts of one level array to another.
pub(crate) fn add(sum: &mut LevelCounts, counts: &LevelCounts) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

impl TimeProfile {
    pub(crate) fn empty(window: Window) -> Self {
        Self { window, steps: Vec::new() }
    }

    /// Becomes empty, for `window`.
    pub(crate) fn reset(&mut self, window: Window) {
        self.window = window;
        self.steps.clear();
    }

    /// The length of a step, in nanoseconds: a sixtieth of the window.
    #[must_use]
    pub fn step_ns(&self) -> i64 {
        self.window.length_ns / Window::STEPS as i64
    }

    /// The steps that hold a record, earliest first: the step's first nanosecond, and its records by level.
    pub fn steps(&self) -> impl Iterator<Item = (i64, &LevelCounts)> {
        self.steps
            .iter()
            .map(|(step, counts)| (self.window.start_ns.saturating_add(i64::from(*step) * self.step_ns()), counts))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<(u8, LevelCounts)>()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (step, counts) in &other.steps {
            match self.steps.binary_search_by_key(step, |(step, _)| *step) {
                Ok(at) => add(&mut self.steps[at].1, counts),
                Err(at) => self.steps.insert(at, (*step, *counts)),
            }
        }
    }

    /// Counts `records` of the level in `slot` in `step`, which is not before any step counted so far.
    #[inline]
    pub(crate) fn count(&mut self, step: u8, slot: usize) {
        if self.steps.last().is_none_or(|(last, _)| *last != step) {
            self.steps.push((step, LevelCounts::default()));
        }
        if let Some((_, counts)) = self.steps.last_mut() {
            counts[slot] += 1;
        }
    }

    /// Appends: how many steps (varint); each as its distance from the step before (varint; the first from 0, then at least
    /// 1), a byte with a bit for each level that occurs (bit 0: unknown), and a varint count for each of these.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.steps.len() as u64);
        let mut before = 0;
        for (step, counts) in &self.steps {
            put_varint(out, u64::from(step - before));
            before = *step;
            out.push(counts.iter().enumerate().fold(0, |mask, (slot, count)| mask | u8::from(*count > 0) << slot));
            counts.iter().filter(|count| **count > 0).for_each(|count| put_varint(out, *count));
        }
    }

    pub(crate) fn decode(window: Window, cursor: &mut Cursor<'_>) -> Option<Self> {
        let count = usize::try_from(cursor.varint()?).ok().filter(|count| *count <= Window::STEPS)?;
        let mut steps: Vec<(u8, LevelCounts)> = Vec::with_capacity(count);
        for _ in 0..count {
            let distance = u8::try_from(cursor.varint()?).ok()?;
            let step = match steps.last() {
                Some(_) if distance == 0 => return None,
                Some((before, _)) => before.checked_add(distance)?,
                None => distance,
            };
            let mask = cursor.u8()?;
            if usize::from(step) >= Window::STEPS || mask == 0 || mask >> Level::COUNTED != 0 {
                return None;
            }
            let mut counts = LevelCounts::default();
            for (_, count) in counts.iter_mut().enumerate().filter(|(slot, _)| mask >> slot & 1 == 1) {
                *count = cursor.varint().filter(|count| *count > 0)?;
            }
            steps.push((step, counts));
        }
        Some(Self { window, steps })
    }

    /// All of it, by level; `None` if that passes 64 bits.
    pub(crate) fn totals(&self) -> Option<LevelCounts> {
        let mut totals = LevelCounts::default();
        for (_, counts) in &self.steps {
            for (total, count) in totals.iter_mut().zip(counts) {
                *total = total.checked_add(*count)?;
            }
        }
        Some(totals)
    }
}
