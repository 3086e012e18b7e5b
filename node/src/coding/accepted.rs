//! What a client says about codings in `Accept-Encoding` (RFC 9110, section 12.5.3).

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::Coding;

/// Bytes of the field that are looked at; those of browsers have 30.
const LONGEST: usize = 1024;

/// Thousandths; 0 is "not acceptable".
type Quality = u16;

const BEST: Quality = 1000;

/// The qualities a client gives to codings. The default is that of a client that says nothing,
/// and so gets bodies as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    zstd: Option<Quality>,
    brotli: Option<Quality>,
    gzip: Option<Quality>,
    identity: Option<Quality>,
    /// `*`: of all that are not named.
    others: Option<Quality>,
}

impl Accepted {
    /// What these header fields say. What is malformed is not acceptable; of a coding that is
    /// named twice the first quality counts.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        let mut left = LONGEST;
        for value in headers.get_all(ACCEPT_ENCODING) {
            let text = &value.as_bytes()[..value.len().min(left)];
            left -= text.len();
            for element in text.split(|byte| *byte == b',') {
                accepted.note(element);
            }
        }
        accepted
    }

    fn note(&mut self, element: &[u8]) {
        let (name, parameters) = match element.iter().position(|byte| *byte == b';') {
            Some(at) => (&element[..at], Some(&element[at + 1..])),
            None => (element, None),
        };
        let is = |token: &str| name.trim_ascii().eq_ignore_ascii_case(token.as_bytes());
        let slot = if is("gzip") || is("x-gzip") {
            &mut self.gzip
        } else if is("br") {
            &mut self.brotli
        } else if is("zstd") {
            &mut self.zstd
        } else if is("identity") {
            &mut self.identity
        } else if is("*") {
            &mut self.others
        } else {
            return;
        };
        slot.get_or_insert(parameters.map_or(BEST, quality));
    }

    /// Those of `offered` that the client prefers to a body as it is, or likes as much: the best
    /// first, the earlier in `offered` of those it likes alike.
    pub fn ranked(&self, offered: &[Coding]) -> Vec<Coding> {
        let identity = self.identity.or(self.others).unwrap_or(1);
        let wanted = |coding: &Coding| {
            let quality = self.quality(*coding);
            quality > 0 && quality >= identity
        };
        let mut ranked: Vec<Coding> = offered.iter().copied().filter(wanted).collect();
        ranked.sort_by_key(|coding| Reverse(self.quality(*coding)));
        ranked
    }

    /// The first of [`Self::ranked`].
    pub fn best(&self, offered: &[Coding]) -> Option<Coding> {
        self.ranked(offered).first().copied()
    }

    fn quality(&self, coding: Coding) -> Quality {
        let named = match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip => self.gzip,
        };
        named.or(self.others).unwrap_or(0)
    }
}

/// `q=0.5` among the parameters of an element; without one the best, malformed none.
fn quality(parameters: &[u8]) -> Quality {
    for parameter in parameters.split(|byte| *byte == b';') {
        if let [b'q' | b'Q', b'=', weight @ ..] = parameter.trim_ascii() {
            return thousandths(weight).unwrap_or(0);
        }
    }
    BEST
}

/// `0`, `1`, and up to three digits behind a point (RFC 9110, section 12.4.2).
fn thousandths(weight: &[u8]) -> Option<Quality> {
    let (whole, fraction) = match weight {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut quality = Quality::from(whole - b'0') * BEST;
    for (digit, place) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        quality += Quality::from(digit - b'0') * place;
    }
    (quality <= BEST).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(lines: &[&str]) -> Accepted {
        let lines = lines.iter();
        let fields = lines.map(|line| (ACCEPT_ENCODING, line.parse().unwrap()));
        Accepted::of(&fields.collect())
    }

    fn best(line: &str) -> &'static str {
        let coding = accepted(&[line]).best(&Coding::ALL);
        coding.map_or("identity", Coding::name)
    }

    #[test]
    fn qualities_decide_and_then_the_order_of_what_is_offered() {
        for (line, expected) in [
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, br", "br"),
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("GZip", "gzip"),
            ("gzip;q=1.0, br;q=0.5", "gzip"),
            ("gzip;q=0.001", "gzip"),
            ("gzip ; q=0.5 , br ;q=0.8", "br"),
            ("br;q=0.9;x=1, gzip;q=0.89", "br"),
            ("*", "zstd"),
            ("*, zstd;q=0", "br"),
            ("*;q=0.5, gzip;q=0.6", "gzip"),
            ("gzip, *;q=0", "gzip"),
            ("identity;q=0, gzip", "gzip"),
            ("identity, gzip", "gzip"),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ] {
            assert_eq!(best(line), expected, "{line}");
        }
    }

    #[test]
    fn what_a_client_does_not_want_it_does_not_get() {
        for line in [
            "",
            "identity",
            "deflate, compress",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "identity;q=0",
            "identity;q=1, gzip;q=0.5",
            "*;q=0.8, gzip;q=0, br;q=0, zstd;q=0",
            "gzipped",
            "gz ip",
        ] {
            assert_eq!(best(line), "identity", "{line}");
        }
    }

    #[test]
    fn malformed_qualities_are_none() {
        for weight in [
            "", "2", "1.1", "0.1234", "-1", ".5", "0,5", "a", "1.001", "0.5.5", "+1", "0x1", "1e0",
            " 1",
        ] {
            assert_eq!(best(&format!("gzip;q={weight}")), "identity", "{weight}");
        }
        for weight in ["1", "1.", "1.000", "0.1", "0.12", "0.123"] {
            assert_eq!(best(&format!("gzip;Q={weight}")), "gzip", "{weight}");
        }
        assert_eq!(best(";;;,,;q=1,=,gzip"), "gzip");
    }

    #[test]
    fn several_lines_are_one_list_and_only_its_beginning_counts() {
        let offered = &Coding::ALL;
        assert_eq!(
            accepted(&["gzip;q=0.5", "br"]).best(offered),
            Some(Coding::Brotli)
        );
        let first = accepted(&["gzip;q=0", "gzip"]);
        assert_eq!(first.best(offered), None);
        let long = format!("{},gzip", "x,".repeat(LONGEST));
        assert_eq!(accepted(&[&long]).best(offered), None);
        let many = vec!["deflate"; 200];
        assert_eq!(
            accepted(&[&many[..], &["gzip"]].concat()).best(offered),
            None
        );
    }

    #[test]
    fn all_that_are_wanted_are_ranked() {
        let accepted = accepted(&["gzip;q=0.9, br;q=0.9, zstd;q=0.1, identity;q=0.5"]);
        let offered = [Coding::Gzip, Coding::Zstd, Coding::Brotli];
        assert_eq!(accepted.ranked(&offered), [Coding::Gzip, Coding::Brotli]);
        assert!(Accepted::default().ranked(&offered).is_empty());
    }
}
