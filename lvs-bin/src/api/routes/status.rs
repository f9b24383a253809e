//! `/v1/status`: how the director is.

use hyper::Method;

use super::super::answer::{Answer, Refused};
use super::super::shape;
use super::{Call, Route};

pub(super) fn routes() -> [Route; 1] {
    let about = "How the director is, and what it has done since it began.";
    [Route::new(Method::GET, "/v1/status", about, status).giving::<shape::Status>()]
}

fn status(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let keeper = call.site.keeper();
    let none = || Refused::not_found("there is no running director here", "the path", "");
    let operator = keeper.ok_or_else(none)?.operator();
    Answer::of(&shape::Status::from(operator))
}
