//! What is tried from inside.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::ptrace;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket, socketpair};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::{
    Gid, Pid, Uid, chroot, getpid, getppid, getuid, pivot_root, sethostname, setuid,
};
use region::Protection;

use crate::world::World;

/// What it is, and the doing of it.
pub(crate) type Attempt = (&'static str, fn(&World) -> io::Result<()>);

/// What serving takes.
pub(crate) const ALLOWED: &[Attempt] = &[
    ("reading the configuration", |world| {
        read(&world.config_file())
    }),
    ("listing its folder", |world| list(&world.config())),
    (
        "writing, renaming, reading and removing in a store",
        |world| {
            let (aside, file) = (world.store().join("aside"), world.store().join("file"));
            fs::write(&aside, "new")?;
            fs::rename(&aside, &file)?;
            read(&file)?;
            fs::remove_file(file)
        },
    ),
    ("making a store that is there", |world| {
        fs::create_dir_all(world.store())
    }),
    ("a thread", |_| {
        let thread = thread::Builder::new().spawn(|| ())?;
        thread.join().map_err(|_| io::Error::other("it panicked"))
    }),
    ("a connection", |_| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        TcpStream::connect(listener.local_addr()?)?;
        listener.accept()?.0.set_nonblocking(true)
    }),
    ("a datagram", |_| {
        let socket = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"))?;
        socket.send_to(b"x", socket.local_addr()?).map(drop)
    }),
    ("looking a name up", |_| {
        ("localhost", 80).to_socket_addrs().map(drop)
    }),
    ("a pair of sockets", |_| UnixStream::pair().map(drop)),
    ("memory with code", |_| memory(Protection::READ_EXECUTE)),
    ("its own limits", |_| {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
    }),
    ("a signal to itself", |_| Ok(kill(getpid(), None)?)),
    ("its own pages", |_| read(Path::new("/proc/self/status"))),
];

/// What anybody may do who is not sandboxed.
pub(crate) const REFUSED: &[Attempt] = &[
    ("reading /etc/passwd", |_| read(Path::new("/etc/passwd"))),
    ("reading a file elsewhere", |world| read(&world.secret())),
    ("reading it by way of the root of the process", |world| {
        let inside = world.secret();
        read(&Path::new("/proc/self/root").join(inside.strip_prefix("/").unwrap()))
    }),
    ("listing a folder elsewhere", |world| {
        list(&world.elsewhere())
    }),
    ("listing /", |_| list(Path::new("/"))),
    ("listing /home", |_| list(Path::new("/home"))),
    ("writing elsewhere", |world| {
        fs::write(world.elsewhere().join("new"), "x")
    }),
    ("removing elsewhere", |world| {
        let file = world.elsewhere().join("new");
        File::create(&file).and_then(|_| fs::remove_file(&file))
    }),
    ("adding to the configuration", |world| {
        let mut options = OpenOptions::new();
        options.append(true).open(world.config_file()).map(drop)
    }),
    ("a file beside the configuration", |world| {
        File::create(world.config().join("new")).map(drop)
    }),
    ("cutting the configuration off", |world| {
        let mut options = OpenOptions::new();
        let file = options.write(true).open(world.config_file())?;
        file.set_len(6)
    }),
    ("a link in a store", |world| {
        symlink(world.secret(), world.store().join("link"))
    }),
    ("a hard link in a store", |world| {
        fs::hard_link(world.secret(), world.store().join("hard link"))
    }),
    ("a folder in a store", |world| {
        fs::create_dir(world.store().join("folder"))
    }),
    ("modes of files", |world| {
        fs::set_permissions(world.store(), Permissions::from_mode(0o777))
    }),
    ("its own memory as a file", |_| {
        let mut options = OpenOptions::new();
        options.write(true).open("/proc/self/mem").map(drop)
    }),
    ("the environment of the parent", |_| {
        read(Path::new(&format!("/proc/{}/environ", getppid())))
    }),
    ("another program", |_| {
        Command::new("/bin/true").status().map(drop)
    }),
    ("another process, by fork", |_| {
        let mut command = Command::new("/bin/true");
        // With a user to become, it does not take the way of `posix_spawn`.
        command.uid(getuid().as_raw()).status().map(drop)
    }),
    ("a signal to the parent", |_| Ok(kill(getppid(), None)?)),
    ("memory that is both written and executed", |_| {
        memory(Protection::READ_WRITE_EXECUTE)
    }),
    ("a unix socket", |world| {
        UnixListener::bind(world.elsewhere().join("socket")).map(drop)
    }),
    ("datagrams to unix sockets", |_| {
        UnixDatagram::pair().map(drop)
    }),
    ("another kind of pair", |_| {
        let kind = SockType::SeqPacket;
        Ok(socketpair(AddressFamily::Unix, kind, None, SockFlag::empty()).map(drop)?)
    }),
    ("the network's settings", |_| {
        let protocol = Some(SockProtocol::NetlinkRoute);
        open_socket(AddressFamily::Netlink, SockType::Raw, protocol)
    }),
];

/// What nobody should try who is not sandboxed, or only some may do.
pub(crate) const UNTRIED: &[Attempt] = &[
    ("reading /etc/shadow", |_| read(Path::new("/etc/shadow"))),
    ("listing /root", |_| list(Path::new("/root"))),
    ("becoming another program", |_| {
        Err(Command::new("/bin/true").exec())
    }),
    ("running a file of a store", |world| {
        Err(Command::new(world.program()).exec())
    }),
    ("tracing the parent", |_| Ok(ptrace::attach(getppid())?)),
    ("being traced", |_| Ok(ptrace::traceme()?)),
    ("reading the parent's memory", |_| {
        let (mut buffer, remote) = ([0; 8], [RemoteIoVec { base: 4096, len: 8 }]);
        let mut local = [IoSliceMut::new(&mut buffer)];
        Ok(process_vm_readv(getppid(), &mut local, &remote).map(drop)?)
    }),
    ("writing the parent's memory", |_| {
        let remote = [RemoteIoVec { base: 4096, len: 8 }];
        let local = [IoSlice::new(&[0; 8])];
        Ok(process_vm_writev(getppid(), &local, &remote).map(drop)?)
    }),
    ("a signal to the first process", |_| {
        Ok(kill(Pid::from_raw(1), Signal::SIGCONT)?)
    }),
    ("a signal to everybody", |_| {
        Ok(kill(Pid::from_raw(-1), None)?)
    }),
    ("a mount", |world| {
        let (kind, none) = (Some("tmpfs"), None::<&str>);
        Ok(mount(
            kind,
            &world.elsewhere(),
            kind,
            MsFlags::empty(),
            none,
        )?)
    }),
    ("another root", |world| Ok(chroot(&world.elsewhere())?)),
    ("a pivoted root", |world| {
        Ok(pivot_root(&world.elsewhere(), &world.elsewhere())?)
    }),
    ("another namespace", |_| {
        Ok(unshare(CloneFlags::CLONE_NEWNS)?)
    }),
    ("another user's namespace", |_| {
        Ok(unshare(CloneFlags::CLONE_NEWUSER)?)
    }),
    ("a namespace there is", |world| {
        let file = File::open(world.config_file())?;
        Ok(setns(file, CloneFlags::empty())?)
    }),
    ("another name of the machine", |_| {
        Ok(sethostname("escaped")?)
    }),
    ("another user", |_| Ok(setuid(Uid::from_raw(65_534))?)),
    ("other groups", |_| {
        Ok(nix::unistd::setgroups(&[Gid::from_raw(65_534)])?)
    }),
    ("a raw socket", |_| {
        open_socket(AddressFamily::Inet, SockType::Raw, Some(SockProtocol::Icmp))
    }),
    ("a packet socket", |_| {
        open_socket(AddressFamily::Packet, SockType::Raw, None)
    }),
    ("a socket of the kernel's cryptography", |_| {
        open_socket(AddressFamily::Alg, SockType::SeqPacket, None)
    }),
];

fn read(file: &Path) -> io::Result<()> {
    fs::read(file).map(drop)
}

fn list(folder: &Path) -> io::Result<()> {
    fs::read_dir(folder).map(drop)
}

fn memory(protection: Protection) -> io::Result<()> {
    Ok(region::alloc(1, protection).map(drop)?)
}

fn open_socket(
    family: AddressFamily,
    kind: SockType,
    protocol: Option<SockProtocol>,
) -> io::Result<()> {
    Ok(socket(family, kind, SockFlag::empty(), protocol).map(drop)?)
}
