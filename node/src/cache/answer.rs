//! The answer of a store: there at once, or to be waited for.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::CacheError;

/// What a store makes of a call. What is answered in this process costs neither an allocation
/// nor a wait; awaiting either kind gives the result.
pub enum Answer<'a, T> {
    /// The result is there.
    Now(Ready<Result<T, CacheError>>),
    /// The result comes from outside the process.
    Later(BoxFuture<'a, Result<T, CacheError>>),
}

// === impl Answer ===

impl<'a, T> Answer<'a, T> {
    pub(super) fn now(result: Result<T, CacheError>) -> Self {
        Self::Now(ready(result))
    }

    pub(super) fn later(result: impl Future<Output = Result<T, CacheError>> + Send + 'a) -> Self {
        Self::Later(Box::pin(result))
    }

    /// The answer to a call whose arguments are checked before a store hears of it.
    pub(super) fn checked(call: impl FnOnce() -> Result<Self, CacheError>) -> Self {
        call().unwrap_or_else(|error| Self::now(Err(error)))
    }
}

impl<T> Future for Answer<'_, T> {
    type Output = Result<T, CacheError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(result) => Pin::new(result).poll(context),
            Self::Later(result) => result.as_mut().poll(context),
        }
    }
}
