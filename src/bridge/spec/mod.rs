//! The definition of a bridge as an operator writes it ([`definition`], with the terms in `words`), and what can be
//! wrong with it ([`problem`]).

mod definition;
mod problem;
pub(super) mod seconds;
mod words;

pub use self::definition::BridgeDefinition;
pub use self::problem::{Problem, RenderError, SpecProblem};
pub(super) use self::words::words;
pub use self::words::{Algorithm, AudienceForm, KeySource, KidPolicy, Typ};
