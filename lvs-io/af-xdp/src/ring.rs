//! The two ends of a ring shared with the kernel: [`Producer`], [`Consumer`].
//!
//! ```text
//!        consumer          producer             indices only grow and wrap at
//!           v                 v                 2^32; masked, they are slots
//!   . . . . # # # # # # # # # . . . . . .
//!           taken here        put here
//! ```
//!
//! One side owns each index and publishes it by a Release store; the other side
//! reads it by an Acquire load, and so sees the slots filled before it. Each end
//! keeps the index of the other as last seen and looks again only when it wants
//! more than that promises: a batch costs one look, not one per entry.

use std::io;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

use crate::sys::{self, RingLayout};

/// The filling end of a ring: fill and transmit.
#[derive(Debug)]
pub(crate) struct Producer<T> {
    ring: Ring<T>,
    /// Where the next entry goes; ahead of the published index until `publish`.
    next: u32,
    /// The consumer index as last seen.
    seen: u32,
}

impl<T: Copy> Producer<T> {
    pub(crate) fn new(ring: Ring<T>) -> Self {
        let (next, seen) = (ring.producer().load(Ordering::Relaxed), ring.taken());
        Self { ring, next, seen }
    }

    /// Free slots; exact if fewer than `wanted`, else at least `wanted`.
    pub(crate) fn free(&mut self, wanted: u32) -> u32 {
        let free = self.size() - self.next.wrapping_sub(self.seen);
        if free >= wanted {
            return free;
        }
        self.seen = self.ring.taken();
        self.size() - self.next.wrapping_sub(self.seen)
    }

    /// Puts an entry into the next slot, which the caller knows to be free.
    pub(crate) fn push(&mut self, entry: T) {
        debug_assert!(self.free(1) > 0, "pushed into a full ring");
        self.ring.write(self.next, entry);
        self.next = self.next.wrapping_add(1);
    }

    /// Shows the other side all that was pushed.
    pub(crate) fn publish(&mut self) {
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Entries pushed which the other side has not taken yet.
    pub(crate) fn pending(&self) -> u32 {
        self.next.wrapping_sub(self.ring.taken())
    }

    /// Whether the kernel asks to be woken by a system call.
    pub(crate) fn needs_wakeup(&self) -> bool {
        self.ring.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    pub(crate) fn size(&self) -> u32 {
        self.ring.size()
    }
}

/// The emptying end of a ring: receive and completion.
#[derive(Debug)]
pub(crate) struct Consumer<T> {
    ring: Ring<T>,
    next: u32,
    /// The producer index as last seen.
    seen: u32,
}

impl<T: Copy> Consumer<T> {
    pub(crate) fn new(ring: Ring<T>) -> Self {
        let (next, seen) = (ring.consumer().load(Ordering::Relaxed), ring.put());
        Self { ring, next, seen }
    }

    /// Waiting entries; exact if fewer than `wanted`, else at least `wanted`.
    pub(crate) fn available(&mut self, wanted: u32) -> u32 {
        let available = self.seen.wrapping_sub(self.next);
        if available >= wanted {
            return available;
        }
        self.seen = self.ring.put();
        self.seen.wrapping_sub(self.next)
    }

    /// The entry `ahead` of the first waiting one, which the caller knows to be
    /// there.
    pub(crate) fn peek(&self, ahead: u32) -> T {
        debug_assert!(
            ahead < self.seen.wrapping_sub(self.next),
            "read past the end"
        );
        self.ring.read(self.next.wrapping_add(ahead))
    }

    /// Gives the slots of the first `count` entries back.
    pub(crate) fn take(&mut self, count: u32) {
        debug_assert!(count <= self.seen.wrapping_sub(self.next), "took too many");
        self.next = self.next.wrapping_add(count);
        self.ring.consumer().store(self.next, Ordering::Release);
    }

    pub(crate) fn size(&self) -> u32 {
        self.ring.size()
    }
}

/// The memory of one ring.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    base: *mut u8,
    layout: RingLayout,
    /// Slots minus one; slots are a power of two.
    mask: u32,
    /// Holds what `base` points to; nothing if someone else does (tests).
    _map: Option<MmapRaw>,
    entries: PhantomData<T>,
}

// SAFETY: the pointers are to memory of the ring itself, which no other value of
// this process uses through this end; moving the end moves that right.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// Maps one ring of a socket whose rings have their sizes.
    pub(crate) fn map(
        socket: BorrowedFd<'_>,
        page_offset: u64,
        layout: RingLayout,
        size: u32,
    ) -> io::Result<Self> {
        let bytes = layout.entries + size as usize * size_of::<T>();
        let map = sys::map(socket, page_offset, bytes)?;
        let base = map.as_mut_ptr();
        // SAFETY: the map covers the layout and `size` entries, the kernel
        // aligns and initialises them, and the map moves into the ring. This
        // process maps each ring of a socket once, so this end is the only one.
        Ok(unsafe { Self::over(base, layout, size, Some(map)) })
    }

    /// # Safety
    ///
    /// `base` points to memory that stays valid as long as the ring, in which
    /// `layout` gives the places of three aligned atomics and of `size`
    /// initialised entries; `size` is a power of two; and there is at most one
    /// producer and one consumer of that memory.
    unsafe fn over(base: *mut u8, layout: RingLayout, size: u32, map: Option<MmapRaw>) -> Self {
        debug_assert!(size.is_power_of_two());
        Self {
            base,
            layout,
            mask: size - 1,
            _map: map,
            entries: PhantomData,
        }
    }

    fn size(&self) -> u32 {
        self.mask + 1
    }

    /// The consumer index, and with it the right to overwrite what lies before.
    fn taken(&self) -> u32 {
        self.consumer().load(Ordering::Acquire)
    }

    /// The producer index, and with it the right to read what lies before.
    fn put(&self) -> u32 {
        self.producer().load(Ordering::Acquire)
    }

    fn producer(&self) -> &AtomicU32 {
        self.atomic(self.layout.producer)
    }

    fn consumer(&self) -> &AtomicU32 {
        self.atomic(self.layout.consumer)
    }

    fn flags(&self) -> &AtomicU32 {
        self.atomic(self.layout.flags)
    }

    fn atomic(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: `over` was promised an aligned atomic at each offset of the
        // layout; all access to it, the kernel's included, is atomic.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).cast()) }
    }

    fn write(&self, index: u32, entry: T) {
        // SAFETY: the slot lies within the entries. The producer calls this for
        // slots past the published index only, which the other side leaves alone.
        unsafe { self.slot(index).write(entry) }
    }

    fn read(&self, index: u32) -> T {
        // SAFETY: the slot lies within the entries, which are initialised. The
        // consumer calls this for slots before the producer index it acquired,
        // which the other side leaves alone.
        unsafe { self.slot(index).read() }
    }

    fn slot(&self, index: u32) -> *mut T {
        let entries = self.base.wrapping_add(self.layout.entries).cast::<T>();
        entries.wrapping_add((index & self.mask) as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::thread;

    use super::*;

    const LAYOUT: RingLayout = RingLayout {
        producer: 0,
        consumer: 64,
        flags: 128,
        entries: 192,
    };

    /// Both ends of a ring of `size` numbers over plain memory, which has to
    /// outlive them, with both indices at `start`.
    fn ring(memory: &mut Vec<u64>, size: u32, start: u32) -> (Producer<u64>, Consumer<u64>) {
        *memory = vec![0; LAYOUT.entries / 8 + size as usize];
        let base = memory.as_mut_ptr().cast::<u8>();
        let end = || {
            // SAFETY: the vector is as long as the layout says, aligned for
            // `u64`, not touched while the ends live, and given to one producer
            // and one consumer.
            unsafe { Ring::<u64>::over(base, LAYOUT, size, None) }
        };
        end().producer().store(start, Ordering::Relaxed);
        end().consumer().store(start, Ordering::Relaxed);
        (Producer::new(end()), Consumer::new(end()))
    }

    #[test]
    fn what_is_pushed_is_seen_once_published() {
        let mut memory = Vec::new();
        let (mut producer, mut consumer) = ring(&mut memory, 4, 0);
        producer.push(7);
        assert_eq!(consumer.available(1), 0);
        producer.publish();
        assert_eq!((consumer.available(1), consumer.peek(0)), (1, 7));
        assert_eq!(producer.pending(), 1);
        consumer.take(1);
        assert_eq!((consumer.available(1), producer.pending()), (0, 0));
    }

    #[test]
    fn a_grant_may_be_smaller_than_asked_but_never_stale() {
        let mut memory = Vec::new();
        let (mut producer, mut consumer) = ring(&mut memory, 4, 0);
        (0..3).for_each(|number| producer.push(number));
        producer.publish();
        assert_eq!(producer.free(4), 1);
        consumer.available(3);
        consumer.take(2);
        assert_eq!(producer.free(1), 1, "enough for one: no need to look");
        assert_eq!(producer.free(2), 3, "not enough for two: looks again");
    }

    #[test]
    fn the_wakeup_flag_is_read_each_time() {
        let mut memory = Vec::new();
        let (producer, consumer) = ring(&mut memory, 4, 0);
        assert!(!producer.needs_wakeup());
        consumer.ring.flags().store(1, Ordering::Relaxed);
        assert!(producer.needs_wakeup());
        consumer.ring.flags().store(2, Ordering::Relaxed);
        assert!(!producer.needs_wakeup());
    }

    /// Random batches against a queue of the standard library, across the wrap
    /// of the indices.
    #[test]
    fn the_ring_agrees_with_a_model() {
        let mut memory = Vec::new();
        let (mut producer, mut consumer) = ring(&mut memory, 8, u32::MAX - 500);
        let mut model = VecDeque::new();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for number in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let wanted = (state >> 8) as u32 % 10;
            if state & 1 == 0 {
                let granted = producer.free(wanted).min(wanted);
                assert_eq!(granted, wanted.min(8 - model.len() as u32));
                for entry in 0..granted {
                    producer.push(number * 16 + u64::from(entry));
                    model.push_back(number * 16 + u64::from(entry));
                }
                producer.publish();
            } else {
                let granted = consumer.available(wanted).min(wanted);
                assert_eq!(granted, wanted.min(model.len() as u32));
                for ahead in 0..granted {
                    assert_eq!(Some(consumer.peek(ahead)), model.pop_front());
                }
                consumer.take(granted);
            }
            assert_eq!(producer.pending(), model.len() as u32);
        }
    }

    #[test]
    fn entries_cross_threads_whole_and_in_order() {
        const ENTRIES: u64 = 50_000;
        let mut memory = Vec::new();
        let (mut producer, mut consumer) = ring(&mut memory, 64, u32::MAX - 1000);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut next = 0;
                while next < ENTRIES {
                    let granted = u64::from(producer.free(16)).min(16).min(ENTRIES - next);
                    (next..next + granted).for_each(|number| producer.push(number * number));
                    producer.publish();
                    next += granted;
                    thread::yield_now();
                }
            });
            let mut next = 0;
            while next < ENTRIES {
                let granted = consumer.available(32);
                for ahead in 0..granted {
                    assert_eq!(consumer.peek(ahead), next * next);
                    next += 1;
                }
                consumer.take(granted);
                thread::yield_now();
            }
        });
    }
}
