//! [redis-protocol](https://docs.rs/redis-protocol), the parser beneath `fred`, with bounds.
//!
//! The original calls itself for every level of nesting, and waits for whatever length it is told.
//! Nested arrays from a hostile or broken server overflow the stack, which ends the
//! process; a length of 2 GB fills the memory. `fred` gives no access to what it reads, so this
//! crate takes the original's place (`[patch.crates-io]` in the workspace) and looks at every frame
//! before the original does. All else is the original's.
//!
//! What `fred` asks for is release 6 of the original, and Cargo lets no release 6 lie beneath another
//! one. Beneath this crate is 5.0.1, whose parser is the same to the letter; what release 6 added to
//! it, and `fred` uses, is integers that are sent as texts: [`resp2::encode`], [`resp3::encode`].

mod guard;

pub use original::*;

/// RESP2.
pub mod resp2 {
    pub use original::resp2::*;

    /// Writing frames.
    pub mod encode {
        use bytes::BytesMut;
        use original::error::RedisProtocolError;
        use original::resp2::encode as original_encode;
        pub use original::resp2::encode::*;
        use original::resp2::types::BytesFrame;

        /// Appends `frame` to `buf`. Servers want the integers of commands as texts.
        ///
        /// # Errors
        /// When the original cannot encode it.
        pub fn extend_encode(
            buf: &mut BytesMut,
            frame: &BytesFrame,
            int_as_bulkstring: bool,
        ) -> Result<usize, RedisProtocolError> {
            match frame {
                BytesFrame::Array(frames) if int_as_bulkstring => {
                    let frames = frames.iter().map(text).collect();
                    original_encode::extend_encode(buf, &BytesFrame::Array(frames))
                }
                _ => original_encode::extend_encode(buf, frame),
            }
        }

        fn text(frame: &BytesFrame) -> BytesFrame {
            match frame {
                BytesFrame::Integer(number) => BytesFrame::BulkString(number.to_string().into()),
                other => other.clone(),
            }
        }
    }

    /// Reading frames.
    pub mod decode {
        use bytes::{Bytes, BytesMut};
        use original::error::RedisProtocolError;
        pub use original::resp2::decode::*;
        use original::resp2::types::BytesFrame;

        use crate::guard;

        /// Takes the first frame from `buf`, if all of it is there.
        ///
        /// # Errors
        /// When it is malformed, or larger or more deeply nested than any that is asked for.
        pub fn decode_bytes_mut(
            buf: &mut BytesMut,
        ) -> Result<Option<(BytesFrame, usize, Bytes)>, RedisProtocolError> {
            guard::check(buf)?;
            original::resp2::decode::decode_bytes_mut(buf)
        }
    }
}

/// RESP3.
pub mod resp3 {
    pub use original::resp3::*;

    /// Writing frames.
    pub mod encode {
        pub use original::resp3::encode::*;

        /// Writing whole frames.
        pub mod complete {
            use bytes::BytesMut;
            use original::error::RedisProtocolError;
            use original::resp3::encode::complete as original_encode;
            pub use original::resp3::encode::complete::*;
            use original::resp3::types::BytesFrame;

            /// Appends `frame` to `buf`. Servers want the integers of commands as texts.
            ///
            /// # Errors
            /// When the original cannot encode it.
            pub fn extend_encode(
                buf: &mut BytesMut,
                frame: &BytesFrame,
                int_as_blobstring: bool,
            ) -> Result<usize, RedisProtocolError> {
                match frame {
                    BytesFrame::Array { data, attributes } if int_as_blobstring => {
                        let texts = BytesFrame::Array {
                            data: data.iter().map(text).collect(),
                            attributes: attributes.clone(),
                        };
                        original_encode::extend_encode(buf, &texts)
                    }
                    _ => original_encode::extend_encode(buf, frame),
                }
            }

            fn text(frame: &BytesFrame) -> BytesFrame {
                match frame {
                    BytesFrame::Number { data, attributes } => BytesFrame::BlobString {
                        data: data.to_string().into(),
                        attributes: attributes.clone(),
                    },
                    other => other.clone(),
                }
            }
        }
    }

    /// Reading frames.
    pub mod decode {
        pub use original::resp3::decode::*;

        /// Reading frames that may come in pieces.
        pub mod streaming {
            use bytes::{Bytes, BytesMut};
            use original::error::RedisProtocolError;
            pub use original::resp3::decode::streaming::*;
            use original::resp3::types::{BytesFrame, DecodedFrame};

            use crate::guard;

            /// Takes the first frame from `buf`, if all of it is there.
            ///
            /// # Errors
            /// When it is malformed, or larger or more deeply nested than any that is asked for.
            pub fn decode_bytes_mut(
                buf: &mut BytesMut,
            ) -> Result<Option<(DecodedFrame<BytesFrame>, usize, Bytes)>, RedisProtocolError>
            {
                guard::check(buf)?;
                original::resp3::decode::streaming::decode_bytes_mut(buf)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{resp2, resp3};

    const COMMAND: &str = "*2\r\n$3\r\nGET\r\n$2\r\n-7\r\n";

    #[test]
    fn integers_of_commands_are_sent_as_texts() {
        use resp2::types::BytesFrame;

        let command = BytesFrame::Array(vec![
            BytesFrame::BulkString("GET".into()),
            BytesFrame::Integer(-7),
        ]);
        let mut buf = BytesMut::new();
        resp2::encode::extend_encode(&mut buf, &command, true).unwrap();
        assert_eq!(buf, COMMAND);
        buf.clear();
        resp2::encode::extend_encode(&mut buf, &command, false).unwrap();
        assert_eq!(buf, "*2\r\n$3\r\nGET\r\n:-7\r\n");
    }

    #[test]
    fn the_same_in_resp3() {
        use resp3::types::BytesFrame;

        let command = BytesFrame::Array {
            data: vec![
                BytesFrame::BlobString {
                    data: "GET".into(),
                    attributes: None,
                },
                BytesFrame::Number {
                    data: -7,
                    attributes: None,
                },
            ],
            attributes: None,
        };
        let mut buf = BytesMut::new();
        resp3::encode::complete::extend_encode(&mut buf, &command, true).unwrap();
        assert_eq!(buf, COMMAND);
    }

    #[test]
    fn frames_are_looked_at_before_they_are_read() {
        let nested = "*1\r\n".repeat(100_000);
        let mut buf = BytesMut::from(&*nested);
        assert!(resp2::decode::decode_bytes_mut(&mut buf).is_err());
        assert!(resp3::decode::streaming::decode_bytes_mut(&mut buf).is_err());
        let mut buf = BytesMut::from("$5\r\nhello\r\n+more");
        let (frame, length, _) = resp2::decode::decode_bytes_mut(&mut buf).unwrap().unwrap();
        assert_eq!(frame, resp2::types::BytesFrame::BulkString("hello".into()));
        assert_eq!(length, 11);
    }
}
