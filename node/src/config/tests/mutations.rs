//! Files that went wrong in every way chance finds.

use proptest::prelude::*;

use super::*;

/// Text that means something somewhere in TOML or in a configuration.
const SPLINTERS: &[&str] = &[
    "",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    "\"",
    "'",
    "\"\"\"",
    "\\",
    "\n",
    "\r",
    "\u{feff}",
    "\0",
    "ä",
    "${",
    "${A",
    "$${",
    "-1",
    "99999999999999999999",
    "1e9",
    "nan",
    "true",
    "\"5s\"",
    "0x",
    "_",
    ".",
    "a.b",
    "[routes]",
    "[[server]]",
    "[functions.hello.limits]",
    "[routes.respond]",
    "fuel = 1",
    "x = 1979-05-27",
    "#",
    "functions = [\"hello\"]",
    "\u{1b}",
];

#[derive(Clone, Debug)]
enum Mutation {
    /// Removes some characters.
    Cut(usize),
    /// Puts a splinter in.
    Insert(usize),
    /// Puts a splinter in the place of the rest of the line.
    Replace(usize),
    /// Writes a line a second time.
    Repeat,
    /// Cuts the file off.
    Truncate,
}

fn mutation() -> impl Strategy<Value = (usize, Mutation)> {
    let splinter = 0..SPLINTERS.len();
    let kind = prop_oneof![
        (1..40_usize).prop_map(Mutation::Cut),
        splinter.clone().prop_map(Mutation::Insert),
        splinter.prop_map(Mutation::Replace),
        Just(Mutation::Repeat),
        Just(Mutation::Truncate),
    ];
    (any::<prop::sample::Index>(), kind).prop_map(|(at, kind)| (at.index(1 << 20), kind))
}

fn mutate(text: &str, at: usize, mutation: &Mutation) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = at % (characters.len() + 1);
    let (before, after) = characters.split_at(at);
    let line_end = after.iter().position(|c| *c == '\n').unwrap_or(after.len());
    let line_start = before.iter().rposition(|c| *c == '\n').map_or(0, |n| n + 1);
    let pieces: [&[char]; 3] = match mutation {
        Mutation::Cut(count) => [before, &after[(*count).min(after.len())..], &[]],
        Mutation::Insert(_) => [before, &[], after],
        Mutation::Replace(_) => [before, &[], &after[line_end..]],
        Mutation::Repeat => [before, &characters[line_start..at + line_end], after],
        Mutation::Truncate => [before, &[], &[]],
    };
    let splinter = match mutation {
        Mutation::Insert(which) | Mutation::Replace(which) => SPLINTERS[*which],
        _ => "",
    };
    let [first, middle, last] = pieces.map(|piece| piece.iter().collect::<String>());
    [first.as_str(), splinter, &middle, &last].concat()
}

fn check(text: &str) {
    let problems = parse_text(text).problems;
    let lines = text.matches('\n').count() + 1;
    let mut last = 1;
    for (position, problem) in problems.iter().enumerate() {
        let shown = problem.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(problem.line >= last && problem.line <= lines, "{shown}");
        assert!(
            !problem.path.is_empty() && !problem.remedy.is_empty(),
            "{shown}"
        );
        assert!(!problems[..position].contains(problem), "twice: {shown}");
        last = problem.line;
    }
}

proptest! {
    #[test]
    fn mutated_examples_give_problems_and_never_a_panic(
        mutations in prop::collection::vec(mutation(), 1..8),
    ) {
        let mut text = text_of("proxy-config.toml");
        for (at, mutation) in &mutations {
            text = mutate(&text, *at, mutation);
        }
        check(&text);
    }

    #[test]
    fn splinters_alone_neither(
        splinters in prop::collection::vec(prop::sample::select(SPLINTERS), 0..60),
    ) {
        check(&splinters.concat());
        check(&splinters.join(" "));
        check(&splinters.join("\n"));
    }

    #[test]
    fn any_text_neither(text in any::<String>()) {
        check(&text);
    }
}
