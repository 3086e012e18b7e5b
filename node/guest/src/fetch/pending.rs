//! HTTPS calls that run at the same time.

use super::Reply;
use crate::{Error, sys};

/// A call that was [started](super::Request::start) and runs on.
///
/// One that nobody waits for ends with the invocation at the latest.
#[derive(Debug)]
#[must_use = "the answer of a call is lost unless it is waited for"]
pub struct Pending {
    pub(super) handle: i32,
}

impl Pending {
    /// Waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// See the [module](super#errors).
    pub fn wait(self) -> Result<Reply, Error> {
        Reply::of(sys::http_request_wait(self.handle))
    }
}

/// Calls under way at the same time, each under a label of yours; as an iterator it brings their
/// answers in the order in which they arrive.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::Host};
/// # let urls = ["https://a.example.com/", "https://b.example.com/"];
/// # Host::new().answer(urls[0], "a").answer(urls[1], "b").run(|| {
/// let mut calls = fetch::Join::new();
/// calls.start("left", &fetch::Request::get("https://a.example.com/"))?;
/// calls.start("right", &fetch::Request::get("https://b.example.com/"))?;
/// for (name, reply) in calls {
///     match reply {
///         Ok(reply) => aegis_guest::log!("{name}: {}", reply.status()),
///         Err(error) => aegis_guest::log!("{name}: {error}"),
///     }
/// }
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
#[derive(Debug)]
#[must_use = "the answers of calls are lost unless they are waited for"]
pub struct Join<T> {
    labels: Vec<T>,
    /// Of the same length: what the labels stand for.
    handles: Vec<i32>,
}

impl<T> Join<T> {
    /// No calls yet.
    pub const fn new() -> Self {
        Self {
            labels: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Begins a call; what is under way stays so if it fails.
    ///
    /// # Errors
    ///
    /// Those of [`Request::start`](super::Request::start).
    pub fn start(&mut self, label: T, request: &super::Request<'_>) -> Result<(), Error> {
        let Pending { handle } = request.start()?;
        self.labels.push(label);
        self.handles.push(handle);
        Ok(())
    }

    /// How many calls have not been waited for.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether all calls have been waited for.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Waits for all calls: their answers in the order in which they were started.
    pub fn all(self) -> Vec<(T, Result<Reply, Error>)> {
        let wait = |handle| Pending { handle }.wait();
        let replies = self.handles.into_iter().map(wait);
        self.labels.into_iter().zip(replies).collect()
    }
}

impl<T> Default for Join<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Iterator for Join<T> {
    type Item = (T, Result<Reply, Error>);

    /// Waits for the call that is finished first.
    fn next(&mut self) -> Option<Self::Item> {
        if self.handles.is_empty() {
            return None;
        }
        // Should the node refuse to choose, waiting for the first call tells why.
        let first = usize::try_from(sys::http_request_wait_any(&self.handles))
            .ok()
            .filter(|index| *index < self.handles.len())
            .unwrap_or(0);
        let handle = self.handles.remove(first);
        Some((self.labels.remove(first), Pending { handle }.wait()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Join;
    use crate::fetch::Request;
    use crate::testing::{Host, Reply};
    use crate::{Code, Error, time};

    const URLS: [&str; 3] = [
        "https://slow.example.com/",
        "https://quick.example.com/",
        "https://broken.example.com/",
    ];

    fn host() -> Host {
        let after = |seconds| Reply::new(200).after(Duration::from_secs(seconds));
        Host::new()
            .reply(URLS[0], after(3).body("slow"))
            .reply(URLS[1], after(1).body("quick"))
            .answer_fails(URLS[2], Code::Unavailable)
    }

    fn started() -> Result<Join<usize>, Error> {
        let mut calls = Join::new();
        for (index, url) in URLS.iter().enumerate() {
            calls.start(index, &Request::get(url))?;
        }
        Ok(calls)
    }

    #[test]
    fn answers_come_as_they_arrive_and_the_whole_takes_as_long_as_the_slowest() {
        host()
            .run(|| {
                let mut calls = started()?;
                assert_eq!(calls.len(), 3);
                let order: Vec<usize> = calls.by_ref().map(|(index, _)| index).collect();
                assert_eq!(order, [2, 1, 0]);
                assert!(calls.is_empty() && calls.next().is_none());
                assert_eq!(time::now(), Duration::from_secs(3));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn all_answers_come_in_the_order_of_their_start() {
        host()
            .run(|| {
                let answers: Vec<_> = started()?
                    .all()
                    .into_iter()
                    .map(|(index, reply)| (index, reply.map(super::Reply::into_body)))
                    .map(|(index, body)| (index, body.map_err(|error| error.code())))
                    .collect();
                assert_eq!(
                    answers,
                    [
                        (0, Ok(b"slow".to_vec())),
                        (1, Ok(b"quick".to_vec())),
                        (2, Err(Code::Unavailable)),
                    ]
                );
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn an_answer_that_takes_too_long_is_a_timeout() {
        let late = Reply::new(200).after(Duration::from_secs(60));
        Host::new()
            .reply(URLS[0], late)
            .run(|| {
                let reply = Request::get(URLS[0]).start()?.wait();
                assert_eq!(reply.map(drop).map_err(|it| it.code()), Err(Code::TimedOut));
                assert_eq!(time::now(), Duration::from_secs(5));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn the_number_of_calls_is_limited() {
        let outcome = Host::new().answer(URLS[0], "ok").run(|| {
            let mut calls = Join::new();
            for index in 0..32 {
                calls.start(index, &Request::get(URLS[0]))?;
            }
            calls.start(32, &Request::get(URLS[0]))
        });
        assert!(
            outcome
                .error()
                .is_some_and(|it| it.starts_with("limit reached"))
        );
        assert_eq!(outcome.calls().len(), 32);
    }
}
