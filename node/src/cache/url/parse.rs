//! From a text to the address of a store. By hand, since URLs of several hosts are none to the
//! usual parsers.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::{Host, Place, Sentinels, StoreUrl, Transport, UrlError};
use crate::cache::secret::Secret;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What a scheme says.
#[derive(Clone, Copy)]
enum Kind {
    Host,
    Socket,
    Sentinels,
    Cluster,
}

/// A URL in its parts, still encoded.
struct Parts<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    hosts: &'a str,
    /// With its slash.
    path: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

pub(super) fn url(text: &str) -> Result<StoreUrl, UrlError> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    let (kind, transport) = kind(scheme).ok_or(UrlError::Scheme)?;
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::Malformed);
    }
    let parts = Parts::of(rest, kind)?;
    let (place, database) = match kind {
        Kind::Host => (Place::Host(parts.host()?), parts.database()?),
        Kind::Socket => (Place::Socket(parts.socket()?), parts.socket_database()?),
        Kind::Sentinels => (Place::Sentinels(parts.sentinels()?), parts.database()?),
        Kind::Cluster => (Place::Cluster(parts.cluster()?), None),
    };
    Ok(StoreUrl {
        place,
        transport,
        user: parts.user.map(decoded).transpose()?,
        password: secret(parts.password)?,
        database,
    })
}

fn kind(scheme: &str) -> Option<(Kind, Transport)> {
    Some(match scheme {
        "redis" => (Kind::Host, Transport::Plain),
        "rediss" => (Kind::Host, Transport::Tls),
        "redis-sentinel" => (Kind::Sentinels, Transport::Plain),
        "rediss-sentinel" => (Kind::Sentinels, Transport::Tls),
        "redis-cluster" => (Kind::Cluster, Transport::Plain),
        "rediss-cluster" => (Kind::Cluster, Transport::Tls),
        "unix" | "redis+unix" => (Kind::Socket, Transport::Plain),
        _ => return None,
    })
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn of(text: &'a str, kind: Kind) -> Result<Self, UrlError> {
        let (before, query) = match text.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (text, None),
        };
        if text.contains('#') || (query.is_some() && matches!(kind, Kind::Host)) {
            return Err(UrlError::Query);
        }
        let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let several = matches!(kind, Kind::Sentinels | Kind::Cluster);
        if several && login.is_some_and(|login| login.contains('@')) {
            return Err(UrlError::Logins);
        }
        let (user, password) = match login.map(|login| login.split_once(':')) {
            Some(Some((user, password))) => (Some(user), Some(password)),
            Some(None) => (login, None),
            None => (None, None),
        };
        let present = |part: &&str| !part.is_empty();
        let pairs = query.into_iter().flat_map(|query| query.split('&'));
        let parameters = pairs.map(|pair| pair.split_once('=').ok_or(UrlError::Parameter));
        Ok(Self {
            user: user.filter(present),
            password: password.filter(present),
            hosts,
            path,
            parameters: parameters.collect::<Result<_, _>>()?,
        })
    }

    fn host(&self) -> Result<Host, UrlError> {
        if self.hosts.contains(',') {
            return Err(UrlError::Hosts);
        }
        host(self.hosts, PORT)
    }

    fn cluster(&self) -> Result<Vec<Host>, UrlError> {
        self.known(&["node"])?;
        match self.path {
            "" | "/" | "/0" => self.several(PORT),
            _ => Err(UrlError::Database),
        }
    }

    fn sentinels(&self) -> Result<Sentinels, UrlError> {
        self.known(&[
            "node",
            "sentinelServiceName",
            "sentinelUsername",
            "sentinelPassword",
        ])?;
        let service = self.one("sentinelServiceName")?.map(decoded).transpose()?;
        Ok(Sentinels {
            hosts: self.several(SENTINEL_PORT)?,
            service: service.ok_or(UrlError::Service)?,
            user: self.one("sentinelUsername")?.map(decoded).transpose()?,
            password: secret(self.one("sentinelPassword")?)?,
        })
    }

    fn socket(&self) -> Result<PathBuf, UrlError> {
        self.known(&["db"])?;
        if !self.hosts.is_empty() || self.path.len() < 2 {
            return Err(UrlError::Socket);
        }
        Ok(decoded(self.path)?.into())
    }

    /// Hosts with commas between them, and those of `node` parameters.
    fn several(&self, port: u16) -> Result<Vec<Host>, UrlError> {
        let nodes = self.values("node");
        let hosts = self.hosts.split(',').chain(nodes);
        hosts.map(|text| host(text, port)).collect()
    }

    fn database(&self) -> Result<Option<u8>, UrlError> {
        match self.path {
            "" | "/" => Ok(None),
            path => Ok(Some(number(path.trim_start_matches('/'))?)),
        }
    }

    fn socket_database(&self) -> Result<Option<u8>, UrlError> {
        let database = self.one("db")?.map(number);
        database.transpose().map_err(|_| UrlError::Parameter)
    }

    fn known(&self, names: &[&str]) -> Result<(), UrlError> {
        let mut given = self.parameters.iter();
        match given.all(|(name, _)| names.contains(name)) {
            true => Ok(()),
            false => Err(UrlError::Parameter),
        }
    }

    fn values(&self, wanted: &str) -> impl Iterator<Item = &'a str> {
        let of_name = self
            .parameters
            .iter()
            .filter(move |(name, _)| *name == wanted);
        of_name.map(|(_, value)| *value)
    }

    /// The value of a parameter that may be there once.
    fn one(&self, name: &str) -> Result<Option<&'a str>, UrlError> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(""), _) | (_, Some(_)) => Err(UrlError::Parameter),
            (value, None) => Ok(value),
        }
    }
}

fn host(text: &str, usual_port: u16) -> Result<Host, UrlError> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        Some(port) => digits(port).filter(|port| *port != 0),
        None => Some(usual_port),
    };
    let literal = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let sound = match literal {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(name),
    };
    match port {
        Some(port) if sound => Ok(Host {
            name: name.to_ascii_lowercase(),
            port,
        }),
        _ => Err(UrlError::Malformed),
    }
}

/// A name of the DNS or of the hosts file, or an IPv4 address.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&text.len()) && text.bytes().all(allowed)
}

fn number(text: &str) -> Result<u8, UrlError> {
    digits(text).ok_or(UrlError::Malformed)
}

/// A number without a sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    let sound = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| sound)
}

fn secret(text: Option<&str>) -> Result<Option<Secret>, UrlError> {
    let text = text.map(decoded).transpose()?;
    Ok(text.map(Secret::new))
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| UrlError::Malformed)?;
    match text.contains('\0') {
        true => Err(UrlError::Malformed),
        false => Ok(text.into_owned()),
    }
}
