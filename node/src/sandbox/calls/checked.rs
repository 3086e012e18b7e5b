//! Calls that are allowed with some arguments only.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::sandbox::grants::UnixSockets;

/// By call; one of its rules must hold.
pub(super) type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

type Conditions = Vec<SeccompCondition>;
type Result<T> = std::result::Result<T, BackendError>;

/// A thread of this process, sharing all of it: no process, no namespace.
const THREAD: c_int = libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM;
const NOT_A_THREAD: c_int = libc::CLONE_VFORK
    | libc::CLONE_PTRACE
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_IO;

/// `TCP`, `UDP` or whatever belongs to the kind of socket: no others, such as SCTP.
const SOCKETS: [(c_int, c_int); 2] = [
    (libc::SOCK_STREAM, libc::IPPROTO_TCP),
    (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
];
/// The kind of a socket, without the flags that come with it.
const SOCKET_KIND: c_int = 0xf;

/// Below these are options of connections, from these on those of packet filters, marks and the
/// like.
const SOCKET_OPTIONS: [(c_int, c_int); 4] = [
    (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
    (libc::IPPROTO_TCP, libc::TCP_ULP),
    (libc::IPPROTO_IP, 64),
    (libc::IPPROTO_IPV6, 64),
];

/// Not those that send signals to others.
const FCNTL: [c_int; 8] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

/// Numbers of asm-generic/ioctls.h and linux/fs.h: their type differs between C libraries.
const IOCTL: [u64; 7] = [
    // TCGETS and TIOCGWINSZ: whether the log goes to a terminal, and its width.
    0x5401,
    0x5413,
    // FIONREAD, FIONBIO, FIONCLEX and FIOCLEX: descriptors.
    0x541b,
    0x5421,
    0x5450,
    0x5451,
    // PAGEMAP_SCAN: which pages a guest has touched.
    0xc060_6610,
];

/// Naming threads and mappings.
const PRCTL: [c_int; 3] = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA];

/// The rules for the process with this id.
pub(super) fn calls(process: u32, unix: UnixSockets) -> Result<Rules> {
    let process = u64::from(process);
    let calls = [
        (libc::SYS_mmap, mappings()?),
        (libc::SYS_mprotect, protections()?),
        (libc::SYS_clone, vec![threads()?]),
        (libc::SYS_kill, vec![vec![equal(0, process)?]]),
        (libc::SYS_tgkill, vec![vec![equal(0, process)?]]),
        // Its own limits, under both names there are for it.
        (
            libc::SYS_prlimit64,
            vec![vec![equal(0, 0)?], vec![equal(0, process)?]],
        ),
        (libc::SYS_prctl, one_of(0, &PRCTL.map(word))?),
        (libc::SYS_fcntl, one_of(1, &FCNTL.map(word))?),
        (libc::SYS_ioctl, one_of(1, &IOCTL)?),
        (libc::SYS_socket, sockets(unix)?),
        (libc::SYS_socketpair, vec![pair()?]),
        (libc::SYS_setsockopt, options()?),
    ];
    calls
        .into_iter()
        .map(|(call, alternatives)| {
            let rules: Result<_> = alternatives.into_iter().map(SeccompRule::new).collect();
            Ok((call, rules?))
        })
        .collect()
}

/// Not writable and executable at once, and no code in memory that others may write.
fn mappings() -> Result<Vec<Conditions>> {
    Ok(vec![
        vec![without(2, libc::PROT_EXEC)?],
        vec![
            without(2, libc::PROT_WRITE)?,
            masked(3, libc::MAP_TYPE, libc::MAP_PRIVATE)?,
        ],
    ])
}

fn protections() -> Result<Vec<Conditions>> {
    Ok(vec![
        vec![without(2, libc::PROT_EXEC)?],
        vec![without(2, libc::PROT_WRITE)?],
    ])
}

fn threads() -> Result<Conditions> {
    Ok(vec![masked(0, THREAD | NOT_A_THREAD, THREAD)?])
}

/// TCP and UDP. Unix sockets lead to every service of the machine that lets this user in, so there
/// are none unless the store is behind one; raw and netlink ones would lead to its network. The C
/// library does without them.
fn sockets(unix: UnixSockets) -> Result<Vec<Conditions>> {
    let mut sockets = match unix {
        UnixSockets::Denied => Vec::new(),
        UnixSockets::Allowed => vec![vec![
            equal(0, word(libc::AF_UNIX))?,
            masked(1, SOCKET_KIND, libc::SOCK_STREAM)?,
            equal(2, 0)?,
        ]],
    };
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (kind, protocol) in SOCKETS {
            for protocol in [0, protocol] {
                sockets.push(vec![
                    equal(0, word(family))?,
                    masked(1, SOCKET_KIND, kind)?,
                    equal(2, word(protocol))?,
                ]);
            }
        }
    }
    Ok(sockets)
}

/// Two ends that know only each other.
fn pair() -> Result<Conditions> {
    Ok(vec![
        equal(0, word(libc::AF_UNIX))?,
        masked(1, SOCKET_KIND, libc::SOCK_STREAM)?,
    ])
}

fn options() -> Result<Vec<Conditions>> {
    SOCKET_OPTIONS
        .into_iter()
        .map(|(level, end)| {
            let below = condition(2, SeccompCmpOp::Lt, word(end))?;
            Ok(vec![equal(1, word(level))?, below])
        })
        .collect()
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<Conditions>> {
    let values = values.iter();
    values
        .map(|value| Ok(vec![equal(argument, *value)?]))
        .collect()
}

fn without(argument: u8, bits: c_int) -> Result<SeccompCondition> {
    masked(argument, bits, 0)
}

fn masked(argument: u8, mask: c_int, value: c_int) -> Result<SeccompCondition> {
    condition(argument, SeccompCmpOp::MaskedEq(word(mask)), word(value))
}

fn equal(argument: u8, value: u64) -> Result<SeccompCondition> {
    condition(argument, SeccompCmpOp::Eq, value)
}

/// All of these arguments are 32 bits wide; the kernel does not look at the others.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// The bits as they are.
fn word(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}
