//! Counts from a chunk's directory alone, as far as that goes.

use loglake_chunk::Contents;
use loglake_model::{LevelCounts, TimeRange, Window};
use loglake_search::Steps;

/// What a directory says, and what it leaves open.
#[derive(Debug, Default)]
pub(super) struct FromDirectory {
    /// The first nanosecond of a step, and records by level; steps may stand several times.
    pub(super) counts: Vec<(i64, LevelCounts)>,
    /// Blocks that must be read, by their number.
    pub(super) blocks: Vec<usize>,
    /// Of their records those in these sixtieths have not been counted yet.
    pub(super) open: Sixtieths,
}

/// Some sixtieths of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sixtieths {
    start_ns: i64,
    /// How long one is; 0 for those of no window.
    length_ns: i64,
    mask: u64,
}

impl Sixtieths {
    fn none_of(window: Window) -> Self {
        Self { start_ns: window.start_ns, length_ns: window.length_ns / Window::STEPS as i64, mask: 0 }
    }

    /// The sixtieths from `min_ns` to `max_ns`, both within the window.
    fn between(self, min_ns: i64, max_ns: i64) -> u64 {
        let (first, last) = (self.number(min_ns), self.number(max_ns));
        (u64::MAX >> (63 - last.min(63))) & (u64::MAX << first.min(63))
    }

    fn number(self, at_ns: i64) -> u32 {
        let number = at_ns.saturating_sub(self.start_ns).checked_div(self.length_ns).unwrap_or(0);
        u32::try_from(number).unwrap_or(0).min(Window::STEPS as u32 - 1)
    }

    /// Whether `at_ns`, a moment of the window, falls into one of them.
    pub(super) fn holds(self, at_ns: i64) -> bool {
        self.mask >> self.number(at_ns) & 1 == 1
    }
}

/// Counts the records of `range` in `steps` by what `contents` says. A sixtieth within one step and the range is counted as a
/// whole; a block of others, within one step and the range, by its row; what is cut through is left open.
pub(super) fn count(contents: &Contents, range: TimeRange, steps: Steps) -> FromDirectory {
    let (window, profile, rows) = (contents.head().window, contents.profile(), contents.blocks());
    let is_whole = |min_ns, max_ns| range.contains(min_ns) && range.contains(max_ns) && steps.is_one(min_ns, max_ns);
    let mut found = FromDirectory { open: Sixtieths::none_of(window), ..FromDirectory::default() };
    let mut counted = 0_u64;
    let (chunk_min_ns, chunk_max_ns) =
        rows.iter().fold((i64::MAX, i64::MIN), |(min, max), row| (min.min(row.min_ns), max.max(row.max_ns)));
    for (start_ns, counts) in profile.steps() {
        // Its records lie within the chunk's own bounds.
        let min_ns = start_ns.max(chunk_min_ns);
        let max_ns = start_ns.saturating_add(profile.step_ns() - 1).min(chunk_max_ns);
        let bit = 1_u64 << found.open.number(start_ns);
        if is_whole(min_ns, max_ns) {
            counted |= bit;
            found.counts.push((steps.start_of(min_ns), *counts));
        } else if range.overlaps(min_ns, max_ns) {
            found.open.mask |= bit;
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let touched = found.open.between(row.min_ns, row.max_ns);
        if touched & found.open.mask == 0 || !range.overlaps(row.min_ns, row.max_ns) {
            continue;
        }
        if touched & counted == 0 && is_whole(row.min_ns, row.max_ns) {
            found.counts.push((steps.start_of(row.min_ns), row.levels.map(u64::from)));
        } else {
            found.blocks.push(number);
        }
    }
    found
}
