//! What an operator may have a director do, as data: to be kept, sent and
//! carried out.

use std::net::SocketAddr;

use lvs_core::{RealServer, ServiceKey};

use super::control::{Control, KernelError, ServiceRequest};
use super::daemon::{Daemon, DaemonRole};
use super::legality::Act;
use super::messages;

/// One change; [`Control`] says of each what it does and when it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Control::add_service`].
    AddService(ServiceRequest),
    /// [`Control::edit_service`].
    EditService(ServiceRequest),
    /// [`Control::delete_service`].
    DeleteService(ServiceKey),
    /// [`Control::flush`].
    Flush,
    /// [`Control::zero`].
    Zero(Option<ServiceKey>),
    /// [`Control::add_server`].
    AddServer(ServiceKey, RealServer),
    /// [`Control::edit_server`].
    EditServer(ServiceKey, RealServer),
    /// [`Control::delete_server`].
    DeleteServer(ServiceKey, SocketAddr),
    /// [`Control::set_timeouts`].
    SetTimeouts([u32; 3]),
    /// [`Control::start_daemon`].
    StartDaemon(Daemon),
    /// [`Control::stop_daemon`].
    StopDaemon(DaemonRole),
}

impl Operation {
    /// Has a director do it.
    ///
    /// *Errors:* the director's; nothing has changed.
    pub fn carry_out<C: Control + ?Sized>(self, control: &mut C) -> Result<(), KernelError> {
        match self {
            Self::AddService(service) => control.add_service(service),
            Self::EditService(service) => control.edit_service(service),
            Self::DeleteService(key) => control.delete_service(key),
            Self::Flush => control.flush(),
            Self::Zero(key) => control.zero(key),
            Self::AddServer(key, real_server) => control.add_server(key, real_server),
            Self::EditServer(key, real_server) => control.edit_server(key, real_server),
            Self::DeleteServer(key, at) => control.delete_server(key, at),
            Self::SetTimeouts(seconds) => control.set_timeouts(seconds),
            Self::StartDaemon(daemon) => control.start_daemon(daemon),
            Self::StopDaemon(role) => control.stop_daemon(role),
        }
    }

    /// What the tool says when this is refused.
    #[must_use]
    pub const fn refusal(&self, error: KernelError) -> &'static str {
        messages::refusal(self.act(), error)
    }

    const fn act(&self) -> Act {
        match self {
            Self::AddService(_) => Act::AddService,
            Self::EditService(_) => Act::EditService,
            Self::DeleteService(_) => Act::DeleteService,
            Self::Flush => Act::Flush,
            Self::Zero(_) => Act::Zero,
            Self::AddServer(..) => Act::AddServer,
            Self::EditServer(..) => Act::EditServer,
            Self::DeleteServer(..) => Act::DeleteServer,
            Self::SetTimeouts(_) => Act::SetTimeouts,
            Self::StartDaemon(_) => Act::StartDaemon,
            Self::StopDaemon(_) => Act::StopDaemon,
        }
    }
}
