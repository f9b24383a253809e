//! [`Server`]: the programs that run on a real server.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::{block_on, echo, http, step};
use crate::world::Namespace;

/// One thing a server offers, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1: `GET /name`, `GET /bytes/<n>` and `POST /bytes`, each answer
    /// with the server's name in `X-Real-Server`.
    Http(SocketAddr),
    /// Every datagram comes back with the server's name and a space before it.
    UdpEcho(SocketAddr),
    /// Every line comes back with the server's name and a space before it.
    TcpEcho(SocketAddr),
}

/// A thread that serves until it is dropped; then every connection is cut.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Opens everything `offers` names inside `namespace`, and serves it as
    /// `name`. When it returns, clients can connect.
    ///
    /// Errors: an address that cannot be bound is named; nothing is left open.
    pub fn start(
        namespace: &Namespace,
        name: impl Into<String>,
        offers: &[Offer],
    ) -> io::Result<Self> {
        Self::serve(name.into(), namespace.run(|| open(offers))?)
    }

    /// Where it listens, one for each offer and in their order: the port is
    /// known even if the offer left it to the kernel.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Sockets stay in the namespace they were opened in, so the thread that
    /// serves them can live anywhere.
    fn serve(name: String, doors: Vec<Door>) -> io::Result<Self> {
        let addresses = doors.iter().map(Door::address).collect::<Result<_, _>>()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            let served = block_on(async move {
                for door in doors {
                    door.attend(name.clone())?;
                }
                // Ends when `stop` is sent or dropped, and every task with it.
                let _ = stopped.await;
                io::Result::Ok(())
            });
            if let Err(error) = served.and_then(|inner| inner) {
                eprintln!("a real server's programs ended: {error}");
            }
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            addresses,
        })
    }

    #[cfg(test)]
    pub(super) fn here(name: &str, offers: &[Offer]) -> Self {
        Self::serve(name.to_owned(), open(offers).unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// An open socket and what is spoken at it.
enum Door {
    Http(TcpListener),
    UdpEcho(UdpSocket),
    TcpEcho(TcpListener),
}

impl Door {
    fn open(offer: Offer) -> io::Result<Self> {
        match offer {
            Offer::Http(address) => TcpListener::bind(address).map(Self::Http),
            Offer::UdpEcho(address) => UdpSocket::bind(address).map(Self::UdpEcho),
            Offer::TcpEcho(address) => TcpListener::bind(address).map(Self::TcpEcho),
        }
        .map_err(step(format_args!("opening {offer:?}")))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Http(listener) | Self::TcpEcho(listener) => listener.local_addr(),
            Self::UdpEcho(socket) => socket.local_addr(),
        }
    }

    fn attend(self, name: String) -> io::Result<()> {
        match self {
            Self::Http(listener) => {
                listener.set_nonblocking(true)?;
                tokio::spawn(http::serve(
                    tokio::net::TcpListener::from_std(listener)?,
                    name,
                ));
            }
            Self::UdpEcho(socket) => {
                socket.set_nonblocking(true)?;
                tokio::spawn(echo::serve_udp(
                    tokio::net::UdpSocket::from_std(socket)?,
                    name,
                ));
            }
            Self::TcpEcho(listener) => {
                listener.set_nonblocking(true)?;
                tokio::spawn(echo::serve_tcp(
                    tokio::net::TcpListener::from_std(listener)?,
                    name,
                ));
            }
        }
        Ok(())
    }
}

fn open(offers: &[Offer]) -> io::Result<Vec<Door>> {
    offers.iter().map(|&offer| Door::open(offer)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_dropped_server_no_longer_listens() {
        let server = Server::here("one", &[Offer::TcpEcho("127.0.0.1:0".parse().unwrap())]);
        let address = server.addresses()[0];
        TcpStream::connect(address).unwrap();
        drop(server);
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_that_cannot_be_bound_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let Err(error) = open(&[Offer::Http(address)]) else {
            panic!("bound twice");
        };
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
