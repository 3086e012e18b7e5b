//! `[server] sandbox = true`: the process gave up what it does not need, and still does all its work. What code inside
//! it can no longer do is tried in `tests/escape`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Output;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use tempfile::TempDir;

use crate::harness::kernel::can_sandbox;
use crate::harness::{EGRESS, Https, Node, Redis, aegis, answers, module, node, printed, report};

const SANDBOX: &str = "[server]\nsandbox = true";

fn saying(text: &str) -> String {
    module(&format!(
        "(drop (call $response_set_body {{{text}}})) (i32.const 0)"
    ))
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(saying(text)).unwrap()
}

/// A route to a function of the module file `{module}`.
fn of_module(module: &Path) -> String {
    format!(
        "{SANDBOX}\n[functions.f]\nmodule = \"{}\"\n[[routes]]\nfunctions = [\"f\"]",
        module.display()
    )
}

/// Fields of `/proc/PID/status`, of each thread.
fn statuses(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
        .collect()
}

#[test]
fn every_thread_is_under_the_filter_and_without_new_privileges() {
    if !can_sandbox() {
        return;
    }
    let node = answers(SANDBOX, &saying("served")).start();
    assert_eq!(node.get("/").text(), "served");
    let statuses = statuses(node.process());
    assert!(statuses.len() > 4, "{} threads", statuses.len());
    for status in statuses {
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        assert!(status.contains("Seccomp:\t2\n"), "{status}");
    }
}

#[test]
fn without_the_key_nothing_is_given_up() {
    let node = node("[server]\nsandbox = false\n[[routes]]\nrespond = { status = 200 }").start();
    for status in statuses(node.process()) {
        assert!(status.contains("Seccomp:\t0\n"), "{status}");
    }
}

#[test]
fn the_caches_of_both_kinds_work() {
    if !can_sandbox() {
        return;
    }
    let remember = report(
        "(call $tried (call $cache_set {k} {value} (i32.const 60)))
         (call $text (call $cache_get {k}))",
    );
    let embedded = answers(SANDBOX, &remember).start();
    assert_eq!(embedded.get("/").text(), "0\nvalue\n");
    let redis = Redis::start();
    let store = format!("{SANDBOX}\n[cache]\nurl = \"redis://{}\"", redis.address);
    let remote = answers(&store, &remember).start();
    assert_eq!(remote.get("/").text(), "0\nvalue\n");
    assert_eq!(redis.query(&["GET", "aegis:f:k"]), "value");
}

#[test]
fn https_calls_work_and_trust_their_own_authority() {
    if !can_sandbox() {
        return;
    }
    let https = Https::start(|_| crate::harness::Answer::ok("hello"));
    let fetch = report(&format!(
        "(call $text (call $http_get {{{}}}))",
        https.url("/")
    ));
    let setup = answers(&format!("{EGRESS}\n{SANDBOX}"), &fetch);
    let node = https.reachable_from(setup).start();
    assert_eq!(node.get("/").text(), "hello\n");
}

#[test]
fn names_of_backends_are_looked_up_at_start_and_at_a_reload() {
    if !can_sandbox() {
        return;
    }
    let toml = |host: &str| {
        format!(
            "{SANDBOX}\n[upstreams.o]\nbackends = [\"{host}:9\"]\n[[routes]]\nupstream = \"o\"\n\
             [[routes]]\npath = \"/own\"\nrespond = {{ status = 200 }}"
        )
    };
    let mut node = node(&toml("localhost")).start();
    assert_eq!(node.get("/own").status, 200);
    node.reload(&format!(
        "{}\n[cache]\ncapacity = \"32MiB\"",
        toml("localhost")
    ))
    .unwrap();
}

#[test]
fn a_module_replaced_by_renaming_and_one_beside_it_are_served_after_a_reload() {
    if !can_sandbox() {
        return;
    }
    let mut node = answers(SANDBOX, &saying("old")).start();
    node.replace("f", wasm("new"));
    node.reload_files().unwrap();
    assert_eq!(node.get("/").text(), "new");
    node.replace("g", wasm("beside"));
    node.reload(&of_module(Path::new("g.wasm"))).unwrap();
    assert_eq!(node.get("/").text(), "beside");
}

#[test]
fn a_reload_that_names_a_file_outside_is_refused_and_the_old_configuration_serves() {
    if !can_sandbox() {
        return;
    }
    let elsewhere = TempDir::new().unwrap();
    let outside = elsewhere.path().join("x.wasm");
    fs::write(&outside, wasm("outside")).unwrap();
    let mut node = answers(SANDBOX, &saying("old")).start();
    let refused = |node: &mut Node, toml: &str, reason: &str| {
        let line = node.reload(toml).unwrap_err();
        assert!(
            line.contains(reason) && line.contains("needs a restart"),
            "{line}"
        );
        assert_eq!(node.get("/").text(), "old");
    };
    let reason = format!(
        "functions.f.module: {} is outside what the sandbox may read",
        outside.display()
    );
    refused(&mut node, &of_module(&outside), &reason);
    symlink(&outside, node.path("link.wasm")).unwrap();
    let link = "link.wasm is outside what the sandbox may read";
    refused(&mut node, &of_module(Path::new("link.wasm")), link);
    let store = format!(
        "{}\n[edge]\ncache_dir = \"{}\"",
        of_module(Path::new("f.wasm")),
        elsewhere.path().display()
    );
    refused(&mut node, &store, "is outside what the sandbox may write");
}

#[test]
fn the_key_itself_needs_a_restart() {
    if !can_sandbox() {
        return;
    }
    let route = "[[routes]]\nrespond = { status = 200 }";
    let mut sandboxed = node(&format!("{SANDBOX}\n{route}")).start();
    let mut free = node(&format!("[server]\nsandbox = false\n{route}")).start();
    let reason = "server.sandbox changed, which needs a restart";
    let line = sandboxed.reload(&format!("[server]\nsandbox = false\n{route}"));
    assert!(line.unwrap_err().contains(reason));
    let line = free.reload(&format!("{SANDBOX}\n{route}")).unwrap_err();
    assert!(line.contains(reason), "{line}");
}

#[test]
fn compiled_modules_are_kept_in_a_folder_made_at_the_start_and_found_by_the_next() {
    if !can_sandbox() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("made/at/start");
    let toml = format!("{SANDBOX}\n[edge]\ncache_dir = \"{}\"", kept.display());
    let served = || {
        let node = answers(&toml, &saying("served")).start();
        assert_eq!(node.get("/").text(), "served");
        let log = node.stderr.all().join("\n");
        assert!(!log.contains("compiled module"), "{log}");
        let files: Vec<_> = fs::read_dir(&kept).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 1);
        let metadata = files[0].metadata().unwrap();
        (
            (files[0].path(), metadata.ino()),
            metadata.modified().unwrap(),
        )
    };
    let ((first, made), (second, used)) = (served(), served());
    assert_eq!(first, second, "it was not compiled again");
    assert!(used > made, "that it is in use was not noted");
}

/// Runs a sandboxed node on a kernel that answers `call` as `errno`, as one without it does.
fn run_without(call: i64, errno: i32) -> Output {
    let setup = node(&format!(
        "{SANDBOX}\n[[routes]]\nrespond = {{ status = 200 }}"
    ));
    assert_eq!(setup.check(&[]).0, Some(0));
    let lacking: BpfProgram = SeccompFilter::new(
        [(call, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap();
    // The filter is for that thread and its children.
    let run = move || {
        apply_filter(&lacking).unwrap();
        aegis(&["run", "-c", setup.path("aegis.toml").to_str().unwrap()])
    };
    thread::spawn(run).join().unwrap()
}

#[test]
fn where_the_kernel_lacks_a_part_the_start_fails_and_says_which() {
    for (call, errno, part) in [
        (libc::SYS_landlock_create_ruleset, libc::ENOSYS, "landlock"),
        (
            libc::SYS_landlock_create_ruleset,
            libc::EOPNOTSUPP,
            "landlock",
        ),
        (libc::SYS_landlock_restrict_self, libc::EPERM, "landlock"),
        (libc::SYS_seccomp, libc::EINVAL, "seccomp"),
    ] {
        let output = run_without(call, errno);
        let printed = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(
            printed.contains("sandbox") && printed.contains(part) && !printed.contains("listening"),
            "{printed}"
        );
    }
}
