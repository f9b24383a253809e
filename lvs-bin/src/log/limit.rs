//! What repeats is left out, and counted: [`Limit`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lets events through, of each place in the code that makes them
/// [so many](BURST) at once and then one a second.
#[derive(Clone, Debug, Default)]
pub(super) struct Limit {
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

/// A place in the code that makes events.
#[derive(Debug)]
struct Place {
    /// Events that may pass as of then, a second each.
    room: Duration,
    as_of: Instant,
    left_out: u64,
    /// What the last of these said.
    like: String,
}

impl Place {
    const fn new(now: Instant) -> Self {
        Self {
            room: FULL,
            as_of: now,
            left_out: 0,
            like: String::new(),
        }
    }

    /// Whether another event may pass; if not, it says `like`.
    fn admit(&mut self, now: Instant, like: impl FnOnce() -> String) -> bool {
        let since = now.saturating_duration_since(self.as_of);
        let room = self.room.saturating_add(since).min(FULL);
        self.as_of = now;
        if let Some(left) = room.checked_sub(EACH) {
            self.room = left;
            return true;
        }
        self.room = room;
        self.left_out += 1;
        self.like = like();
        false
    }
}

impl Limit {
    /// Tells how many events were left out since the last time, if any were.
    pub(super) fn tell(&self) {
        // Told without the lock, as telling is an event, too.
        let left_out: Vec<_> = {
            let mut places = self.places();
            let all = places.values_mut();
            let some = all.filter(|place| place.left_out > 0);
            some.map(|place| {
                let count = std::mem::take(&mut place.left_out);
                (count, std::mem::take(&mut place.like))
            })
            .collect()
        };
        for (count, like) in left_out {
            tracing::warn!(
                event = "left_out",
                count,
                like,
                "left out {count} like: {like}"
            );
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        // Whoever panicked with it in hand has left whole values behind.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, of: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *of.level() <= LEVEL
    }

    fn callsite_enabled(&self, of: &'static Metadata<'static>) -> Interest {
        match *of.level() <= LEVEL {
            // What `event_enabled` says differs from time to time.
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LEVEL)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if event.metadata().target() == module_path!() {
            return true;
        }
        let now = Instant::now();
        let mut places = self.places();
        let place = places
            .entry(event.metadata().callsite())
            .or_insert_with(|| Place::new(now));
        place.admit(now, || message(event))
    }
}

/// What an event says to people.
fn message(event: &Event<'_>) -> String {
    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

/// Events of a kind that are told at once.
pub(super) const BURST: u64 = 50;
/// After which there is room for one more.
const EACH: Duration = Duration::from_secs(1);
const FULL: Duration = Duration::from_secs(BURST);
/// What is told at all.
const LEVEL: LevelFilter = LevelFilter::INFO;

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn fifty_pass_and_then_one_a_second() {
        let begun = Instant::now();
        let mut place = Place::new(begun);
        let admit = |place: &mut Place, at: u64, number: u32| {
            let now = begun + Duration::from_millis(at);
            place.admit(now, || format!("number {number}"))
        };
        let passed = (0..100).filter(|n| admit(&mut place, 0, *n)).count();
        assert_eq!((passed, place.left_out), (50, 50));
        assert_eq!(place.like, "number 99");
        let later = (1..=100).filter(|n| admit(&mut place, u64::from(*n) * 100, *n));
        assert_eq!(later.count(), 10, "in ten seconds");
        assert_eq!(place.left_out, 50 + 90);
        // After a long silence it is as at first.
        let passed = (0..100).filter(|n| admit(&mut place, 1_000_000, *n));
        assert_eq!(passed.count(), 50);
    }

    /// Keeps what it is told.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(message(event));
        }
    }

    #[test]
    fn how_many_were_left_out_is_told_for_each_place() {
        let (kept, limit) = (Kept::default(), Limit::default());
        let all = tracing_subscriber::registry().with(kept.clone().with_filter(limit.clone()));
        tracing::subscriber::with_default(all, || {
            for number in 0..80 {
                tracing::info!("it went down {number}");
            }
            tracing::warn!("another");
            tracing::debug!("too little to tell");
            limit.tell();
            limit.tell();
        });
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.len(), 52, "{kept:?}");
        assert_eq!(
            kept[49..],
            [
                "it went down 49",
                "another",
                "left out 30 like: it went down 79"
            ]
        );
    }
}
