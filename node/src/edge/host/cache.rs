//! The cache as guests see it: always inside their own namespace.

use std::sync::Arc;
use std::time::Duration;

use aegis_abi::{Code, INCREMENT_FAILURE, MAX_KEY, MAX_VALUE, MODULE, import};
use wasmtime::{Caller, Linker};

use super::frame::{Span, answer, frame};
use super::toll;
use crate::cache::{Answer, CacheError};
use crate::edge::guest::{Guest, HostError};
use crate::edge::program::Program;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import::CACHE_GET,
        |mut caller: Caller<'_, Guest>, (pointer, length): (i32, i32)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let result = read(&mut caller, Span::new(pointer, length)).await;
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        import::CACHE_SET,
        |mut caller: Caller<'_, Guest>, (key, key_length, value, value_length, ttl): Set| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let (key, value) = (Span::new(key, key_length), Span::new(value, value_length));
                let result = write(&mut caller, key, value, ttl.cast_unsigned()).await;
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        import::CACHE_DELETE,
        |mut caller: Caller<'_, Guest>, (pointer, length): (i32, i32)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let result = delete(&mut caller, Span::new(pointer, length)).await;
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    link_counting(linker)
}

fn link_counting(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        import::CACHE_INCREMENT,
        |mut caller: Caller<'_, Guest>, (key, length, delta, ttl): (i32, i32, i64, i32)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let key = Span::new(key, length);
                let result = increment(&mut caller, key, delta, ttl.cast_unsigned()).await;
                Ok(result.unwrap_or_else(|error| {
                    caller.data_mut().last_error = Some(error);
                    INCREMENT_FAILURE
                }))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        import::RATE_LIMIT,
        |mut caller: Caller<'_, Guest>, (key, length, limit, window): (i32, i32, i32, i32)| {
            Box::new(async move {
                toll::pay(&mut caller)?;
                let (limit, window) = (limit.cast_unsigned(), window.cast_unsigned());
                let result = rate_limit(&mut caller, Span::new(key, length), limit, window).await;
                Ok(answer(caller.data_mut(), result))
            })
        },
    )?;
    Ok(())
}

type Set = (i32, i32, i32, i32, i32);

async fn read(caller: &mut Caller<'_, Guest>, key: Span) -> Result<i32, HostError> {
    let program = count(caller)?;
    let key = key.at_most(frame(caller).memory, MAX_KEY)?;
    let found = program.services.cache.get(&program.namespace, key);
    let value = outcome(caller, found).await?;
    let value = value.ok_or(HostError::new(Code::NotFound, "the cache has no such key"))?;
    caller.data_mut().share_yielded(value)
}

async fn write(
    caller: &mut Caller<'_, Guest>,
    key: Span,
    value: Span,
    ttl: u32,
) -> Result<i32, HostError> {
    let program = count(caller)?;
    let memory = &*frame(caller).memory;
    let (key, value) = (key.copy(memory, MAX_KEY)?, value.copy(memory, MAX_VALUE)?);
    let _held = caller.data_mut().lend(value.len())?;
    let cache = &program.services.cache;
    let set = cache.set(&program.namespace, &key, value, ttl);
    outcome(caller, set).await?;
    Ok(0)
}

async fn delete(caller: &mut Caller<'_, Guest>, key: Span) -> Result<i32, HostError> {
    let program = count(caller)?;
    let key = key.at_most(frame(caller).memory, MAX_KEY)?;
    let removed = program.services.cache.delete(&program.namespace, key);
    outcome(caller, removed).await.map(i32::from)
}

async fn increment(
    caller: &mut Caller<'_, Guest>,
    key: Span,
    delta: i64,
    ttl: u32,
) -> Result<i64, HostError> {
    let program = count(caller)?;
    let key = key.at_most(frame(caller).memory, MAX_KEY)?;
    let cache = &program.services.cache;
    let sum = cache.increment(&program.namespace, key, delta, ttl);
    outcome(caller, sum).await
}

/// 0, or the milliseconds after which to try again: never 0, and at most what fits.
async fn rate_limit(
    caller: &mut Caller<'_, Guest>,
    key: Span,
    limit: u32,
    window: u32,
) -> Result<i32, HostError> {
    let program = count(caller)?;
    let key = key.at_most(frame(caller).memory, MAX_KEY)?;
    let window = Duration::from_secs(window.into());
    let cache = &program.services.cache;
    let wait = cache.rate_limit(&program.namespace, key, limit, window);
    let wait = outcome(caller, wait).await?;
    Ok(wait.map_or(0, |wait| wait.as_millis().try_into().unwrap_or(i32::MAX)))
}

/// Counts the call. What its future borrows is the program: by a clone, since the guest changes
/// while the call lasts.
fn count(caller: &mut Caller<'_, Guest>) -> Result<Arc<Program>, HostError> {
    let guest = caller.data_mut();
    if guest.usage.cache_calls >= guest.program.limits.cache_calls {
        return Err(HostError::new(Code::LimitReached, "cache_calls is reached"));
    }
    guest.usage.cache_calls += 1;
    Ok(Arc::clone(&guest.program))
}

/// Waits for the cache, if there is anything to wait for.
async fn outcome<T>(caller: &mut Caller<'_, Guest>, answer: Answer<'_, T>) -> Result<T, HostError> {
    match answer {
        Answer::Now(result) => Ok(result.into_inner()?),
        Answer::Later(result) => toll::outside(caller, async { Ok(result.await?) }).await,
    }
}

impl From<CacheError> for HostError {
    fn from(error: CacheError) -> Self {
        let code = match error {
            CacheError::OutOfRange(_)
            | CacheError::Kind
            | CacheError::NotANumber
            | CacheError::Overflow => Code::BadArgument,
            CacheError::ValueSize => Code::TooLarge,
            CacheError::Timeout => Code::TimedOut,
            CacheError::Unavailable | CacheError::Refused => Code::Unavailable,
            CacheError::Busy => Code::LimitReached,
        };
        Self {
            code,
            text: error.to_string().into(),
        }
    }
}
