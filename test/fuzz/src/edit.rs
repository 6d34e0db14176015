//! Damage done to bytes that an encoder wrote.

use arbitrary::Arbitrary;

/// A list of damages, done in order.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Edits(Vec<Edit>);

/// One damage. Positions are taken modulo the length.
#[derive(Arbitrary, Clone, Debug)]
enum Edit {
    Set { at: u32, byte: u8 },
    Number { at: u32, value: u32 },
    Cut { at: u32 },
    Remove { at: u32, length: u8 },
    Insert { at: u32, bytes: [u8; 3] },
    Append { bytes: [u8; 9], repeat: u8 },
}

impl Edits {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does all of them.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        for edit in &self.0 {
            let place = |at: u32| at as usize % bytes.len().max(1);
            match *edit {
                Edit::Set { at, byte } => {
                    let at = place(at);
                    bytes.get_mut(at).into_iter().for_each(|there| *there = byte);
                }
                Edit::Number { at, value } => {
                    let at = place(at);
                    bytes.iter_mut().skip(at).zip(value.to_le_bytes()).for_each(|(there, byte)| *there = byte);
                }
                Edit::Cut { at } => bytes.truncate(place(at)),
                Edit::Remove { at, length } => {
                    let at = place(at);
                    let end = (at + usize::from(length)).min(bytes.len());
                    bytes.drain(at..end);
                }
                Edit::Insert { at, bytes: more } => {
                    let at = place(at).min(bytes.len());
                    bytes.splice(at..at, more);
                }
                Edit::Append { bytes: more, repeat } => {
                    (0..=repeat).for_each(|_| bytes.extend_from_slice(&more));
                }
            }
        }
    }
}
