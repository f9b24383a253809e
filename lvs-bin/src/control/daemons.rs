//! The daemons an operator wants: at most one that tells other directors of
//! connections and one that is told.

use crate::ipvsadm::{Daemon, DaemonRole, KernelError};

/// The daemons wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemons {
    master: Option<Daemon>,
    backup: Option<Daemon>,
}

impl Daemons {
    /// Adds one.
    ///
    /// *Errors:* there is one of this role.
    pub(super) fn start(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        let place = self.place(daemon.role);
        if place.is_some() {
            return Err(KernelError::Exists);
        }
        *place = Some(daemon);
        Ok(())
    }

    /// Removes one.
    ///
    /// *Errors:* there is none of this role.
    pub(super) fn stop(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        let stopped = self.place(role).take();
        stopped.map(|_| ()).ok_or(KernelError::NoSuch)
    }

    /// Whether there is one that is told.
    pub(super) const fn is_backup(&self) -> bool {
        self.backup.is_some()
    }

    /// Those there are, a master first.
    pub fn iter(&self) -> impl Iterator<Item = &Daemon> {
        self.master.iter().chain(&self.backup)
    }

    const fn place(&mut self, role: DaemonRole) -> &mut Option<Daemon> {
        match role {
            DaemonRole::Master => &mut self.master,
            DaemonRole::Backup => &mut self.backup,
        }
    }
}
