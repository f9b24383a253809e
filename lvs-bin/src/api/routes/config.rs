//! `/v1/config`: the configuration as a file says it, shown, taken up, saved.

use hyper::{Method, StatusCode};

use super::super::answer::{Answer, Refused};
use super::super::shape::{self, Refusal};
use super::{Call, Route};
use crate::control::{KeepError, Keeper, Terms};

pub(super) fn routes() -> [Route; 4] {
    const CONFIG: &str = "/v1/config";
    [
        Route::new(
            Method::GET,
            CONFIG,
            "The director's file, with what was changed at run time.",
            get,
        )
        .giving_toml(),
        Route::new(
            Method::PUT,
            CONFIG,
            "Takes up a file: all of it, or every fault told and nothing changed.",
            put,
        )
        .asking(&[
            ("dry_run", "Only tell what would change."),
            (
                "discard",
                "Give up what was changed at run time and not saved.",
            ),
            ("file", "What to call it in messages."),
        ])
        .taking_toml()
        .giving::<shape::Applied>(),
        Route::new(
            Method::GET,
            "/v1/config/unsaved",
            "What was changed at run time, and is not in the file.",
            unsaved,
        )
        .giving::<shape::Plan>(),
        Route::new(
            Method::POST,
            "/v1/config/save",
            "Writes that to the file.",
            save,
        )
        .giving::<shape::Saved>(),
    ]
}

/// The file with what was changed at run time.
fn get(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let text = call.keeper()?.written().map_err(|error| refused(&error))?;
    Ok(Answer::Toml(text))
}

/// Takes up the file in the body; with `dry_run`, only tells what would change.
fn put(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let terms = Terms {
        dry_run: call.is_asked("dry_run"),
        discard: call.is_asked("discard"),
    };
    let text = std::str::from_utf8(call.body).map_err(|error| {
        let place = format!("the body, byte {}", error.valid_up_to() + 1);
        Refused::bad(
            "it is not text in UTF-8",
            place,
            "send a file as lvs run takes it",
        )
    })?;
    let name = call.asked("file").unwrap_or_else(|| "the body".to_owned());
    let taken = call.keeper()?.apply(&name, text, terms);
    let taken = taken.map_err(|error| refused(&error))?;
    if !terms.dry_run {
        let changes = taken.plan.changes.len();
        tracing::info!(
            event = "applied",
            changes,
            "applied {name}: {changes} changes"
        );
    }
    Answer::of(&shape::Applied::new(&taken, terms))
}

fn unsaved(call: &mut Call<'_>) -> Result<Answer, Refused> {
    Answer::of(&shape::Plan::from(&call.keeper()?.unsaved()))
}

fn save(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let keeper = call.keeper()?;
    let plan = keeper.save().map_err(|error| refused(&error))?;
    let file = keeper.file().display().to_string();
    let changes = plan.changes.len();
    tracing::info!(
        event = "saved",
        changes,
        "saved {changes} changes to {file}"
    );
    Answer::of(&shape::Saved {
        file,
        plan: (&plan).into(),
    })
}

impl Call<'_> {
    fn keeper(&mut self) -> Result<&mut Keeper, Refused> {
        let none = || Refused::not_found("this director has no file", "the path", "");
        self.site.keeper().ok_or_else(none)
    }
}

/// Why a configuration was not taken up or saved.
fn refused(error: &KeepError) -> Refused {
    let status = match error {
        KeepError::Faults(_) | KeepError::Unsayable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        KeepError::Unsaved(_) | KeepError::FileChanged(_) => StatusCode::CONFLICT,
        KeepError::Director(_) => StatusCode::INSUFFICIENT_STORAGE,
        KeepError::Write(..) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let refusal = match error {
        KeepError::Faults(faults) => Refusal::from(faults),
        _ => Refusal::new(error.to_string(), "", ""),
    };
    Refused { status, refusal }
}
