//! The filters, run as the kernel runs them.

use libc::{c_int, c_long};
use seccompiler::sock_filter;

use super::*;

const PROCESS: u32 = 1234;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOT_PERMITTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
const FOREIGN_ARCH: u32 = 0x4000_0003;

/// What the kernel would do about a call with these arguments.
fn answer(call: c_long, arguments: &[u64]) -> u32 {
    answer_with(UnixSockets::Denied, call, arguments)
}

fn answer_with(unix: UnixSockets, call: c_long, arguments: &[u64]) -> u32 {
    let filters = Filters::new(PROCESS, unix).expect("the filters are sound");
    let answers = filters
        .programs
        .map(|program| run(&program, ARCH, call, arguments));
    // An error counts before a permission, and a later one before an earlier.
    let [hidden, allowed] = answers;
    if allowed == ALLOW { hidden } else { allowed }
}

/// Classic BPF, as far as these programs use it, on `struct seccomp_data`.
fn run(program: &[sock_filter], arch: u32, call: c_long, arguments: &[u64]) -> u32 {
    let mut data = vec![u32::try_from(call).expect("a call"), arch, 0, 0];
    for argument in arguments.iter().chain(&[0; 6]).take(6) {
        data.extend([*argument as u32, (argument >> 32) as u32]);
    }
    let (mut at, mut loaded) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = &program[at];
        at += 1;
        let branch = |taken: bool| usize::from(if taken { *jt } else { *jf });
        match *code {
            0x20 => loaded = data[*k as usize / 4],
            0x54 => loaded &= k,
            0x05 => at += *k as usize,
            0x15 => at += branch(loaded == *k),
            0x25 => at += branch(loaded > *k),
            0x35 => at += branch(loaded >= *k),
            0x06 => return *k,
            _ => panic!("an instruction {code:#x}"),
        }
    }
}

fn bits(values: &[c_int]) -> u64 {
    let all = values.iter().fold(0, |all, bits| all | bits);
    u64::from(all.cast_unsigned())
}

/// Calls that no part of the node takes once it serves.
const NEVER: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tkill,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_personality,
    libc::SYS_pkey_mprotect,
    libc::SYS_shmat,
    libc::SYS_remap_file_pages,
    libc::SYS_seccomp,
    libc::SYS_landlock_restrict_self,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_mknodat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_setxattr,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_swapon,
    libc::SYS_syslog,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
];

#[test]
fn what_serving_never_takes_is_refused_whatever_the_arguments() {
    for call in NEVER {
        assert_eq!(answer(*call, &[]), NOT_PERMITTED, "call {call}");
    }
}

#[test]
fn calls_of_another_architecture_end_the_process() {
    let filters = Filters::new(PROCESS, UnixSockets::Denied).expect("the filters are sound");
    for program in &filters.programs {
        let answer = run(program, FOREIGN_ARCH, libc::SYS_read, &[]);
        assert_eq!(answer, libc::SECCOMP_RET_KILL_PROCESS);
    }
}

#[test]
fn memory_is_writable_or_executable_and_never_shared_code() {
    let (read, write, code) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let (private, shared) = (libc::MAP_PRIVATE, libc::MAP_SHARED);
    let mmap = |protection: &[c_int], kind: c_int| {
        let flags = bits(&[kind, libc::MAP_ANONYMOUS]);
        answer(libc::SYS_mmap, &[0, 4096, bits(protection), flags])
    };
    let mprotect =
        |protection: &[c_int]| answer(libc::SYS_mprotect, &[4096, 4096, bits(protection)]);
    assert_eq!(mmap(&[read, write], private), ALLOW);
    assert_eq!(mmap(&[read, write], shared), ALLOW);
    assert_eq!(mmap(&[read, code], private), ALLOW);
    assert_eq!(mmap(&[read, code], shared), NOT_PERMITTED);
    assert_eq!(mmap(&[read, write, code], private), NOT_PERMITTED);
    assert_eq!(mprotect(&[read, write]), ALLOW);
    assert_eq!(mprotect(&[read, code]), ALLOW);
    assert_eq!(mprotect(&[read, write, code]), NOT_PERMITTED);
    assert_eq!(mprotect(&[write, code]), NOT_PERMITTED);
}

#[test]
fn threads_are_started_and_nothing_else() {
    // As glibc and musl do.
    for flags in [0x003d_0f00, 0x007d_0f00] {
        assert_eq!(answer(libc::SYS_clone, &[flags]), ALLOW);
    }
    let thread = [libc::CLONE_VM, libc::CLONE_SIGHAND, libc::CLONE_THREAD];
    for flags in [
        bits(&[libc::SIGCHLD]),
        bits(&[libc::CLONE_VM, libc::CLONE_VFORK, libc::SIGCHLD]),
        bits(&thread) | bits(&[libc::CLONE_NEWNET]),
        bits(&thread) | bits(&[libc::CLONE_NEWUSER]),
    ] {
        assert_eq!(
            answer(libc::SYS_clone, &[flags]),
            NOT_PERMITTED,
            "{flags:#x}"
        );
    }
    assert_eq!(answer(libc::SYS_clone3, &[]), NOT_THERE);
}

#[test]
fn signals_and_limits_are_its_own() {
    let own = u64::from(PROCESS);
    let all = u64::from(u32::MAX);
    for call in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_prlimit64] {
        assert_eq!(answer(call, &[own, own]), ALLOW);
        for other in [1, own + 1, all] {
            assert_eq!(answer(call, &[other, own]), NOT_PERMITTED);
        }
    }
    // A group of processes, or a limit of the caller's.
    assert_eq!(answer(libc::SYS_kill, &[0]), NOT_PERMITTED);
    assert_eq!(answer(libc::SYS_prlimit64, &[0]), ALLOW);
}

#[test]
fn sockets_are_tcp_and_udp() {
    let socket = |family: c_int, kind: c_int, protocol: c_int| {
        let arguments = [bits(&[family]), bits(&[kind]), bits(&[protocol])];
        answer(libc::SYS_socket, &arguments)
    };
    let (stream, datagram) = (libc::SOCK_STREAM, libc::SOCK_DGRAM);
    for family in [libc::AF_INET, libc::AF_INET6] {
        assert_eq!(socket(family, stream | libc::SOCK_CLOEXEC, 0), ALLOW);
        assert_eq!(socket(family, datagram | libc::SOCK_NONBLOCK, 17), ALLOW);
        assert_eq!(socket(family, datagram, libc::IPPROTO_ICMP), NOT_PERMITTED);
        assert_eq!(socket(family, stream, libc::IPPROTO_SCTP), NOT_PERMITTED);
        assert_eq!(socket(family, libc::SOCK_RAW, 6), NOT_PERMITTED);
    }
    for family in [
        libc::AF_UNIX,
        libc::AF_NETLINK,
        libc::AF_PACKET,
        libc::AF_ALG,
    ] {
        assert_eq!(socket(family, stream, 0), NOT_PERMITTED, "family {family}");
    }
    let option = |level: c_int, name: c_int| {
        answer(libc::SYS_setsockopt, &[3, bits(&[level]), bits(&[name])])
    };
    assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_NODELAY), ALLOW);
    assert_eq!(option(libc::SOL_SOCKET, libc::SO_REUSEPORT), ALLOW);
    assert_eq!(option(libc::SOL_SOCKET, libc::SO_ATTACH_BPF), NOT_PERMITTED);
    // IPT_SO_SET_REPLACE
    assert_eq!(option(libc::IPPROTO_IP, 64), NOT_PERMITTED);
    assert_eq!(option(libc::SOL_NETLINK, 1), NOT_PERMITTED);
}

#[test]
fn with_unix_sockets_there_are_streams_of_them_and_nothing_else() {
    let socket = |family: c_int, kind: c_int, protocol: c_int| {
        let arguments = [bits(&[family]), bits(&[kind]), bits(&[protocol])];
        answer_with(UnixSockets::Allowed, libc::SYS_socket, &arguments)
    };
    let (stream, datagram) = (libc::SOCK_STREAM, libc::SOCK_DGRAM);
    let as_libraries_do = stream | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    assert_eq!(socket(libc::AF_UNIX, as_libraries_do, 0), ALLOW);
    assert_eq!(socket(libc::AF_INET, as_libraries_do, 0), ALLOW);
    assert_eq!(socket(libc::AF_UNIX, datagram, 0), NOT_PERMITTED);
    assert_eq!(
        socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        NOT_PERMITTED
    );
    assert_eq!(socket(libc::AF_NETLINK, stream, 0), NOT_PERMITTED);
}

#[test]
fn descriptors_cannot_be_made_to_signal_or_type() {
    let call = |call, command: u64| answer(call, &[3, command]);
    let fcntl = |command: c_int| call(libc::SYS_fcntl, bits(&[command]));
    assert_eq!(fcntl(libc::F_SETFL), ALLOW);
    assert_eq!(fcntl(libc::F_SETOWN), NOT_PERMITTED);
    // FIONBIO, TIOCSTI
    assert_eq!(call(libc::SYS_ioctl, 0x5421), ALLOW);
    assert_eq!(call(libc::SYS_ioctl, 0x5412), NOT_PERMITTED);
    assert_eq!(
        answer(libc::SYS_prctl, &[bits(&[libc::PR_SET_DUMPABLE])]),
        NOT_PERMITTED
    );
}
