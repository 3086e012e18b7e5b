//! Headers as balancers write them, and as nobody should.

use proptest::prelude::*;

use super::*;

/// What is made of these bytes, and what is left of them.
fn parse(bytes: &[u8]) -> (Result<Option<IpAddr>, HeaderError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let mut rest = bytes;
    let read = runtime.block_on(read(&mut rest));
    (read, rest.to_vec())
}

fn client(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn block(command: u8, family: u8, length: usize, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, bytes].concat()
}

#[test]
fn headers_of_both_versions_name_the_client_and_end_where_they_say() {
    let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 1, 0xbb];
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    let mut with_more = v4.to_vec();
    with_more.extend([0x04, 0, 3, 0, 0, 0]);
    for (header, expected) in [
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(),
            client("192.0.2.7"),
        ),
        (
            b"PROXY TCP6 2001:db8:: ::1 65535 0\r\n".to_vec(),
            client("2001:db8::"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 ::2 1 2\r\n".to_vec(), None),
        (block(0x21, 0x11, 12, &v4), client("192.0.2.7")),
        (block(0x21, 0x11, 18, &with_more), client("192.0.2.7")),
        (block(0x21, 0x21, 36, &v6), client("2001:db8::")),
        (block(0x20, 0x11, 12, &v4), None),
        (block(0x20, 0x00, 0, b""), None),
        (block(0x21, 0x00, 3, b"abc"), None),
        (block(0x21, 0x31, 216, &[b'/'; 216]), None),
    ] {
        let text = String::from_utf8_lossy(&header).into_owned();
        let (read, rest) = parse(&[&header[..], b"GET /"].concat());
        assert_eq!(read.unwrap(), expected, "{text:?}");
        assert_eq!(rest, b"GET /", "{text:?}");
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], HeaderError::Absent),
        (b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", HeaderError::Absent),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", HeaderError::Malformed),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", HeaderError::Malformed),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
            HeaderError::Malformed,
        ),
        (b"PROXY TCP4 ::1 1.2.3.4 1 1\r\n", HeaderError::Malformed),
        (b"PROXY TCP6 1.2.3.4 ::1 1 1\r\n", HeaderError::Malformed),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
            HeaderError::Malformed,
        ),
        (long.as_bytes(), HeaderError::TooLong),
        (&block(0x21, 0x11, 11, &[0; 11]), HeaderError::Malformed),
        (&block(0x21, 0x12, 12, &[0; 12]), HeaderError::Malformed),
        (&block(0x21, 0x21, 35, &[0; 35]), HeaderError::Malformed),
        (&block(0x22, 0x11, 12, &[0; 12]), HeaderError::Malformed),
        (&block(0x31, 0x11, 12, &[0; 12]), HeaderError::Malformed),
        (
            &block(0x21, 0x11, LONGEST_BLOCK + 1, &[]),
            HeaderError::TooLong,
        ),
    ] {
        let text = String::from_utf8_lossy(bytes);
        let error = parse(bytes).0.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string(), "{text:?}");
    }
    assert!(matches!(
        parse(b"PROXY TCP4 1.").0,
        Err(HeaderError::Cut(_))
    ));
}

proptest! {
    #[test]
    fn addresses_come_back_as_they_were_written(v4: Ipv4Addr, v6: Ipv6Addr, port: u16) {
        for (family, address) in [("TCP4", IpAddr::V4(v4)), ("TCP6", IpAddr::V6(v6))] {
            let line = format!("PROXY {family} {address} {address} {port} {port}\r\n");
            prop_assert_eq!(parse(line.as_bytes()).0.unwrap(), Some(address));
        }
        let bytes = [&v6.octets()[..], &[0; 20]].concat();
        let header = block(0x21, 0x21, 36, &bytes);
        prop_assert_eq!(parse(&header).0.unwrap(), Some(IpAddr::V6(v6)));
    }

    #[test]
    fn whatever_comes_at_most_its_bound_is_read(
        start in prop_oneof![Just(&SIGNATURE[..]), Just(WORD), Just(&b"PROXY TCP4 1.2"[..])],
        more in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [start, &more, &[b'x'; 2 * LONGEST_BLOCK]].concat();
        let (_, rest) = parse(&bytes);
        prop_assert!(bytes.len() - rest.len() <= START + 4 + LONGEST_BLOCK);
    }
}
