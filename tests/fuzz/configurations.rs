//! Configurations gone wrong: never a panic, always a configuration or a problem, at a line there is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use aegis_node::config::{self, Parsed};
use proptest::prelude::*;

use super::campaign::Campaign;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// For files of ordinary size, on a busy machine, without optimisation.
const SOON: Duration = Duration::from_secs(10);

/// The longest file the node reads.
const LONGEST: usize = 1 << 20;

/// For the longest file of the worst kind, likewise.
const AT_LAST: Duration = Duration::from_secs(120);

/// Values that are right for some key, or nearly.
const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "\"5s\"",
    "\"0ms\"",
    "\"1MiB\"",
    "\"99999999GiB\"",
    "\"/a\"",
    "\"/a/../b\"",
    "\"127.0.0.1:80\"",
    "\"[::1]:0\"",
    "\"a.example\"",
    "\"*\"",
    "\"*.a\"",
    "\"${X:-1}\"",
    "\"${\"",
    "\"ä\\u0000\"",
    "[]",
    "[1]",
    "[\"a\"]",
    "[[\"a\"], 1]",
    "{}",
    "{ a = 1 }",
    "{ status = 200 }",
    "1979-05-27",
    "inf",
    "9223372036854775808",
    "\"hello\"",
    "[\"hello\"]",
    "\"origin\"",
    "\"redis://a\"",
    "\"fail\"",
    "\"(\"",
    "\"(a{1000}){1000}\"",
];

/// Text that means something somewhere in TOML.
const SPLINTERS: &[&str] = &[
    "",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "#",
    "\u{feff}",
    "ä",
    "\u{2028}",
    "${",
    "$${",
    "[[routes]]\n",
    "[server]\n",
];

fn parse(text: &str) -> Parsed {
    config::parse(text, Path::new("/etc/aegis"), &|_| None)
}

/// Parses `text` and checks what was found.
fn check(text: &str, most: Duration) -> usize {
    let started = Instant::now();
    let problems = parse(text).problems;
    let took = started.elapsed();
    assert!(took < most, "{} bytes took {took:?}", text.len());
    let lines = text.matches('\n').count() + 1;
    for problem in &problems {
        let shown = problem.to_string();
        assert!(
            (1..=lines).contains(&problem.line),
            "of {lines} lines: {shown}"
        );
        assert!(
            !problem.message.is_empty() && !problem.remedy.is_empty(),
            "{shown}"
        );
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if toml::from_str::<toml::Table>(text).is_err() {
        assert!(
            !problems.is_empty(),
            "no TOML, and nothing to say about it:\n{text}"
        );
    }
    problems.len()
}

/// The configuration with every key, and every fixture.
fn originals() -> Vec<String> {
    let root = Path::new(ROOT);
    let folder = fs::read_dir(root.join("tests/fixtures/config")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 50, "only {} fixtures found", files.len());
    files.sort();
    files.push(root.join("proxy-config.toml"));
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// Every key and every header of a section that `proxy-config.toml` has, commented out or not.
fn vocabulary() -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(Path::new(ROOT).join("proxy-config.toml")).unwrap();
    let (mut keys, mut headers) = (Vec::new(), Vec::new());
    for line in text.lines().map(|line| line.trim_start_matches('#')) {
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        match line.split_once(" = ") {
            Some((key, _)) if word(key) => keys.push(key.to_owned()),
            _ if line.starts_with('[') => {
                headers.extend(line.split(" #").next().map(str::to_owned))
            }
            _ => {}
        }
    }
    assert!(keys.len() > 40 && headers.len() > 8, "{keys:?} {headers:?}");
    (keys, headers)
}

/// A change somewhere in a text.
#[derive(Clone, Debug)]
enum Edit {
    Insert(String),
    /// Removes so many characters.
    Cut(usize),
    /// Repeats so many characters so often.
    Repeat(usize, usize),
    Truncate,
}

fn edit() -> impl Strategy<Value = (prop::sample::Index, Edit)> {
    let (keys, _) = vocabulary();
    let line = (prop::sample::select(keys), prop::sample::select(VALUES))
        .prop_map(|(key, value)| format!("\n{key} = {value}\n"));
    let splinter = prop::sample::select(SPLINTERS).prop_map(str::to_owned);
    let kind = prop_oneof![
        4 => splinter.prop_map(Edit::Insert),
        4 => line.prop_map(Edit::Insert),
        2 => any::<char>().prop_map(|c| Edit::Insert(c.to_string())),
        3 => (1..40_usize).prop_map(Edit::Cut),
        1 => (1..400_usize, 1..4_usize).prop_map(|(length, times)| Edit::Repeat(length, times)),
        1 => Just(Edit::Truncate),
    ];
    (any::<prop::sample::Index>(), kind)
}

fn apply(text: &str, (at, edit): &(prop::sample::Index, Edit)) -> String {
    let characters: Vec<char> = text.chars().collect();
    let (before, after) = characters.split_at(at.index(characters.len() + 1));
    let text = |part: &[char]| part.iter().collect::<String>();
    let (before, rest) = (text(before), text(after));
    let start = |length: &usize| &after[..(*length).min(after.len())];
    match edit {
        Edit::Insert(splinter) => before + splinter + &rest,
        Edit::Cut(length) => before + &text(&after[start(length).len()..]),
        Edit::Repeat(length, times) => before + &text(start(length)).repeat(*times) + &rest,
        Edit::Truncate => before,
    }
}

#[test]
fn mutated_configurations_give_problems_and_never_a_panic() {
    let campaign = Campaign::new("mutated_configurations", 400);
    let strategy = (
        prop::sample::select(originals()),
        prop::collection::vec(edit(), 1..6),
    );
    let check = |(original, edits): (String, Vec<_>)| {
        let text = edits.iter().fold(original, |text, edit| apply(&text, edit));
        check(&text, SOON);
        Ok(())
    };
    campaign.runner().run(&strategy, check).unwrap();
    campaign.report("done");
}

#[test]
fn any_values_for_our_keys_give_problems_and_never_a_panic() {
    let campaign = Campaign::new("any_values_for_our_keys", 400);
    let (keys, headers) = vocabulary();
    let pair = (prop::sample::select(keys), prop::sample::select(VALUES));
    let pairs = prop::collection::vec(pair, 0..8);
    let strategy = prop::collection::vec((prop::sample::select(headers), pairs), 0..12);
    let check = |sections: Vec<(String, Vec<(String, &str)>)>| {
        let mut text = String::new();
        for (header, mut pairs) in sections {
            text.push_str(&format!("{header}\n"));
            pairs.sort();
            pairs.dedup_by(|one, other| one.0 == other.0);
            for (key, value) in pairs {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        check(&text, SOON);
        Ok(())
    };
    campaign.runner().run(&strategy, check).unwrap();
    campaign.report("done");
}

#[test]
fn any_text_gives_problems_and_never_a_panic() {
    let campaign = Campaign::new("any_text", 800);
    let splinters = prop::collection::vec(prop::sample::select(SPLINTERS), 0..80);
    let strategy = prop_oneof![any::<String>(), splinters.prop_map(|parts| parts.concat())];
    let check = |text: String| {
        check(&text, SOON);
        Ok(())
    };
    campaign.runner().run(&strategy, check).unwrap();
    campaign.report("done");
}

#[test]
fn the_longest_files_of_the_worst_kinds_take_bounded_time() {
    let campaign = Campaign::new("the_longest_files", 1);
    // A sixteenth in the short run: what is worse than linear shows in the long one.
    let longest = if campaign.is_long() {
        LONGEST
    } else {
        LONGEST / 16
    };
    for kind in [
        "[",
        "a = [",
        "{a=",
        "a.",
        "x = ",
        "= \n",
        "\n",
        "[a]\n",
        "[[routes]]\n",
        "\"",
        "\\",
        "ä = ",
        "[[functions.a]]\n",
        "[functions.a.b]\n",
        "a = 1\n",
        "[[routes]]\npath = \"/\"\n",
        "thread = 1\n",
        "x = \"${A}\"\n",
        "[[routes]]\nhosts = [\"*\"]\nfunctions = [\"a\"]\n",
        "'''\n",
        "#\r",
    ] {
        let started = Instant::now();
        let found = check(&kind.repeat(longest / kind.len()), AT_LAST);
        campaign.report(&format!(
            "{kind:?}: {found} problems, {:.1?}",
            started.elapsed()
        ));
    }
    let keys: String = (0..longest / 16)
        .map(|number| format!("k{number} = 1\n"))
        .collect();
    let found = check(&keys, AT_LAST);
    campaign.report(&format!("many keys: {found} problems"));
}
