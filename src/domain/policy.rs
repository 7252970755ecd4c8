//! What is allowed: durations, reasons, and targets that stand in no catalogue.
//!
//! Decided here and nowhere else; a face may ask early for a kinder message, the engine decides.

use thiserror::Error;

use super::catalogue::Catalogue;
use super::request::{OpenRequest, TargetChoice};
use super::target::{Listen, Reachability, Target};
use super::time::Span;

/// The policy of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The longest a session may be, extensions counted.
    pub duration_max: Span,
    /// How long a session is when the operator does not say.
    pub duration_default: Span,
    /// What a reason must match as a whole, where set; the text is kept for messages.
    pub reason_pattern: Option<ReasonPattern>,
    /// Whether a target in no catalogue may be opened by address.
    pub ad_hoc_targets: bool,
    /// Ends a session after this long without a byte, unless its target says otherwise.
    pub idle: Option<Span>,
    /// What becomes of an Active session whose path is lost.
    pub on_path_loss: OnPathLoss,
}

/// What becomes of an Active session whose path is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPathLoss {
    /// What was lost is made again, within the lease.
    #[default]
    Reconnect,
    /// The session ends.
    End,
}

impl OnPathLoss {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconnect => "reconnect",
            Self::End => "end",
        }
    }
}

/// A pattern that every reason must match as a whole.
#[derive(Clone, Debug)]
pub struct ReasonPattern {
    text: String,
    regex: regex_lite::Regex,
}

impl ReasonPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// When the text is no regular expression.
    pub fn new(text: &str) -> Result<Self, PolicyError> {
        let regex = regex_lite::Regex::new(&format!("^(?:{text})$"))
            .map_err(|_| PolicyError::Pattern(super::text::shown(text)))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for ReasonPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What policy decided about a request it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The target, made up for an address in no catalogue.
    pub target: Target,
    /// The reason, trimmed.
    pub reason: String,
    /// How long the session may be Active.
    pub lease: Span,
    /// How long extensions may make it.
    pub lease_max: Span,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Nothing but white space.
    #[error("a session needs a reason; say why in a few words")]
    ReasonEmpty,
    /// Longer than [`REASON_CHARS_MAX`].
    #[error("a reason has at most {REASON_CHARS_MAX} characters; this one has {0}")]
    ReasonTooLong(usize),
    /// Holds a character that a terminal would act on or hide.
    #[error("a reason holds no control or invisible characters; this one reads `{0}`")]
    ReasonUnclean(String),
    /// Does not match the policy's pattern.
    #[error("the reason must match `{0}` (policy.reason-pattern)")]
    ReasonPattern(String),
    /// Longer than policy or target allow.
    #[error("`{asked}` is longer than the `{max}` allowed for this target")]
    DurationTooLong {
        /// What was asked for.
        asked: Span,
        /// What is allowed.
        max: Span,
    },
    /// Shorter than [`DURATION_MIN`].
    #[error("`{0}` is too short; a session is at least `1m`")]
    DurationTooShort(Span),
    /// No target of that name.
    #[error("there is no target `{name}`{}", did_you_mean(.similar))]
    TargetUnknown {
        /// What was asked for.
        name: String,
        /// Names that resemble it.
        similar: Vec<String>,
    },
    /// No site of that name.
    #[error("there is no site `{0}`")]
    SiteUnknown(String),
    /// Only targets of the catalogue may be opened.
    #[error("only targets of the catalogue may be opened (policy.ad-hoc-targets is off)")]
    AdHocOff,
    /// The pattern is no regular expression.
    #[error("`{0}` is no regular expression")]
    Pattern(String),
}

impl Policy {
    /// Decides about a request: every rule that needs neither the network nor the clock.
    ///
    /// # Errors
    ///
    /// The first rule that the request breaks.
    pub fn accept(
        &self,
        request: &OpenRequest,
        catalogue: &Catalogue,
    ) -> Result<Accepted, PolicyError> {
        let target = self.accept_target(&request.target, catalogue)?;
        let reason = self.reason(&request.reason)?;
        self.accept_duration(request, target, reason)
    }

    /// Decides about a request that is only to be planned: a reason is not asked for yet.
    ///
    /// # Errors
    ///
    /// The first rule that the request breaks.
    pub fn accept_plan(
        &self,
        request: &OpenRequest,
        catalogue: &Catalogue,
    ) -> Result<Accepted, PolicyError> {
        if !request.reason.trim().is_empty() {
            return self.accept(request, catalogue);
        }
        let target = self.accept_target(&request.target, catalogue)?;
        self.accept_duration(request, target, String::new())
    }

    fn accept_duration(
        &self,
        request: &OpenRequest,
        target: Target,
        reason: String,
    ) -> Result<Accepted, PolicyError> {
        let lease_max = self.lease_max(&target);
        let lease = request.duration.unwrap_or(self.duration_default.min(lease_max));
        if lease > lease_max {
            return Err(PolicyError::DurationTooLong { asked: lease, max: lease_max });
        }
        if lease < DURATION_MIN {
            return Err(PolicyError::DurationTooShort(lease));
        }
        Ok(Accepted { target, reason, lease, lease_max })
    }

    /// Checks a reason and returns it trimmed.
    ///
    /// # Errors
    ///
    /// When it is empty, too long, unclean, or does not match the pattern.
    pub fn reason(&self, reason: &str) -> Result<String, PolicyError> {
        let reason = reason.trim();
        let chars = reason.chars().count();
        if reason.is_empty() {
            return Err(PolicyError::ReasonEmpty);
        }
        if chars > REASON_CHARS_MAX {
            return Err(PolicyError::ReasonTooLong(chars));
        }
        if reason.chars().any(super::text::must_show) {
            return Err(PolicyError::ReasonUnclean(super::text::shown(reason)));
        }
        match &self.reason_pattern {
            Some(pattern) if !pattern.regex.is_match(reason) => {
                Err(PolicyError::ReasonPattern(super::text::shown(&pattern.text)))
            }
            _ => Ok(reason.to_owned()),
        }
    }

    /// Returns the longest session that this target allows.
    #[must_use]
    pub fn lease_max(&self, target: &Target) -> Span {
        target.duration_max.map_or(self.duration_max, |max| max.min(self.duration_max))
    }

    /// Decides whether a target may be opened, and makes one up for an address in no catalogue.
    ///
    /// # Errors
    ///
    /// When there is no such target or site, or only targets of the catalogue may be opened.
    pub fn accept_target(
        &self,
        choice: &TargetChoice,
        catalogue: &Catalogue,
    ) -> Result<Target, PolicyError> {
        match choice {
            TargetChoice::Named(id) => catalogue.targets.get(id).cloned().ok_or_else(|| {
                let similar = catalogue.similar(id.as_str());
                PolicyError::TargetUnknown {
                    name: id.to_string(),
                    similar: similar.into_iter().map(ToString::to_string).collect(),
                }
            }),
            TargetChoice::AdHoc { .. } if !self.ad_hoc_targets => Err(PolicyError::AdHocOff),
            TargetChoice::AdHoc { site: Some(site), .. } if !catalogue.sites.contains_key(site) => {
                Err(PolicyError::SiteUnknown(site.to_string()))
            }
            TargetChoice::AdHoc { address, kind, site } => {
                let name = address.to_string();
                let id = ad_hoc_id(&name);
                Ok(Target {
                    id: id.parse().map_err(|_| PolicyError::AdHocOff)?,
                    name,
                    site: site.clone(),
                    kind: *kind,
                    address: address.clone(),
                    reachability: Reachability::Auto,
                    user: None,
                    database: None,
                    listen: Listen::Loopback { port: None },
                    idle: self.idle,
                    duration_max: None,
                })
            }
        }
    }
}

/// Turns an address into a name: what a name cannot hold becomes `-`.
fn ad_hoc_id(address: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let id: String = address.chars().map(fits).collect();
    let id = id.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    let from = id.len().saturating_sub(super::id::NAME_BYTES_MAX);
    id.get(from..).unwrap_or_default().trim_start_matches(['.', '-']).to_owned()
}

fn did_you_mean(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!("; did you mean `{}`?", names.join("`, `")),
    }
}

/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// The shortest session.
pub const DURATION_MIN: Span = Span::from_minutes(1);
