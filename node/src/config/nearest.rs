//! What a misspelt name was probably meant to be.

/// Names longer than this are not compared: no key or name is.
const LONGEST: usize = 64;

/// How many names a remedy lists at most, so that it stays one readable line.
const LISTED: usize = 40;

/// The known name closest to `wrong`, if it is close enough to be what was meant.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = wrong.chars().count();
    if length > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= (length / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// The names as a list of words, cut where it gets long.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len() > LISTED;
    names.truncate(LISTED);
    let list = names.join(", ");
    if more { format!("{list}, …") } else { list }
}

/// How many letters to insert, remove, replace or swap with their neighbour, row by row.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(row[j] + 1).min(above[j + 1] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found() {
        let known = ["path", "path_prefix", "path_regex", "methods"];
        assert_eq!(nearest("path_prefx", known), Some("path_prefix"));
        assert_eq!(nearest("method", known), Some("methods"));
        assert_eq!(nearest("pth", known), Some("path"));
    }

    #[test]
    fn an_unlike_name_is_not() {
        assert_eq!(nearest("certificates", ["address"]), None);
        assert_eq!(nearest(&"a".repeat(1000), ["a"]), None);
    }

    #[test]
    fn distances_are_counted_in_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("feul", "fuel"), 1);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<_> = (0..100).map(|n| format!("n{n:03}")).collect();
        let list = listed(names.iter().map(String::as_str));
        assert!(
            list.starts_with("n000, n001,") && list.ends_with("n039, …"),
            "{list}"
        );
    }
}
