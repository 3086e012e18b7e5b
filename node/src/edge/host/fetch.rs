//! HTTPS calls of guests, through the node's egress client.

use aegis_abi::{Code, MAX_REQUEST_BODY, MAX_URL, MODULE, import};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use tokio::task::JoinSet;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, answer, frame};
use super::toll;
use crate::edge::budget::Charge;
use crate::edge::guest::{Guest, HostError};
use crate::egress::{Call, EgressError, Room, UrlError};

/// Longest content type of a request, in bytes.
const MAX_CONTENT_TYPE: usize = 1024;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    without_body(linker, import::HTTP_GET, Method::GET)?;
    without_body(linker, import::HTTP_DELETE, Method::DELETE)?;
    with_body(linker, import::HTTP_POST, Method::POST)?;
    with_body(linker, import::HTTP_PUT, Method::PUT)?;
    Ok(())
}

fn without_body(linker: &mut Linker<Guest>, import: &str, method: Method) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>, (url, url_length): (i32, i32)| {
            let method = method.clone();
            Box::new(async move {
                toll::pay(&mut caller)?;
                let call = prepare(&mut caller, method, Span::new(url, url_length), None);
                Ok(finish(&mut caller, call).await)
            })
        },
    )?;
    Ok(())
}

type UrlBodyType = (i32, i32, i32, i32, i32, i32);

fn with_body(linker: &mut Linker<Guest>, import: &str, method: Method) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import,
        move |mut caller: Caller<'_, Guest>,
              (url, url_len, body, body_len, kind, kind_len): UrlBodyType| {
            let method = method.clone();
            Box::new(async move {
                toll::pay(&mut caller)?;
                let body = (Span::new(body, body_len), Span::new(kind, kind_len));
                let call = prepare(&mut caller, method, Span::new(url, url_len), Some(body));
                Ok(finish(&mut caller, call).await)
            })
        },
    )?;
    Ok(())
}

/// Counts the call and copies what it needs out of the guest.
fn prepare(
    caller: &mut Caller<'_, Guest>,
    method: Method,
    url: Span,
    body: Option<(Span, Span)>,
) -> Result<Call, HostError> {
    let Frame { memory, guest } = frame(caller);
    let url = url.of(memory)?;
    if url.len() > MAX_URL {
        return Err(HostError::new(
            Code::TooLarge,
            "the url is longer than 8 KiB",
        ));
    }
    let url = std::str::from_utf8(url)
        .map_err(|_| HostError::new(Code::BadArgument, "the url is not UTF-8"))?;
    let body = match body {
        Some((body, kind)) => Some((
            body.at_most(memory, MAX_REQUEST_BODY)?,
            kind.at_most(memory, MAX_CONTENT_TYPE)?,
        )),
        None => None,
    };
    if guest.usage.subrequests >= guest.program.limits.subrequests {
        return Err(HostError::new(Code::LimitReached, "subrequests is reached"));
    }
    guest.usage.subrequests += 1;
    let mut headers = HeaderMap::new();
    let mut bytes = Bytes::new();
    if let Some((body, kind)) = body {
        headers.extend(content_type(kind)?.map(|kind| (CONTENT_TYPE, kind)));
        bytes = Bytes::copy_from_slice(body);
    }
    Ok(Call {
        caller: std::sync::Arc::clone(&guest.program.name),
        method,
        url: url.to_owned(),
        headers,
        body: bytes,
    })
}

fn content_type(bytes: &[u8]) -> Result<Option<HeaderValue>, HostError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_bytes(bytes)
        .map(Some)
        .map_err(|_| HostError::new(Code::BadArgument, "the content type is not a header value"))
}

async fn finish(caller: &mut Caller<'_, Guest>, call: Result<Call, HostError>) -> i32 {
    let result = match call {
        Ok(call) => send(caller, call).await,
        Err(error) => Err(error),
    };
    answer(caller.data_mut(), result)
}

async fn send(caller: &mut Caller<'_, Guest>, call: Call) -> Result<i32, HostError> {
    let program = std::sync::Arc::clone(&caller.data().program);
    let room = std::sync::Arc::new(caller.data_mut().lend(call.body.len())?);
    let taken = std::sync::Arc::clone(&room);
    // On the host's own threads: a TLS handshake is not the guest's running time. The
    // set aborts the call if the invocation is dropped.
    let mut calls = JoinSet::new();
    calls.spawn(async move {
        let egress = &program.services.egress;
        egress.call(&program.egress, call, &*taken).await
    });
    let called = async {
        match calls.join_next().await {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(_)) | None => Err(HostError::new(Code::Unavailable, "the call was cut short")),
        }
    };
    let reply = toll::outside(caller, called).await?;
    if matches!(reply, Err(EgressError::NoRoom)) {
        caller.data_mut().limiter.starved = true;
    }
    let body = reply?.body;
    // From here on it is the shared buffer's.
    drop(room);
    caller.data_mut().share_yielded(body)
}

impl Room for Charge {
    fn take(&self, bytes: usize) -> bool {
        self.try_grow(bytes)
    }
}

impl From<EgressError> for HostError {
    fn from(error: EgressError) -> Self {
        let code = match &error {
            EgressError::BadUrl(UrlError::TooLong) => Code::TooLarge,
            EgressError::BadUrl(_) => Code::BadArgument,
            EgressError::NotAllowed(_) | EgressError::AddressRefused(_) => Code::NotAllowed,
            EgressError::Timeout => Code::TimedOut,
            EgressError::TooLarge(_) => Code::TooLarge,
            EgressError::TooManyRedirects | EgressError::NoRoom => Code::LimitReached,
            EgressError::Resolve(_)
            | EgressError::Connect(_)
            | EgressError::Tls(_)
            | EgressError::Transport(_) => Code::Unavailable,
        };
        Self {
            code,
            text: error.to_string().into(),
        }
    }
}
