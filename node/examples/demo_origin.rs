//! An origin to try the node with: every path is a small page that shows the request as it arrived
//! behind the node.
//!
//! `demo_origin [ADDRESS]`, by default on 127.0.0.1:9000. The standard library is all it needs.

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

const ADDRESS: &str = "127.0.0.1:9000";

/// Longest request header, in bytes, and most of a request body that is read.
const HEADER_SIZE: u64 = 64 * 1024;
const BODY_SIZE: u64 = 1024 * 1024;

/// Longest wait for a client to send or take something.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or(ADDRESS.into());
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    for stream in listener.incoming() {
        // A connection that failed is the client's loss.
        thread::spawn(move || stream.and_then(serve).ok());
    }
    Ok(())
}

/// Answers one request and closes the connection.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let header = read_header(&stream)?;
    stream.write_all(&answer(&header))?;
    stream.shutdown(Shutdown::Write)?;
    // Closing with unread bytes would reset the connection, and the answer with it.
    io::copy(&mut stream.take(BODY_SIZE), &mut io::sink())?;
    Ok(())
}

/// The request line and the header lines.
fn read_header(stream: &TcpStream) -> io::Result<Vec<String>> {
    let lines = BufReader::new(stream.take(HEADER_SIZE)).lines();
    lines
        .take_while(|line| !line.as_ref().is_ok_and(String::is_empty))
        .collect()
}

fn answer(header: &[String]) -> Vec<u8> {
    let body = page(header);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         x-powered-by: the demo origin\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let is_head = header.first().is_some_and(|line| line.starts_with("HEAD "));
    let body = if is_head { String::new() } else { body };
    (head + &body).into_bytes()
}

fn page(header: &[String]) -> String {
    let request = escaped(&header.join("\n"));
    format!(
        "<!doctype html>\n<title>Demo origin</title>\n<h1>The origin answers</h1>\n\
         <p>This request arrived here:</p>\n<pre>\n{request}\n</pre>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
