//! The processes that compile: they outlive neither the node nor what they are asked for, and can be replaced.

use std::fs;
use std::time::Instant;

use super::{endless_to_compile, good, limited};
use crate::harness::Node;
use crate::harness::kernel::can_sandbox;
use crate::harness::lines::PATIENCE;
use crate::harness::node::signal;

/// State and parent of a process, unless it is gone.
fn status(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn gone(process: u32) -> bool {
    status(process).is_none_or(|(state, _)| state == 'Z')
}

fn child(of: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .find(|process| {
            status(*process).is_some_and(|(state, parent)| parent == of && state != 'Z')
        })
}

fn wait_for<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match found() {
            Some(found) => return found,
            None => assert!(Instant::now() < deadline, "waited in vain: {what}"),
        }
        std::thread::yield_now();
    }
}

fn launcher(node: &Node) -> u32 {
    wait_for("a launcher", || child(node.process()))
}

fn all_gone(processes: &[u32]) {
    for process in processes {
        wait_for("its end", || gone(*process).then_some(()));
    }
}

/// Has the node compile a module that takes it minutes: its launcher and the job.
fn busy(node: &Node) -> (u32, u32) {
    node.replace("f", endless_to_compile());
    node.signal("HUP");
    let launcher = launcher(node);
    (launcher, wait_for("a job", || child(launcher)))
}

#[test]
fn no_process_is_left_when_the_node_ends() {
    for name in ["TERM", "KILL"] {
        let mut node = limited("").start();
        let idle = launcher(&node);
        node.signal(name);
        node.exit();
        all_gone(&[idle]);
    }
}

#[test]
fn a_compilation_under_way_ends_with_the_node() {
    for name in ["TERM", "KILL"] {
        let mut node = limited("").start();
        let (launcher, job) = busy(&node);
        node.signal(name);
        node.exit();
        all_gone(&[launcher, job]);
    }
}

#[test]
fn a_launcher_that_is_killed_refuses_the_reload_and_is_replaced_at_the_next() {
    let node = limited("").start();
    let (launcher, job) = busy(&node);
    let seen = node.stderr.count();
    signal(launcher, "KILL");
    let refused = node
        .stderr
        .find_from(seen, |line| line.contains("reload refused"));
    let refused = refused.expect("no line about the reload");
    assert!(refused.contains("the compile launcher ended"), "{refused}");
    all_gone(&[launcher, job]);
    assert_eq!(node.get("/").status, 200);
    node.replace("f", [&good()[..], b"\0\x02\x01x"].concat());
    node.reload_files().unwrap();
    assert_eq!(node.get("/").status, 200);
}

#[test]
fn a_job_that_is_killed_refuses_the_reload_and_the_launcher_works_on() {
    let node = limited("").start();
    let (launcher, job) = busy(&node);
    let seen = node.stderr.count();
    signal(job, "KILL");
    let refused = node
        .stderr
        .find_from(seen, |line| line.contains("reload refused"));
    let refused = refused.expect("no line about the reload");
    assert!(refused.contains("SIGKILL"), "{refused}");
    node.replace("f", [&good()[..], b"\0\x02\x01x"].concat());
    node.reload_files().unwrap();
    assert_eq!(self::launcher(&node), launcher);
}

#[test]
fn signals_that_reach_all_processes_of_a_terminal_or_service_do_not_end_the_launcher() {
    let node = limited("").start();
    let idle = launcher(&node);
    for name in ["INT", "HUP", "TERM"] {
        signal(idle, name);
    }
    node.replace("f", [&good()[..], b"\0\x02\x01x"].concat());
    node.reload_files().unwrap();
    assert_eq!(launcher(&node), idle);
}

#[test]
fn a_job_is_sandboxed_where_the_kernel_can() {
    if !can_sandbox() {
        return;
    }
    let node = limited("").start();
    let (_, job) = busy(&node);
    wait_for("its sandbox", || {
        let status = fs::read_to_string(format!("/proc/{job}/status")).ok()?;
        let walled = status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n");
        walled.then_some(())
    });
}
