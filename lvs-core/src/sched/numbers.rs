//! Numbers for what lies in a row of memory.

/// Which of the numbers from one on are taken. Those given back are a chain,
/// from `free` on, whose links are in the row.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) taken: u32,
    /// The first of those given back; zero when none was.
    pub(super) free: u32,
    /// The highest number ever taken.
    pub(super) highest: u32,
    limit: u32,
}

impl Numbers {
    pub(super) const fn up_to(limit: u32) -> Self {
        Self {
            taken: 0,
            free: 0,
            highest: 0,
            limit,
        }
    }

    /// A number; `next` says which was given back before one.
    pub(super) fn take(&mut self, next: impl Fn(u32) -> u32) -> Option<u32> {
        let number = if self.free != 0 {
            let number = self.free;
            self.free = next(number);
            number
        } else if self.highest < self.limit {
            self.highest += 1;
            self.highest
        } else {
            return None;
        };
        self.taken += 1;
        Some(number)
    }

    /// Gives a number back, which must lead to the one given back before.
    pub(super) fn give_back(&mut self, number: u32) {
        self.free = number;
        self.taken = self.taken.saturating_sub(1);
    }
}
