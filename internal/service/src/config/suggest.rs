/// The known name that `written` was probably meant to be.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > 64 {
        return None;
    }
    let allowed = 1 + written.len() / 5;
    known
        .into_iter()
        .map(|name| (distance(written.as_bytes(), name.as_bytes()), name))
        .filter(|(far, _)| *far <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let known = ["processor.flush_bytes", "processor.flush_interval", "store.bucket"];
        assert_eq!(nearest("processor.flush_byte", known), Some("processor.flush_bytes"));
        assert_eq!(nearest("store.buckte", known), Some("store.bucket"));
        assert_eq!(nearest("quite.something.else", known), None);
    }
}
