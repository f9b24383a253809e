//! `/v1/services/{service}/real_servers`: listed, added, edited, deleted.

use std::net::SocketAddr;

use hyper::{Method, StatusCode};
use lvs_core::{RealServer, ServiceKey};

use super::super::answer::{Answer, Refused};
use super::super::shape::{self, end_of, key_text, no_end};
use super::{Call, Route, unfit};
use crate::ipvsadm::{KernelError, Operation};

pub(super) fn routes() -> [Route; 5] {
    const ALL: &str = "/v1/services/{service}/real_servers";
    const ONE: &str = "/v1/services/{service}/real_servers/{real_server}";
    [
        Route::new(Method::GET, ALL, "The real servers of a service.", list)
            .giving::<Vec<shape::RealServer>>(),
        Route::new(Method::POST, ALL, "Adds a real server.", add)
            .taking::<shape::RealServer>()
            .creating::<shape::RealServer>(),
        Route::new(Method::GET, ONE, "A real server.", get).giving::<shape::RealServer>(),
        Route::new(
            Method::PUT,
            ONE,
            "Gives a real server other settings.",
            edit,
        )
        .taking::<shape::RealServer>(),
        Route::new(Method::DELETE, ONE, "Removes a real server.", delete),
    ]
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let real_servers = call.service(key)?.real_servers.into_iter();
    Answer::of(
        &real_servers
            .map(shape::RealServer::from)
            .collect::<Vec<_>>(),
    )
}

fn add(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let real_server = call.wanted(key)?;
    let at = end(&real_server);
    let place = place(key, at);
    call.do_it(Operation::AddServer(key, real_server), &place)?;
    Ok(match call.listed(key, at)? {
        Answer::Json(_, json) => Answer::Json(StatusCode::CREATED, json),
        other => other,
    })
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let at = call.end(key)?;
    call.listed(key, at)
}

fn edit(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let at = call.end(key)?;
    let real_server = call.wanted(key)?;
    if end(&real_server) != at {
        let what = format!("address is {}, but the path says {at}", end(&real_server));
        let help = "a real server keeps its address: add another";
        return Err(Refused::bad(what, "address", help));
    }
    call.do_it(Operation::EditServer(key, real_server), &place(key, at))
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let at = call.end(key)?;
    call.do_it(Operation::DeleteServer(key, at), &place(key, at))
}

impl Call<'_> {
    /// The end the path names.
    fn end(&self, key: ServiceKey) -> Result<SocketAddr, Refused> {
        let text = self.part(1);
        let bad = || Refused::bad(no_end(text), "the path", "");
        let mut at = end_of(text).ok_or_else(bad)?;
        if at.port() == 0 {
            at.set_port(key.port());
        }
        Ok(at)
    }

    /// The real server in the body; without a port, at its service's.
    fn wanted(&self, key: ServiceKey) -> Result<RealServer, Refused> {
        let shape: shape::RealServer = self.shape()?;
        let mut real_server = shape.wanted().map_err(unfit)?;
        real_server.port = real_server.port_in(&key);
        Ok(real_server)
    }

    /// A real server as it is.
    fn listed(&mut self, key: ServiceKey, at: SocketAddr) -> Result<Answer, Refused> {
        let mut real_servers = self.service(key)?.real_servers.into_iter();
        let Some(real_server) = real_servers.find(|it| it.address == at) else {
            let operation = Operation::DeleteServer(key, at);
            let error = KernelError::NotFound;
            return Err(Refused::by_kernel(&operation, error, &place(key, at)));
        };
        Answer::of(&shape::RealServer::from(real_server))
    }
}

/// Where a real server is.
const fn end(real_server: &RealServer) -> SocketAddr {
    SocketAddr::new(real_server.address, real_server.port)
}

/// A real server, for messages.
fn place(key: ServiceKey, at: SocketAddr) -> String {
    format!("service {}, real server {at}", key_text(&key))
}
