//! What can be wrong with a definition, and why a token cannot be rendered.

use crate::bridge::filter::FilterFailure;
use crate::bridge::input::InputProblem;
use crate::bridge::preset::rules::Violation;
use crate::bridge::template::TemplateProblem;
use crate::bridge::{EvaluationError, ExpressionProblem};

/// A problem in a definition, and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bridge `{bridge}`: {place}: {problem}")]
pub struct SpecProblem {
    /// The bridge's name.
    pub bridge: String,
    /// The field, or the place in the claims (`claims.roles[2]`).
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name that clients could not use in requests.
    #[error("a name is 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit")]
    Name,
    /// A field that this preset requires.
    #[error("the preset needs it: {0}")]
    Required(&'static str),
    /// A field that this preset does not use.
    #[error("the preset does not take it: {0}")]
    Unused(&'static str),
    /// A key that does not fit the bridge.
    #[error("{0}")]
    Key(String),
    /// A field that the preset locks.
    #[error("the preset locks it to `{0}`")]
    Locked(String),
    /// A value outside its range or form.
    #[error("{0}")]
    Form(&'static str),
    /// A name that the target reads in another case.
    #[error("the target does not read `{0}`: upper and lower case matter")]
    Misspelt(String),
    /// A claim that decides what the token allows, with text that somebody chooses.
    #[error(
        "it decides what the token allows, so nothing that people, clients or devices choose goes into it: use groups, \
         `map`, `in`, or an input with `one_of`"
    )]
    Chosen,
    /// A preset that was never tried with its target.
    #[error("this preset is unverified ({0}): try it, then say `allow_unverified = true`")]
    Unverified(&'static str),
    /// A claim that a template must not write.
    #[error("this name is reserved")]
    Reserved,
    /// A claim about the sign-in with anything but the corresponding fact.
    #[error("this claim may only be `{{{{ {0} }}}}`")]
    OnlyFact(&'static str),
    /// A mistake in the declaration of an input.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// A mistake in the claims tree.
    #[error(transparent)]
    Template(#[from] TemplateProblem),
    /// A mistake in the subject's expression.
    #[error(transparent)]
    Expression(#[from] ExpressionProblem),
    /// A rendering for a sample user failed.
    #[error("rendered for the {sample} sample user: {error}")]
    Sample {
        /// `full`, `bare` or `awkward`.
        sample: &'static str,
        /// Why the template cannot be rendered.
        error: RenderError,
    },
}

/// Why no token was minted. For the log: a client only learns that it was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A claim has no value.
    #[error("{place}: {error}")]
    Evaluation {
        /// The place in the template.
        place: String,
        /// Why the expression cannot be evaluated.
        error: EvaluationError,
    },
    /// A subject that the target would misread, or that is too long for it.
    #[error("the subject must be 1 to {max} characters of letters, digits and `-._~@:|/+=#,`")]
    Subject {
        /// The preset's limit.
        max: usize,
    },
    /// The token is larger than the bridge allows.
    #[error("the token would be up to {bytes} bytes long, at most {max} are allowed")]
    TooLarge {
        /// The size it would have.
        bytes: usize,
        /// The maximum.
        max: usize,
    },
    /// The target's own tokens do not expire, but this one must.
    #[error("the target's tokens do not end by themselves, so none is made of a token that does")]
    Endless,
    /// The source of the token expires sooner than the shortest lifetime that the target supports.
    #[error("the target gives no token that lives less than {least} seconds, and what it comes of ends before")]
    TooBrief {
        /// The target's shortest lifetime, in seconds.
        least: i64,
    },
    /// The preset's own check refuses the finished token.
    #[error("the target's rules are broken: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violations(Vec<Violation>),
}

impl RenderError {
    /// Whether the template excludes such users intentionally: a value it uses is missing, or contains characters that
    /// must not be inserted into a text.
    pub const fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::Evaluation {
                error: EvaluationError::Missing(_) | EvaluationError::Filter(_, FilterFailure::Unsafe),
                ..
            }
        )
    }
}
