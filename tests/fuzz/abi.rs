//! The imports of the ABI as the generators see them: what each argument is for.

use aegis_abi::{MAX_KEY, MODULE, import};
use wasm_encoder::{EntityType, ImportSection, Module, TypeSection, ValType};

/// What a pointer and a length should name to get past the first check of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Key,
    Url,
    Name,
    Value,
    Method,
    /// Lines of `Name: value`.
    Lines,
    /// Memory the host writes to.
    Destination,
}

/// One argument of a call, which may be several parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    /// A pointer and a length.
    Span(Kind),
    /// A destination, an offset into the shared buffer, and a length that belongs to both.
    Copy,
    Status,
    Seconds,
    /// An `i64`.
    Delta,
    Limit,
    Handle,
    /// A pointer, and how many handles there are.
    Handles,
}

/// What a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    /// -1 or not negative.
    Result,
    /// -1 or the length of what is now in the shared buffer.
    Length,
    /// -1 or the length asked for.
    Copied,
    /// 0 or an error code.
    Code,
    /// -1 or any number that is not negative.
    Number,
    Time,
    /// An `i64`, the least of all on failure.
    Count,
}

/// One import.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Import {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [Argument],
    pub(crate) answer: Answer,
}

const TEXT: Argument = Argument::Span(Kind::Text);
const KEY: Argument = Argument::Span(Kind::Key);
const URL: Argument = Argument::Span(Kind::Url);
const NAME: Argument = Argument::Span(Kind::Name);
const VALUE: Argument = Argument::Span(Kind::Value);
const CALL: &[Argument] = &[
    Argument::Span(Kind::Method),
    URL,
    Argument::Span(Kind::Lines),
    TEXT,
];

/// Every import there is.
pub(crate) const IMPORTS: &[Import] = &[
    of(import::LOG, &[TEXT], Answer::Nothing),
    of(import::CACHE_GET, &[KEY], Answer::Length),
    of(
        import::CACHE_SET,
        &[KEY, VALUE, Argument::Seconds],
        Answer::Result,
    ),
    of(import::HTTP_GET, &[URL], Answer::Length),
    of(import::HTTP_POST, &[URL, TEXT, VALUE], Answer::Length),
    of(import::HTTP_PUT, &[URL, TEXT, VALUE], Answer::Length),
    of(import::HTTP_DELETE, &[URL], Answer::Length),
    of(import::GET_SHARED_BUFFER, &[Argument::Copy], Answer::Copied),
    of(import::REQUEST_GET_METHOD, &[], Answer::Length),
    of(import::REQUEST_GET_URI, &[], Answer::Length),
    of(import::REQUEST_GET_HEADER, &[NAME], Answer::Length),
    of(import::REQUEST_GET_HEADER_NAMES, &[], Answer::Length),
    of(import::REQUEST_GET_BODY, &[], Answer::Length),
    of(
        import::REQUEST_TERMINATE,
        &[Argument::Status],
        Answer::Result,
    ),
    of(
        import::RESPONSE_SET_STATUS,
        &[Argument::Status],
        Answer::Result,
    ),
    of(import::RESPONSE_SET_HEADER, &[NAME, VALUE], Answer::Result),
    of(import::RESPONSE_ADD_HEADER, &[NAME, VALUE], Answer::Result),
    of(import::RESPONSE_REMOVE_HEADER, &[NAME], Answer::Result),
    of(import::RESPONSE_SET_BODY, &[TEXT], Answer::Result),
    of(import::LAST_ERROR, &[], Answer::Length),
    of(import::LAST_ERROR_CODE, &[], Answer::Code),
    of(import::CONFIG_GET, &[KEY], Answer::Length),
    of(import::TIME_NOW, &[], Answer::Time),
    of(
        import::RANDOM_BYTES,
        &[Argument::Span(Kind::Destination)],
        Answer::Result,
    ),
    of(import::CACHE_DELETE, &[KEY], Answer::Number),
    of(
        import::CACHE_INCREMENT,
        &[KEY, Argument::Delta, Argument::Seconds],
        Answer::Count,
    ),
    of(
        import::RATE_LIMIT,
        &[KEY, Argument::Limit, Argument::Seconds],
        Answer::Number,
    ),
    of(import::HTTP_REQUEST, CALL, Answer::Length),
    of(import::HTTP_REQUEST_START, CALL, Answer::Number),
    of(
        import::HTTP_REQUEST_WAIT,
        &[Argument::Handle],
        Answer::Length,
    ),
    of(
        import::HTTP_REQUEST_WAIT_ANY,
        &[Argument::Handles],
        Answer::Number,
    ),
    of(import::HTTP_RESPONSE_STATUS, &[], Answer::Number),
    of(import::HTTP_RESPONSE_HEADER, &[NAME], Answer::Length),
    of(import::REQUEST_SET_HEADER, &[NAME, VALUE], Answer::Result),
    of(import::REQUEST_ADD_HEADER, &[NAME, VALUE], Answer::Result),
    of(import::REQUEST_REMOVE_HEADER, &[NAME], Answer::Result),
    of(import::REQUEST_SET_URI, &[URL], Answer::Result),
    of(import::REQUEST_SET_BODY, &[TEXT], Answer::Result),
    of(import::REQUEST_GET_CLIENT_ADDRESS, &[], Answer::Length),
    of(import::RESPONSE_GET_STATUS, &[], Answer::Number),
    of(import::RESPONSE_GET_HEADER, &[NAME], Answer::Length),
    of(import::RESPONSE_GET_HEADER_NAMES, &[], Answer::Length),
    of(import::RESPONSE_GET_BODY, &[], Answer::Length),
];

const fn of(name: &'static str, arguments: &'static [Argument], answer: Answer) -> Import {
    Import {
        name,
        arguments,
        answer,
    }
}

impl Import {
    fn parameters(&self) -> Vec<ValType> {
        let of = |argument: &Argument| match argument {
            Argument::Span(_) | Argument::Handles => &[ValType::I32; 2][..],
            Argument::Copy => &[ValType::I32; 3],
            Argument::Status | Argument::Seconds | Argument::Limit | Argument::Handle => {
                &[ValType::I32]
            }
            Argument::Delta => &[ValType::I64],
        };
        self.arguments.iter().flat_map(of).copied().collect()
    }

    fn results(&self) -> &'static [ValType] {
        match self.answer {
            Answer::Nothing => &[],
            Answer::Time | Answer::Count => &[ValType::I64],
            Answer::Result | Answer::Length | Answer::Copied | Answer::Code | Answer::Number => {
                &[ValType::I32]
            }
        }
    }
}

/// The types and imports of a module that imports everything: function `n` is `IMPORTS[n]`.
pub(crate) fn sections() -> (TypeSection, ImportSection) {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (index, import) in (0..).zip(IMPORTS) {
        let parameters = import.parameters();
        let results = import.results().iter().copied();
        types.ty().function(parameters, results);
        imports.import(MODULE, import.name, EntityType::Function(index));
    }
    (types, imports)
}

/// A module with nothing but every import.
pub(crate) fn everything() -> Vec<u8> {
    let (types, imports) = sections();
    let mut module = Module::new();
    module.section(&types).section(&imports);
    module.finish()
}

/// Bytes that are something to one of the calls, or nearly.
pub(crate) fn pieces() -> Vec<(Kind, Vec<u8>)> {
    let of = |kind, texts: &[&[u8]]| -> Vec<_> {
        texts.iter().map(|text| (kind, text.to_vec())).collect()
    };
    let mut pieces = [
        of(Kind::Text, TEXTS),
        of(Kind::Key, KEYS),
        of(Kind::Url, URLS),
        of(Kind::Name, NAMES),
        of(Kind::Value, VALUES),
        of(Kind::Method, METHODS),
        of(Kind::Lines, LINES),
    ]
    .concat();
    pieces.push((Kind::Key, vec![b'k'; MAX_KEY]));
    pieces.push((Kind::Key, vec![b'k'; MAX_KEY + 1]));
    pieces.push((
        Kind::Url,
        [b"https://a.example/".to_vec(), vec![b'u'; 8200]].concat(),
    ));
    pieces.push((Kind::Value, vec![b'v'; 600]));
    pieces
}

const TEXTS: &[&[u8]] = &[
    b"",
    b"a line",
    b"two\nlines\r\x1b[31m",
    b"\0",
    b"\xff\xfe\xc3",
    b"{\"level\":\"ERROR\"}",
    b"\xc2\x85\xe2\x80\xa8",
];

const KEYS: &[&[u8]] = &[
    b"",
    b"k",
    b"greeting",
    b"other:k",
    b"..",
    b"{x}",
    b"k\r\nFLUSHALL\r\n",
    b"\0",
    b"\xff",
];

/// Nothing is allowed, so none is ever called.
const URLS: &[&[u8]] = &[
    b"",
    b"https://api.example.com/",
    b"http://api.example.com/",
    b"https://127.0.0.1:1/",
    b"https://[::1]/",
    b"https://0x7f.1/",
    b"https://user@api.example.com/",
    b"https://\xff/",
    b"https://a b/",
    b"https:\\\\a",
    b"HTTPS://API.EXAMPLE.COM.:443/../%2e%2e/?#",
    b"/",
    b"/a/../b?c=d",
    b"//evil.example/",
    b"/a b",
    b"/x\r\nHost: e",
    b"/%2f",
    b"/..%2f",
    b"/%",
    b"*",
];

const METHODS: &[&[u8]] = &[
    b"", b"GET", b"get", b"PURGE", b"CONNECT", b"TRACE", b"G T", b"GET\r\n", b"\xff",
];

const LINES: &[&[u8]] = &[
    b"",
    b"accept: text/plain",
    b"accept: a\nx-b: c\n",
    b"host: evil.example",
    b"x-a: b\r\nx-c: d",
    b"x-a",
    b": v",
    b"x a: b",
    b"x-a: b\0",
    b"\n\n",
    b"\xff: \xff",
];

const NAMES: &[&[u8]] = &[
    b"",
    b"x-a",
    b"X-A",
    b"x-b",
    b"set-cookie",
    b"content-type",
    b"Content-Length",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-aegis-error",
    b":status",
    b"x y",
    b"x\r\ny",
    b"x\0",
    b"\xff",
];

const VALUES: &[&[u8]] = &[
    b"",
    b"v",
    b"a\r\nSet-Cookie: x=1",
    b"a\n",
    b"a\0",
    b"\t",
    b"\x7f",
    b"\xe4\xff",
    b"text/plain; charset=utf-8",
];

#[test]
fn the_generators_know_every_import() {
    let known: Vec<_> = IMPORTS.iter().map(|import| import.name).collect();
    let all: Vec<_> = import::ORIGINAL
        .iter()
        .chain(import::ADDITIONS)
        .copied()
        .collect();
    assert_eq!(known, all);
}
