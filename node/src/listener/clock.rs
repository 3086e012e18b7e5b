//! A deadline that is set for every wait, and hardly ever passes.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Times one wait after the other. Its timer is left alone when a wait ends, and moved only
/// when it fires for one that is over: most waits cost a reading of the clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Whether the wait has lasted for `timeout`; it begins with the first call after
    /// [`Clock::stop`]. If not, the task is woken in time for another call.
    pub(super) fn is_over(&mut self, timeout: Duration, context: &mut Context<'_>) -> bool {
        let until = *self.until.get_or_insert_with(|| Instant::now() + timeout);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= until {
                return true;
            }
            timer.as_mut().reset(until);
        }
        false
    }

    /// What was waited for has come.
    pub(super) fn stop(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn look(clock: &mut Clock, timeout: Duration) -> bool {
        poll_fn(|context| Poll::Ready(clock.is_over(timeout, context))).await
    }

    async fn wait(clock: &mut Clock, timeout: Duration) {
        poll_fn(|context| match clock.is_over(timeout, context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    #[tokio::test]
    async fn each_wait_is_timed_alone_whether_longer_or_shorter_than_the_last() {
        let mut clock = Clock::default();
        for timeout in [LONG, Duration::from_millis(5), Duration::from_millis(50)] {
            assert!(!look(&mut clock, timeout).await);
            clock.stop();
            if timeout < LONG {
                let start = Instant::now();
                wait(&mut clock, timeout).await;
                assert!(start.elapsed() >= timeout);
                clock.stop();
            }
        }
    }

    #[tokio::test]
    async fn a_wait_begins_with_the_first_look() {
        let mut clock = Clock::default();
        let short = Duration::from_millis(5);
        assert!(!look(&mut clock, short).await);
        // Later looks do not put it off.
        wait(&mut clock, LONG).await;
        assert!(look(&mut clock, LONG).await, "it stays over until stopped");
        clock.stop();
        assert!(!look(&mut clock, short).await);
    }
}
