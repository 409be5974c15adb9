//! What an operator writes about a bridge ([`definition`], in the words of `words`), and what can be wrong with it ([`problem`]).

mod definition;
mod problem;
pub(super) mod seconds;
mod words;

pub use self::definition::BridgeDefinition;
pub use self::problem::{Problem, RenderError, SpecProblem};
pub(super) use self::words::words;
pub use self::words::{Algorithm, AudienceForm, KeySource, KidPolicy, Typ};
