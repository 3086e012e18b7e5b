//! Each file of `tests/fixtures/config` breaks one rule, and says in its `# expect:` lines what is
//! to be reported: all of it, and nothing else.

use super::*;

fn expected(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# expect: "))
        .collect()
}

#[test]
fn each_fixture_has_exactly_the_problems_it_announces() {
    let folder = Path::new(ROOT).join("tests/fixtures/config");
    let mut fixtures = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected = expected(&text);
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        assert_eq!(shown(&parse_text(&text)), expected, "{}", path.display());
        fixtures += 1;
    }
    assert!(fixtures > 50, "only {fixtures} fixtures found");
}

#[test]
fn five_planted_errors_are_five_problems_each_with_path_line_and_remedy() {
    let text = text_of("tests/fixtures/config/five_planted_errors.toml");
    let problems = parse_text(&text).problems;
    let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "server.thread",
            "upstreams.origin.read_timeout",
            "functions.rates.limits.fuel",
            "routes[0].functions[0]",
            "routes[1].respond",
        ]
    );
    for problem in problems {
        let key = problem.path.rsplit('.').next().unwrap();
        let key = key.trim_end_matches("[0]");
        let line = text.lines().nth(problem.line - 1).unwrap();
        assert!(line.contains(key), "{problem} is not in {line:?}");
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
    }
}

#[test]
fn what_variables_hold_is_not_shown() {
    let text = text_of("tests/fixtures/config/environment.toml");
    let problems = shown(&parse_text(&text)).join("\n");
    assert!(problems.contains("CACHE_PASSWORD"), "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}
