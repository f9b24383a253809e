//! Items in order, in lists they know their places in: one is put at an end or
//! taken out from between others in constant time.

use alloc::vec::Vec;

use super::NONE;

/// Places of items; an item is in one list at most.
#[derive(Debug)]
pub(super) struct Order {
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

/// A list: its first and its last item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first: u32,
    last: u32,
}

impl Ends {
    /// A list of nothing.
    pub(super) const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
    };
}

impl Order {
    /// So many items, in no list.
    pub(super) fn new(items: usize) -> Self {
        let nowhere = Link {
            before: NONE,
            after: NONE,
        };
        Self {
            links: alloc::vec![nowhere; items],
        }
    }

    /// Puts an item that is in no list at the end of one.
    pub(super) fn push(&mut self, list: &mut Ends, item: u32) {
        let Some(link) = self.links.get_mut(item as usize) else {
            return;
        };
        *link = Link {
            before: list.last,
            after: NONE,
        };
        match self.links.get_mut(list.last as usize) {
            Some(last) => last.after = item,
            None => list.first = item,
        }
        list.last = item;
    }

    /// Takes an item out of its list.
    pub(super) fn remove(&mut self, list: &mut Ends, item: u32) {
        let Some(&Link { before, after }) = self.links.get(item as usize) else {
            return;
        };
        match self.links.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => list.first = after,
        }
        match self.links.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => list.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(order: &Order, list: &Ends) -> Vec<u32> {
        let after = |item: &u32| Some(order.links.get(*item as usize)?.after);
        let all = core::iter::successors(Some(list.first), after);
        all.take_while(|item| *item != NONE).collect()
    }

    #[test]
    fn any_item_may_leave() {
        for leaves in 0..4 {
            let (mut order, mut list) = (Order::new(4), Ends::EMPTY);
            (0..4).for_each(|item| order.push(&mut list, item));
            order.remove(&mut list, leaves);
            let rest: Vec<u32> = (0..4).filter(|item| *item != leaves).collect();
            assert_eq!(items(&order, &list), rest);
            order.push(&mut list, leaves);
            assert_eq!(items(&order, &list).last(), Some(&leaves));
            for item in 0..4 {
                order.remove(&mut list, item);
            }
            assert_eq!(list, Ends::EMPTY);
        }
    }
}
