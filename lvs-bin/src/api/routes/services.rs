//! `/v1/services`: listed, added, edited, deleted, zeroed.

use hyper::{Method, StatusCode};
use lvs_core::ServiceKey;

use super::super::answer::{Answer, Refused};
use super::super::shape::{self, key_of, key_text, no_service};
use super::{Call, Route, unfit};
use crate::ipvsadm::{self, KernelError, Operation};

pub(super) fn routes() -> [Route; 7] {
    const ALL: &str = "/v1/services";
    const ONE: &str = "/v1/services/{service}";
    const ZERO: &str = "/v1/services/{service}/zero";
    [
        Route::new(
            Method::GET,
            ALL,
            "Every service with its real servers.",
            list,
        )
        .giving::<Vec<shape::Service>>(),
        Route::new(
            Method::POST,
            ALL,
            "Adds a service, without real servers.",
            add,
        )
        .taking::<shape::Service>()
        .creating::<shape::Service>(),
        Route::new(Method::DELETE, ALL, "Removes every service.", flush),
        Route::new(Method::GET, ONE, "A service with its real servers.", get)
            .giving::<shape::Service>(),
        Route::new(Method::PUT, ONE, "Gives a service other settings.", edit)
            .taking::<shape::Service>(),
        Route::new(Method::DELETE, ONE, "Removes a service.", delete),
        Route::new(Method::POST, ZERO, "Has its counters begin at zero.", zero),
    ]
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let services = call.site.control().services().into_iter();
    Answer::of(&services.map(shape::Service::from).collect::<Vec<_>>())
}

fn add(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let service: shape::Service = call.shape()?;
    let service = shape::bare(&service).map_err(unfit)?;
    let key = service.key;
    call.operate(Operation::AddService(service), key)?;
    call.created(key)
}

fn flush(call: &mut Call<'_>) -> Result<Answer, Refused> {
    call.do_it(Operation::Flush, "")
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    Answer::of(&shape::Service::from(call.service(key)?))
}

fn edit(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    let service: shape::Service = call.shape()?;
    if service.service != key {
        let what = format!(
            "service is {}, but the path says {}",
            key_text(&service.service),
            key_text(&key)
        );
        return Err(Refused::bad(
            what,
            "service",
            "a service keeps its address: add another",
        ));
    }
    let service = shape::bare(&service).map_err(unfit)?;
    call.operate(Operation::EditService(service), key)
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    call.operate(Operation::DeleteService(key), key)
}

fn zero(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let key = call.key()?;
    call.operate(Operation::Zero(Some(key)), key)
}

impl Call<'_> {
    /// The service the path names.
    pub(super) fn key(&self) -> Result<ServiceKey, Refused> {
        let text = self.part(0);
        key_of(text).ok_or_else(|| Refused::bad(no_service(text), "the path", ""))
    }

    /// A service as it is.
    pub(super) fn service(&mut self, key: ServiceKey) -> Result<ipvsadm::Service, Refused> {
        let mut services = self.site.control().services().into_iter();
        let service = services.find(|service| service.key == key);
        service.ok_or_else(|| {
            let operation = Operation::DeleteService(key);
            Refused::by_kernel(&operation, KernelError::NoSuch, &key_text(&key))
        })
    }

    /// Has something done to a service.
    pub(super) fn operate(
        &mut self,
        operation: Operation,
        key: ServiceKey,
    ) -> Result<Answer, Refused> {
        self.do_it(operation, &format!("service {}", key_text(&key)))
    }

    /// Has something done.
    pub(super) fn do_it(&mut self, operation: Operation, place: &str) -> Result<Answer, Refused> {
        let asked = operation.clone();
        match operation.carry_out(self.site.control()) {
            Ok(()) => Ok(Answer::Done),
            Err(error) => Err(Refused::by_kernel(&asked, error, place)),
        }
    }

    /// A service that is new.
    fn created(&mut self, key: ServiceKey) -> Result<Answer, Refused> {
        let service = shape::Service::from(self.service(key)?);
        Ok(match Answer::of(&service)? {
            Answer::Json(_, json) => Answer::Json(StatusCode::CREATED, json),
            other => other,
        })
    }
}
