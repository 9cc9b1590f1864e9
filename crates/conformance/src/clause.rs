//! One promise of the contract.

use std::pin::Pin;

use crate::scene::Scene;

/// A clause being tried; it panics when the promise is broken.
pub(crate) type Trying = Pin<Box<dyn Future<Output = ()>>>;

/// One promise of the contract, and how it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// Its name: a sentence in snake case.
    pub id: &'static str,
    /// The part of the contract it belongs to.
    pub section: &'static str,
    /// What is promised, in one sentence.
    pub rule: &'static str,
    /// The sentence of a documented API, or the decision, that it stands for.
    pub source: &'static str,
    /// What it needs that not every deployment has.
    pub needs: Option<Need>,
    pub(crate) run: fn(Scene) -> Trying,
}

/// What some clauses need beside a deployment with its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The deployment reaches the machine that tries them, over http.
    Callbacks,
    /// The secret that JWTs are signed with.
    Jwt,
}

/// Makes the clauses of one section: for each the sentence or decision it stands for, its name
/// (which is also that of the function that tries it) and what is promised.
macro_rules! clauses {
    ($section:literal $(, needs $need:ident)? $(, $source:literal: $id:ident = $rule:literal)+ $(,)?) => {
        clauses!(@made $section, [$($need)?] $(, $source: $id = $rule)+);
    };
    (@made $section:literal, $needs:tt $(, $source:literal: $id:ident = $rule:literal)+) => {
        pub(super) const CLAUSES: &[$crate::Clause] = &[$(
            $crate::Clause {
                id: stringify!($id),
                section: $section,
                rule: $rule,
                source: $source,
                needs: clauses!(@needs $needs),
                run: |scene| Box::pin($id(scene)),
            },
        )+];
    };
    (@needs []) => { None };
    (@needs [$need:ident]) => { Some($crate::clause::Need::$need) };
}

pub(crate) use clauses;
