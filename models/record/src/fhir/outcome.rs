//! What went wrong, as a FHIR OperationOutcome: what, where, and of which kind.

use serde_json::{Map, Value, json};

/// At most this many issues are told at once.
pub const ISSUES_MAX: usize = 50;

/// How bad an issue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The request was not carried out.
    Error,
    /// It was, but.
    Warning,
    /// All is well.
    Information,
}

impl Severity {
    /// FHIR `issue-severity`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// FHIR `issue-type`: `structure`, `required`, `value`, `code-invalid`, `invariant`, `not-found`, …
    pub code: &'static str,
    /// For a person. May hold what the same caller sent, cut short.
    pub text: String,
    /// FHIRPath of the element (`Patient.name[0].family`) or the search parameter (`http.date`).
    pub expression: Option<String>,
}

impl Issue {
    /// An error of a kind.
    #[must_use]
    pub fn error(code: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, text: text.into(), expression: None }
    }
    /// The same, naming the element.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }
}

/// The OperationOutcome of some issues; those past [`ISSUES_MAX`] are counted, not listed.
#[must_use]
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let mut listed: Vec<Value> = issues.iter().take(ISSUES_MAX).map(render).collect();
    if let Some(more) = issues.len().checked_sub(ISSUES_MAX).filter(|more| *more > 0) {
        listed.push(render(&Issue::error("incomplete", format!("and {more} more"))));
    }
    if listed.is_empty() {
        // An OperationOutcome without an issue is not valid FHIR.
        listed.push(render(&Issue { severity: Severity::Information, ..Issue::error("informational", "all well") }));
    }
    json!({"resourceType": "OperationOutcome", "issue": listed})
}

fn render(issue: &Issue) -> Value {
    let mut out = Map::new();
    out.insert("severity".to_owned(), issue.severity.code().into());
    out.insert("code".to_owned(), issue.code.into());
    out.insert("details".to_owned(), json!({"text": issue.text}));
    if let Some(expression) = &issue.expression {
        out.insert("expression".to_owned(), json!([expression]));
    }
    Value::Object(out)
}

/// The first 40 characters of what a caller sent, quoted, for an issue's text.
#[must_use]
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}
