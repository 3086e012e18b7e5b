//! The cache as guests see it: always inside their own namespace.

use std::sync::Arc;

use aegis_abi::{Code, MAX_KEY, MAX_VALUE, MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::{Span, answer, frame};
use super::toll;
use crate::cache::CacheError;
use crate::edge::guest::{Guest, HostError};

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
    Ok(())
}

type Set = (i32, i32, i32, i32, i32);

async fn read(caller: &mut Caller<'_, Guest>, key: Span) -> Result<i32, HostError> {
    let key = prepare(caller, key)?;
    let program = Arc::clone(&caller.data().program);
    let found = async {
        let cache = &program.services.cache;
        Ok(cache.get(&program.namespace, &key).await?)
    };
    let value = toll::outside(caller, found).await?;
    let value = value.ok_or(HostError::new(Code::NotFound, "the cache has no such key"))?;
    caller.data_mut().share_yielded(value)
}

async fn write(
    caller: &mut Caller<'_, Guest>,
    key: Span,
    value: Span,
    ttl: u32,
) -> Result<i32, HostError> {
    let key = prepare(caller, key)?;
    let value = value.copy(frame(caller).memory, MAX_VALUE)?;
    let _held = caller.data_mut().lend(value.len())?;
    let program = Arc::clone(&caller.data().program);
    let set = async {
        let cache = &program.services.cache;
        Ok(cache.set(&program.namespace, &key, value, ttl).await?)
    };
    toll::outside(caller, set).await?;
    Ok(0)
}

/// Counts the call and copies its key.
fn prepare(caller: &mut Caller<'_, Guest>, key: Span) -> Result<Bytes, HostError> {
    let frame = frame(caller);
    let limit = frame.guest.program.limits.cache_calls;
    if frame.guest.usage.cache_calls >= limit {
        return Err(HostError::new(Code::LimitReached, "cache_calls is reached"));
    }
    frame.guest.usage.cache_calls += 1;
    key.copy(frame.memory, MAX_KEY)
}

impl From<CacheError> for HostError {
    fn from(error: CacheError) -> Self {
        let code = match error {
            CacheError::KeySize | CacheError::Ttl => Code::BadArgument,
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
