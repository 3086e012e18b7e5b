//! Names and the hashes of their passwords.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{io, str};

use crate::file;

/// The longest file, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Above it one guess takes seconds.
const HIGHEST_COST: u32 = 15;

/// The alphabet of bcrypt.
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The bcrypt hash of a password, as `htpasswd -B` writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    text: Box<str>,
    cost: u32,
}

/// Why a text is not a [`struct@Hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Another kind of hash, or a password.
    #[error("not a bcrypt hash")]
    Form,
    /// It is meant to be slow, but not as slow as that.
    #[error("the cost of the hash is above {HIGHEST_COST}")]
    Cost,
}

/// Who may come in.
#[derive(Clone, Debug)]
pub struct Users {
    hashes: HashMap<Box<str>, Hash>,
    /// For names that are not among them: it takes as long, and no password is right.
    decoy: Hash,
}

/// Why there are no users.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line of the file is not `NAME:HASH`.
    #[error("line {line} of {}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody.
    #[error("there are no users")]
    Empty,
    /// The system has no random numbers.
    #[error("there is no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

// === impl Users ===

impl Users {
    /// These; the last of a name counts.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(users: impl IntoIterator<Item = (String, Hash)>) -> Result<Self, UsersError> {
        let users = users.into_iter();
        let hashes: HashMap<_, _> = users.map(|(name, hash)| (name.into(), hash)).collect();
        let highest = hashes.values().map(|hash: &Hash| hash.cost).max();
        Ok(Self {
            decoy: Hash::of_nothing(highest.ok_or(UsersError::Empty)?)?,
            hashes,
        })
    }

    /// Those of a file with a `NAME:HASH` on each line.
    ///
    /// # Errors
    /// When it cannot be read, or has something else in it.
    pub fn of_file(path: &Path) -> Result<Self, UsersError> {
        let unreadable = |source| UsersError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = file::start(path, LONGEST + 1).map_err(unreadable)?;
        if bytes.len() > LONGEST {
            let large = io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB");
            return Err(unreadable(large));
        }
        let wrong = |line, reason: &dyn fmt::Display| UsersError::Line {
            path: path.to_owned(),
            line,
            reason: reason.to_string(),
        };
        let mut users = Vec::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = str::from_utf8(line)
                .map_err(|error| wrong(at + 1, &error))?
                .trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line
                .split_once(':')
                .ok_or_else(|| wrong(at + 1, &"not NAME:HASH"))?;
            let hash = hash
                .parse()
                .map_err(|error: HashError| wrong(at + 1, &error))?;
            users.push((name.to_owned(), hash));
        }
        Self::new(users)
    }

    /// What the password of this user is held against.
    pub(super) fn hash(&self, name: &str) -> &Hash {
        self.hashes.get(name).unwrap_or(&self.decoy)
    }
}

// === impl Hash ===

impl Hash {
    /// The hash of no password that anybody could find.
    fn of_nothing(cost: u32) -> Result<Self, getrandom::Error> {
        let mut digest = [0; 30];
        getrandom::fill(&mut digest)?;
        let digest = digest.map(|byte| char::from(ALPHABET[usize::from(byte % 64)]));
        let digest: String = digest.iter().collect();
        let salt = ".".repeat(22);
        Ok(Self {
            text: format!("$2b${cost:02}${salt}{digest}.").into(),
            cost,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes long: that is the point of it.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let known = ["$2y$", "$2b$", "$2a$"]
            .iter()
            .any(|kind| text.starts_with(kind));
        let parts = text.parse::<bcrypt::HashParts>().ok().filter(|_| known);
        let cost = parts.ok_or(HashError::Form)?.get_cost();
        match cost {
            4..=HIGHEST_COST => Ok(Self {
                text: text.into(),
                cost,
            }),
            0..4 => Err(HashError::Form),
            _ => Err(HashError::Cost),
        }
    }
}

/// Not what it is: it would be guessed at.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `secret`.
    const SECRET: &str = "$2y$04$JhbTyxMkp0yhPKCDX0qTkOXTPpAT3kO4x5zXM8PyQ.LWfRkR9lN4a";

    fn users(text: &str) -> Result<Users, UsersError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Users::of_file(file.path())
    }

    #[test]
    fn a_name_that_nobody_has_takes_as_long_as_the_slowest_and_is_never_right() {
        let slow = SECRET.replace("$04$", "$06$");
        let users = users(&format!("# people\nada:{SECRET}\r\n\nbob:{slow}\n")).expect("users");
        assert_eq!(users.hash("ada").as_str(), SECRET);
        let decoy = users.hash("eve");
        assert!(decoy.text.starts_with("$2b$06$"));
        let parts = decoy.text.parse::<bcrypt::HashParts>();
        assert_eq!(parts.expect("a hash").get_cost(), 6, "{}", decoy.text);
        assert!(!decoy.is_of(b"secret") && !decoy.is_of(b""));
    }

    #[test]
    fn lines_that_are_no_users_are_told_by_number() {
        for (text, said) in [
            ("ada", "line 1"),
            ("\n#\nada:secret", "line 3"),
            ("ada:$apr1$x$y", "not a bcrypt hash"),
            (
                "ada:$2y$31$JhbTyxMkp0yhPKCDX0qTkOXTPpAT3kO4x5zXM8PyQ.LWfRkR9lN4a",
                "cost",
            ),
            ("\n", "no users"),
        ] {
            let error = users(text).expect_err("refused").to_string();
            assert!(error.contains(said), "{text:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
