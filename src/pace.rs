//! No more requests than LookupEvents allows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many requests may start within [`PERIOD`].
///
/// Source: CloudTrail API Reference, `LookupEvents`: two requests a second for each account and Region.
const TOKENS: usize = 2;

/// How long a token is gone.
const PERIOD: Duration = Duration::from_secs(1);

/// A bucket of tokens for each Region. A token that is taken comes back after a second, so no second sees more requests
/// than there are tokens.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the last requests of each Region began, or will begin, the oldest first.
    taken: Mutex<HashMap<String, [Option<Instant>; TOKENS]>>,
}

impl Pace {
    /// Waits for a token of the Region; `false`, at once and without taking one, if there is none before the deadline.
    pub(crate) async fn take(&self, region: &str, deadline: Instant) -> bool {
        let begin = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = taken.entry(region.to_owned()).or_default();
            let now = Instant::now();
            let begin = taken[0].map_or(now, |oldest| now.max(oldest + PERIOD));
            if begin >= deadline {
                return false;
            }
            taken.rotate_left(1);
            taken[TOKENS - 1] = Some(begin);
            begin
        };
        sleep_until(begin).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_than_two_requests_in_a_region() {
        let (pace, start) = (&Pace::default(), Instant::now());
        let deadline = start + Duration::from_secs(60);
        let wait = |region: &'static str| async move {
            assert!(pace.take(region, deadline).await);
            (region, start.elapsed().as_millis())
        };
        let order = ["a", "a", "a", "b", "a", "a", "b", "b"];
        let taken = futures_util::future::join_all(order.map(wait)).await;
        let of = |region| taken.iter().filter(|(of, _)| *of == region).map(|(_, at)| *at).collect::<Vec<_>>();
        assert_eq!(of("a"), [0, 0, 1000, 1000, 2000]);
        assert_eq!(of("b"), [0, 0, 1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_gives_no_more_than_two_tokens() {
        let (pace, start) = (Pace::default(), Instant::now());
        let deadline = start + Duration::from_secs(60);
        tokio::time::sleep(Duration::from_secs(10)).await;
        for expected in [10_000, 10_000, 11_000, 11_000, 12_000] {
            assert!(pace.take("a", deadline).await);
            assert_eq!(start.elapsed().as_millis(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_be_too_late_is_not_waited_for() {
        let (pace, start) = (Pace::default(), Instant::now());
        let soon = start + Duration::from_millis(900);
        assert!(pace.take("a", soon).await && pace.take("a", soon).await);
        assert!(!pace.take("a", soon).await);
        assert_eq!(start.elapsed().as_millis(), 0);
        // It took no token from whoever has the time.
        assert!(pace.take("a", start + Duration::from_secs(5)).await);
        assert_eq!(start.elapsed().as_millis(), 1000);
    }
}
