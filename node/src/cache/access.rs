//! What the files that the settings name say: the password of the store, and whom to trust.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::secret::Secret;
use super::{BuildError, StoreSettings};
use crate::{file, trust};

/// The longest password, in bytes.
const LONGEST: usize = 4096;

/// Read when a cache is built, and again when a reload asks whether it still suits.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Access {
    /// Instead of one in the address.
    pub(super) password: Option<Secret>,
    pub(super) anchors: Vec<CertificateDer<'static>>,
}

impl Access {
    pub(super) fn read(store: &StoreSettings) -> Result<Self, BuildError> {
        let StoreSettings::Dragonfly {
            password_file,
            ca_file,
            ..
        } = store
        else {
            return Ok(Self::default());
        };
        Ok(Self {
            password: password_file.as_deref().map(password).transpose()?,
            anchors: match ca_file {
                Some(file) => trust::anchors(file)?,
                None => Vec::new(),
            },
        })
    }
}

fn password(path: &Path) -> Result<Secret, BuildError> {
    // With the longest line ending, and that is a byte too many without one.
    let bytes =
        file::start(path, LONGEST + 2).map_err(|source| BuildError::PasswordUnreadable {
            path: path.to_owned(),
            source,
        })?;
    secret(bytes).map_err(|reason| BuildError::NoPassword {
        path: path.to_owned(),
        reason,
    })
}

/// All of it but a line ending at its end, which editors leave there.
fn secret(bytes: Vec<u8>) -> Result<Secret, &'static str> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err("it is empty"),
        _ if text.len() > LONGEST => Err("it has more than 4096 bytes"),
        _ if text.contains(['\n', '\r', '\0']) => Err("it has more than one line"),
        _ => Ok(Secret::new(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_file_without_its_line_ending() {
        for text in ["s#cret", "s#cret\n", "s#cret\r\n"] {
            let secret = secret(text.as_bytes().to_vec()).unwrap();
            assert_eq!(secret.reveal(), "s#cret", "{text:?}");
        }
        let spaces = secret(b" a b ".to_vec()).unwrap();
        assert_eq!(spaces.reveal(), " a b ");
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let long = vec![b'p'; LONGEST + 1];
        for bytes in [
            &b""[..],
            b"\n",
            b"\r\n",
            b"a\nb",
            b"a\n\n",
            b"a\0",
            b"\xff",
            &long,
        ] {
            assert!(secret(bytes.to_vec()).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(secret(vec![b'p'; LONGEST]).is_ok());
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [
            folder.path(),
            &pipe,
            Path::new("/dev/zero"),
            &folder.path().join("none"),
        ] {
            let error = password(path).unwrap_err();
            assert!(
                matches!(error, BuildError::PasswordUnreadable { .. }),
                "{error}"
            );
            assert_eq!(error.key(), Some("password_file"));
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }
}
