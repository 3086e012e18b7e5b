//! Who a route is for: `basic_auth` and `jwt` of `[[routes]]`.

use std::path::PathBuf;

use super::jwt;
use crate::auth::{Hash, HashError, JwtSettings, KeyLocation};
use crate::config::{section::Section, value::Value};

const BASIC: &str = "write a table such as { file = \"htpasswd\" }";
const USERS: &str =
    "write a table such as { alice = \"$2y$12$…\" }, with hashes as `htpasswd -B` makes them";
const JWT: &str = "write a table such as { issuer = \"https://id.example\", audience = \"api\", \
                   jwks_url = \"https://id.example/keys\" }";

/// How clients say who they are.
#[derive(Clone, Debug)]
pub enum LoginSettings {
    /// By name and password.
    Basic {
        /// What clients call it. No quotes, no backslashes.
        realm: String,
        /// Who has one.
        users: UserList,
    },
    /// By a token.
    Jwt(JwtSettings),
}

/// Where users are.
#[derive(Clone, Debug)]
pub enum UserList {
    /// Here.
    Here(Vec<(String, Hash)>),
    /// In a file of lines `NAME:HASH`.
    File(PathBuf),
}

impl LoginSettings {
    /// Keys of files that it names, and the files.
    pub fn files(&self) -> Vec<(&'static str, PathBuf)> {
        match self {
            Self::Basic {
                users: UserList::File(file),
                ..
            } => vec![("basic_auth.file", file.clone())],
            Self::Basic { .. } => Vec::new(),
            Self::Jwt(settings) => match &settings.keys {
                KeyLocation::File(file) => vec![("jwt.jwks_file", file.clone())],
                KeyLocation::Url { ca_file, .. } => {
                    let file = ca_file.iter().cloned();
                    file.map(|file| ("jwt.ca_file", file)).collect()
                }
            },
        }
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Option<LoginSettings> {
    let basic = section.take("basic_auth");
    let token = section.take("jwt");
    if let (Some(_), Some(second)) = (&basic, &token) {
        second.wrong(
            "a request has one Authorization header",
            "keep only one of basic_auth and jwt",
        );
    }
    match (basic, token) {
        (Some(basic), _) => basic.table(BASIC, read_basic)?,
        (None, Some(token)) => token.table(JWT, jwt::read)?.map(LoginSettings::Jwt),
        (None, None) => None,
    }
}

fn read_basic(section: &mut Section<'_>) -> Option<LoginSettings> {
    let realm = section.take("realm").map(|value| {
        value.parsed_by(
            parse_realm,
            "write a few words without quotes and backslashes",
        )
    });
    let users = section.take("users");
    let file = section.take("file");
    let users = match (users, file) {
        (Some(_), Some(file)) => {
            file.wrong("users are in one place", "keep only one of users and file");
            None
        }
        (Some(users), None) => Some(UserList::Here(read_users(&users))),
        (None, Some(file)) => file.path().map(UserList::File),
        (None, None) => {
            section
                .context
                .lacks(&section.spot, "there are no users", BASIC);
            None
        }
    };
    Some(LoginSettings::Basic {
        realm: realm.unwrap_or_else(|| Some("restricted".to_owned()))?,
        users: users?,
    })
}

fn parse_realm(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '"' && c != '\\';
    match text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("not printable ASCII without quotes and backslashes"),
    }
}

/// What is wrong is told without the value: it may be a password.
fn read_users(users: &Value<'_>) -> Vec<(String, Hash)> {
    let entries = users.entries(USERS);
    if entries.is_empty() && users.is_table() {
        users.wrong("there are no users", USERS);
    }
    let read = entries.iter().filter_map(|(name, value)| {
        if name.contains(':') {
            value.wrong("a name has no colon", USERS);
            return None;
        }
        let wrong = |error: &HashError| value.wrong(error, USERS);
        let hash = value.string()?.parse::<Hash>().inspect_err(wrong).ok()?;
        Some(((*name).to_owned(), hash))
    });
    read.collect()
}
