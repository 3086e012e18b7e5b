//! The PROXY protocol, versions 1 and 2: a balancer's header in front of a connection says who
//! the client is. As in HAProxy's `proxy-protocol.txt`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1, line ending included.
const LONGEST_LINE: usize = 107;
/// Addresses and all else of a header of version 2: 216 bytes of addresses at most, and what
/// certificates and names balancers add.
const LONGEST_BLOCK: usize = 4096;

/// Both versions are longer.
const START: usize = 12;
const SIGNATURE: &[u8; START] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8] = b"PROXY ";

/// Why a connection has no header that counts.
#[derive(Debug, Error)]
pub(super) enum HeaderError {
    #[error("it begins with no PROXY header")]
    Absent,
    #[error("its PROXY header is too long")]
    TooLong,
    #[error("its PROXY header is malformed")]
    Malformed,
    #[error("its PROXY header ends early: {0}")]
    Cut(#[from] io::Error),
}

/// Reads the header and nothing after it. `None` when it names no client, as a balancer's own
/// connections do: the connection is then from whom it seems to be.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, HeaderError> {
    let mut start = [0; START];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        return read_block(stream).await;
    }
    if !start.starts_with(WORD) {
        return Err(HeaderError::Absent);
    }
    let mut line = Vec::with_capacity(LONGEST_LINE);
    line.extend_from_slice(&start);
    while line.last() != Some(&b'\n') {
        if line.len() == LONGEST_LINE {
            return Err(HeaderError::TooLong);
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line).ok_or(HeaderError::Malformed)
}

/// Version 2, past its signature.
async fn read_block(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, HeaderError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_BLOCK {
        return Err(HeaderError::TooLong);
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    parse_block(command, family, &block).ok_or(HeaderError::Malformed)
}

/// `PROXY TCP4 SOURCE DESTINATION PORT PORT`, or `PROXY UNKNOWN` and anything.
fn parse_line(line: &[u8]) -> Option<Option<IpAddr>> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("PROXY ")?.strip_suffix("\r\n")?;
    let mut words = rest.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let [source, destination, from, to] = [(); 4].map(|()| words.next().unwrap_or_default());
    if words.next().is_some() || !is_port(from) || !is_port(to) {
        return None;
    }
    let (source, _) = match family {
        "TCP4" => both::<Ipv4Addr>(source, destination)?,
        "TCP6" => both::<Ipv6Addr>(source, destination)?,
        _ => return None,
    };
    Some(Some(source))
}

/// Both of one family.
fn both<T: FromStr + Into<IpAddr>>(source: &str, destination: &str) -> Option<(IpAddr, IpAddr)> {
    let parse = |text: &str| Some(text.parse::<T>().ok()?.into());
    Some((parse(source)?, parse(destination)?))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// What of a block counts: the client's address, if it came over TCP.
fn parse_block(command: u8, family: u8, block: &[u8]) -> Option<Option<IpAddr>> {
    match (command, family) {
        // LOCAL, whatever else it says.
        (0x20, _) => Some(None),
        // PROXY of what is unspecified, or a unix socket.
        (0x21, 0x00 | 0x31 | 0x32) => Some(None),
        (0x21, 0x11) => {
            let addresses: &[u8; 12] = block.first_chunk()?;
            let source: &[u8; 4] = addresses.first_chunk()?;
            Some(Some(Ipv4Addr::from(*source).into()))
        }
        (0x21, 0x21) => {
            let addresses: &[u8; 36] = block.first_chunk()?;
            let source: &[u8; 16] = addresses.first_chunk()?;
            Some(Some(Ipv6Addr::from(*source).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
