//! Who does not read makes the other side stop.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use super::{MIB, drain, plain, raw, read_head, write};
use crate::harness::Request;
use crate::harness::lines::PATIENCE;

/// Much more than the sockets' buffers on the way hold.
const SIZE: usize = 256 * MIB;
/// What they and the node may hold; a kernel gives a socket a few MiB each way.
const HELD: usize = 64 * MIB;
/// Nothing was taken for so long: the other side has stopped.
const STILL: Duration = Duration::from_millis(500);

#[test]
fn a_client_that_does_not_read_stops_the_origin() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let address = raw(move |mut stream| {
        read_head(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_write_timeout(Some(STILL)).unwrap();
        let taken = write(&mut stream, SIZE);
        tell.lock().unwrap().send(taken).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        write(&mut stream, SIZE - taken);
    });
    let node = plain(address);
    let mut client = node.connect();
    client.send(&Request::get("/").bytes());
    let taken = told.recv_timeout(PATIENCE).unwrap();
    assert!(taken < HELD, "{taken} bytes were taken");
    assert_eq!(client.read_head().unwrap().0, 200);
    assert_eq!(
        drain(client.buffered(), SIZE),
        SIZE,
        "it goes on once it is read"
    );
}

#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let address = raw(move |mut stream| {
        read_head(&mut stream);
        gone.lock().unwrap().recv().unwrap();
        let came = drain(&mut stream, SIZE);
        assert_eq!(came, SIZE);
        stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").unwrap();
    });
    let node = plain(address);
    let mut client = node.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    client.send(head.as_bytes());
    let mut socket = client.socket().try_clone().unwrap();
    socket.set_write_timeout(Some(STILL)).unwrap();
    let taken = write(&mut socket, SIZE);
    assert!(taken < HELD, "{taken} bytes were taken");
    go.send(()).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(write(&mut socket, SIZE - taken), SIZE - taken);
    assert_eq!(client.read("POST").unwrap().status, 204);
}
