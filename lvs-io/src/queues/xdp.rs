//! Opening lanes over AF_XDP.

use std::os::fd::AsFd;

use af_xdp::{SocketConfig, Umem, UmemConfig, ZeroCopy};

use super::plan::{self, Place};
use super::{Lane, Opened, Opening};
use crate::error::Error;
use crate::nic::Nic;
use crate::program::{Steering, XdpMode};
use crate::queue::Queue;
use crate::xdp::{Attachment, XdpQueue};

impl Opening<'_> {
    /// Attaches the program first (some drivers set up queues without copying
    /// only then), then opens the queues. No rules yet: nothing comes.
    pub(super) fn xdp(&self, mode: XdpMode, because: &str) -> Result<Opened, Error> {
        let steering = Steering::attach(self.nics, mode)?;
        let attachment = match mode {
            XdpMode::Native => Attachment::Native,
            XdpMode::Generic | XdpMode::Tc => Attachment::Generic(because),
        };
        let lanes: Result<Vec<Lane>, Error> = (0..self.lanes)
            .map(|lane| self.xdp_lane(lane, attachment, &steering))
            .collect();
        Ok((Some(steering), lanes?))
    }

    fn xdp_lane(
        &self,
        lane: usize,
        attachment: Attachment<'_>,
        steering: &Steering,
    ) -> Result<Lane, Error> {
        let places = plan::places(self.nics, lane, self.lanes);
        let mut umem = self.umem(places.len(), self.options.ring)?;
        let smallest_mtu = self
            .nics
            .iter()
            .map(|nic| nic.mtu)
            .min()
            .unwrap_or(u32::MAX);
        let mut queues: Vec<XdpQueue> = Vec::with_capacity(places.len());
        for &place in &places {
            let mut queue = self.xdp_queue(place, attachment, &queues, &mut umem)?;
            queue.cut_to(smallest_mtu);
            steering.set_socket(place.nic, place.queue, queue.as_fd())?;
            queues.push(queue);
        }
        let boxed = |queue| Box::new(queue) as Box<dyn Queue>;
        Ok(Lane {
            umem,
            queues: queues.into_iter().map(boxed).collect(),
            nics: places.iter().map(|place| place.nic).collect(),
        })
    }

    /// Memory for a lane of `queues` queues with rings of `ring` slots.
    pub(super) fn umem(&self, queues: usize, ring: u32) -> Result<Umem, Error> {
        let options = self.options;
        let enough = plan::chunks(queues, ring);
        let umem = Umem::new(UmemConfig {
            chunks: options.chunks.unwrap_or(enough),
            chunk_size: options.chunk_size,
            headroom: 0,
            huge_pages: options.huge_pages,
        });
        umem.map_err(|error| Error::new("map packet memory", error))
    }

    /// Opens one queue. `lane` has those opened on the same memory before it.
    fn xdp_queue(
        &self,
        place: Place,
        attachment: Attachment<'_>,
        lane: &[XdpQueue],
        umem: &mut Umem,
    ) -> Result<XdpQueue, Error> {
        let nic = &self.nics[place.nic];
        let mut config = self.config(nic, place.queue, attachment);
        // Only where it is needed: fewer drivers and kernels have it.
        let needed = (nic.mtu + plan::ETHERNET_AND_TAG) as usize > umem.room();
        config.multi_buffer = needed || attachment.lets_super_packets_through(nic);
        match open_beside(nic, attachment, &config, lane, umem) {
            // Linux before 6.6: it drops the super-packets then.
            Err(_) if config.multi_buffer && !needed => {
                config.multi_buffer = false;
                open_beside(nic, attachment, &config, lane, umem)
            }
            outcome => outcome,
        }
    }

    fn config(&self, nic: &Nic, queue: u32, attachment: Attachment<'_>) -> SocketConfig {
        let ring = self.options.ring;
        let mut config = SocketConfig::new(nic.index, queue);
        config.fill_ring = ring;
        config.receive_ring = ring;
        config.transmit_ring = ring;
        config.completion_ring = ring;
        config.busy_poll = self.options.busy_poll;
        // A driver that uses the memory itself does not show frames to a
        // generic program.
        config.zero_copy = match attachment {
            Attachment::Native => self.options.zero_copy,
            Attachment::Generic(_) => ZeroCopy::Off,
        };
        config
    }
}

/// Shared, a queue has the mode of the one it shares with. So it shares where
/// that is the best there is or known to be the only one; and it registers the
/// memory once more where its driver may do better, or cannot.
fn open_beside(
    nic: &Nic,
    attachment: Attachment<'_>,
    config: &SocketConfig,
    lane: &[XdpQueue],
    umem: &mut Umem,
) -> Result<XdpQueue, Error> {
    let partner = lane.iter().find(|other| {
        let settled = other.is_zero_copy() || config.zero_copy == ZeroCopy::Off;
        other.is_multi_buffer() == config.multi_buffer && (settled || other.is_on(nic))
    });
    let shared = partner.map(|other| XdpQueue::open(nic, attachment, config, Some(other), umem));
    match shared {
        Some(Ok(queue)) => Ok(queue),
        _ => XdpQueue::open(nic, attachment, config, None, umem),
    }
}
