//! Connections, timeouts, daemons, zeroing, and many operations in one request.

use hyper::Method;

use super::super::answer::{Answer, Refused};
use super::super::shape::{self, Outcome};
use super::{Call, Route, unfit};
use crate::ipvsadm::{Cursor, Operation};

pub(super) fn routes() -> [Route; 10] {
    const TIMEOUTS: &str = "/v1/timeouts";
    const DAEMONS: &str = "/v1/daemons";
    [
        Route::new(
            Method::GET,
            "/v1/connections",
            "Every connection, and every client remembered.",
            connections,
        )
        .giving::<Vec<shape::Connection>>(),
        Route::new(
            Method::GET,
            "/v1/connections/page",
            "About a thousand of them. One that lives while all pages are read is on one \
             of them, once; one that begins or ends meanwhile may be on one.",
            connection_page,
        )
        .asking(&[
            (
                "worker",
                "From where on, as `next` of the page before says; 0 at first.",
            ),
            ("place", "The same."),
        ])
        .giving::<shape::ConnectionPage>(),
        Route::new(
            Method::GET,
            "/v1/table_size",
            "How many connections there is room for.",
            table_size,
        )
        .giving::<u32>(),
        Route::new(
            Method::GET,
            TIMEOUTS,
            "The timeouts of idle connections.",
            timeouts,
        )
        .giving::<shape::Timeouts>(),
        Route::new(
            Method::PATCH,
            TIMEOUTS,
            "Sets those that are given.",
            set_timeouts,
        )
        .taking::<shape::Timeouts>(),
        Route::new(
            Method::GET,
            DAEMONS,
            "Daemons that tell another director.",
            daemons,
        )
        .giving::<Vec<shape::Daemon>>(),
        Route::new(Method::POST, DAEMONS, "Starts a daemon.", start_daemon)
            .taking::<shape::Daemon>(),
        Route::new(
            Method::DELETE,
            "/v1/daemons/{role}",
            "Stops a daemon.",
            stop_daemon,
        ),
        Route::new(
            Method::POST,
            "/v1/zero",
            "Has all counters begin at zero.",
            zero,
        ),
        Route::new(
            Method::POST,
            "/v1/operations",
            "Carries many operations out together, and says what became of each.",
            operate,
        )
        .taking::<Vec<shape::Operation>>()
        .giving::<Vec<Outcome>>(),
    ]
}

fn connections(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let connections = call.site.control().connections().into_iter();
    Answer::of(&connections.map(shape::Connection::from).collect::<Vec<_>>())
}

fn connection_page(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let from = Cursor {
        worker: call.number("worker")?,
        place: call.number("place")?,
    };
    let page = call.site.control().connection_page(from);
    Answer::of(&shape::ConnectionPage::from(page))
}

fn table_size(call: &mut Call<'_>) -> Result<Answer, Refused> {
    Answer::of(&call.site.control().table_size())
}

fn timeouts(call: &mut Call<'_>) -> Result<Answer, Refused> {
    Answer::of(&shape::Timeouts::from(call.site.control().timeouts()))
}

fn set_timeouts(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let timeouts: shape::Timeouts = call.shape()?;
    let seconds = timeouts.seconds().map_err(unfit)?;
    call.do_it(Operation::SetTimeouts(seconds), "timeouts")
}

fn daemons(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let daemons = call.site.control().daemons().into_iter();
    Answer::of(&daemons.map(shape::Daemon::from).collect::<Vec<_>>())
}

fn start_daemon(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let daemon: shape::Daemon = call.shape()?;
    let place = format!("daemon on {}", daemon.interface);
    call.do_it(Operation::StartDaemon(daemon.into()), &place)
}

fn stop_daemon(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let role = match call.part(0) {
        "master" => shape::Role::Master,
        "backup" => shape::Role::Backup,
        other => {
            let what = format!("there is no daemon {other:?}");
            return Err(Refused::bad(what, "the path", "write master or backup"));
        }
    };
    call.do_it(Operation::StopDaemon(role.into()), "daemon")
}

fn zero(call: &mut Call<'_>) -> Result<Answer, Refused> {
    call.do_it(Operation::Zero(None), "")
}

/// Each is carried out whether or not those before it were refused, as the lines
/// of `ipvsadm -R` are; but none if one makes no sense.
fn operate(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let shapes: Vec<shape::Operation> = call.shape()?;
    let mut operations = Vec::with_capacity(shapes.len());
    for (number, shape) in shapes.into_iter().enumerate() {
        let operation = shape.wanted().map_err(|what| {
            let place = format!("the body, operation {}", number + 1);
            Refused::bad(what, place, "mend it: none has been carried out")
        })?;
        operations.push(operation);
    }
    let done = call.site.control().operate(operations.clone());
    let outcomes = operations.iter().zip(done);
    let outcomes = outcomes.map(|(operation, done)| Outcome::new(operation, done));
    Answer::of(&outcomes.collect::<Vec<_>>())
}
